package tiling

import (
	"context"
	"fmt"
	"math"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/features"
)

// Filler makes the tiles of recorded events, in whatever order they come: tiles
// do not depend on it. One goroutine uses it.
type Filler struct {
	sources map[string][]*source // by topic
	all     []*source
	clock   func() int64

	fromMS, toMS int64 // of what counts
}

// Bound has events count only from one event time up to another, exclusive.
func (f *Filler) Bound(fromMS, toMS int64) { f.fromMS, f.toMS = fromMS, toMS }

// NewFiller opens generations in a store that is to hold nothing but what is
// added. fromMS is the event time from which on everything will be added,
// math.MinInt64 for all there is. maxBytes bounds what is held in memory of each
// source, 0 is a default. Where generations are spread, task says which of several
// Fillers it is.
func NewFiller(ctx context.Context, store features.Store, gens []*Generation, task int, fromMS int64, maxBytes int, nowMS func() int64) (*Filler, error) {
	f := &Filler{sources: map[string][]*source{}, clock: nowMS, fromMS: math.MinInt64, toMS: math.MaxInt64}
	for _, g := range gens {
		for i, fd := range g.feeds {
			s := &source{gen: g, index: i, task: task, feed: fd.copy()}
			if err := s.open(ctx, store, 1, fromMS, maxBytes, nowMS()); err != nil {
				return nil, err
			}
			if s.writer.Began() {
				return nil, fmt.Errorf("the feature store already holds events of %s: begin with an empty one", fd.spec.Topic)
			}
			f.all = append(f.all, s)
			f.sources[fd.spec.Topic] = append(f.sources[fd.spec.Topic], s)
		}
	}
	return f, nil
}

// Reads reports whether any feature is over the topic.
func (f *Filler) Reads(topic string) bool { return len(f.sources[topic]) > 0 }

// Add adds a record of a topic. One that cannot be read is left out: who joins the
// same source sends it to the dead letters.
func (f *Filler) Add(ctx context.Context, topic string, rec *mortise.Record) error {
	for _, s := range f.sources[topic] {
		if err := s.takeBetween(rec, 0, f.clock(), f.fromMS, f.toMS); err != nil {
			return err
		}
		if s.writer.Full() {
			if err := s.commit(ctx, false, math.MinInt64, f.clock()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Finish makes every tile final.
func (f *Filler) Finish(ctx context.Context) error {
	for _, s := range f.all {
		if err := s.commit(ctx, true, math.MinInt64, f.clock()); err != nil {
			return err
		}
	}
	return nil
}

// Horizon is how far before an impression its features look: the longest window,
// and a tile.
func Horizon(fs []experiments.Feature) (ms int64) {
	for i := range fs {
		d := fs[i].Definition
		ms = max(ms, (d.Window + d.Tile).Milliseconds())
	}
	return ms
}
