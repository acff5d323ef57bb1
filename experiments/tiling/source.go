package tiling

import (
	"context"
	"errors"
	"fmt"
	"math"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/joiner"
)

// source is one source of one generation on its way into the store. One goroutine
// at a time uses it.
type source struct {
	gen    *Generation
	index  int // in the generation's set
	task   int // of the source's tasks
	feed   *feed
	writer *features.Writer
	clock  *joiner.Watermarks
	parts  []reading // by partition
	meta   meta
	ended  bool // committed with every tile final

	letters func(*mortise.DeadLetter) error
	skipped int64 // records that cannot be read
}

// reading is one partition of the source.
type reading struct {
	next     int64
	high     int64
	end      int64 // where it ends, once that is known; -1 before
	maxMS    int64
	caughtUp bool
}

// open opens the source's tiles where they stand. For a source that begins, sinceMS
// says from when on the topic holds its events.
func (s *source) open(ctx context.Context, store features.Store, partitions int, sinceMS int64, maxBytes int, nowMS int64) error {
	w, err := features.OpenWriter(ctx, s.gen.Set, store, features.WriterOptions{Task: s.gen.tasks[s.index][s.task], Shard: s.gen.shards[s.index][s.task], SinceMS: sinceMS,
		MaxBytes: maxBytes, Slot: func(_ int, field string) int { return s.feed.slot(field) }})
	if err != nil {
		return err
	}
	s.writer = w
	pos := w.Position()
	s.clock = joiner.NewWatermarks(watermarkOf(pos, w.Began()))
	s.meta = meta{Generation: s.gen.Number, Source: s.feed.id, Features: s.gen.ids(s.index)}
	if w.Began() {
		m, err := parseMeta(pos.Meta)
		if err != nil {
			return err
		}
		s.meta.Partitions = m.Partitions
	}
	for len(s.meta.Partitions) < partitions { // also those that the topic has been given since
		s.meta.Partitions = append(s.meta.Partitions, partition{Next: experiments.OffsetEarliest})
	}
	s.parts = make([]reading, len(s.meta.Partitions))
	spec := s.feed.spec
	for i, m := range s.meta.Partitions {
		s.clock.AddInput(spec.OutOfOrderness.Milliseconds(), spec.IdleAfter.Milliseconds(), nowMS)
		s.parts[i] = reading{next: m.Next, end: -1, maxMS: joiner.NoTimeMS}
		if m.MaxMS != nil {
			s.parts[i].maxMS = *m.MaxMS
			s.clock.Observe(i, *m.MaxMS, nowMS)
		}
	}
	return nil
}

// watermarkOf is where a source's clock stands; one that had ended goes on from
// the events that it has seen, when there are more.
func watermarkOf(p *features.Position, began bool) int64 {
	switch {
	case !began:
		return joiner.NoTimeMS
	case p.WatermarkMS == math.MaxInt64:
		return p.LatestMS
	}
	return p.WatermarkMS
}

// take adds what was fetched of one partition.
func (s *source) take(f *experiments.Fetched, inputDone bool, nowMS int64) error {
	p := &s.parts[f.Partition]
	for i := range f.Records {
		rec := &f.Records[i]
		if rec.Offset < p.next {
			continue
		}
		if err := s.takeOne(rec, int(f.Partition), nowMS); err != nil {
			return fmt.Errorf("adding %s[%d]@%d to features: %w", rec.Topic, rec.Partition, rec.Offset, err)
		}
	}
	p.next = max(p.next, f.Next)
	p.high = f.HighWatermark
	p.caughtUp = p.next >= p.high
	s.clock.SetCaughtUp(int(f.Partition), p.caughtUp && inputDone, nowMS)
	return nil
}

// takeOne adds a record of one of the source's partitions.
func (s *source) takeOne(rec *mortise.Record, part int, nowMS int64) error {
	return s.takeBetween(rec, part, nowMS, math.MinInt64, math.MaxInt64)
}

// takeBetween leaves events out whose time does not lie in [fromMS, toMS).
func (s *source) takeBetween(rec *mortise.Record, part int, nowMS, fromMS, toMS int64) error {
	timeMS, row, err := s.feed.take(rec, nowMS)
	if err == nil && (timeMS < fromMS || timeMS >= toMS) {
		return nil
	}
	if err == nil && row != nil {
		err = s.writer.Add(s.index, row, timeMS)
	}
	if err != nil {
		if !errors.As(err, new(*mortise.RecordError)) {
			return err
		}
		s.skipped++
		if letter := s.feed.letter(rec, err); letter != nil && s.letters != nil {
			if err := s.letters(letter); err != nil {
				return fmt.Errorf("writing a dead letter: %w", err)
			}
		}
		if row == nil {
			return nil
		}
	}
	p := &s.parts[part]
	p.maxMS = max(p.maxMS, timeMS)
	s.clock.Observe(part, timeMS, nowMS)
	return nil
}

// setEnd fixes where a partition ends.
func (s *source) setEnd(partition int32, end int64) { s.parts[partition].end = end }

// isRead reports whether every partition has been read to its end.
func (s *source) isRead() bool {
	for i := range s.parts {
		if p := &s.parts[i]; p.end < 0 || p.next < p.end {
			return false
		}
	}
	return true
}

// commit makes what was added one with how far the source has been read.
func (s *source) commit(ctx context.Context, final bool, needMS, nowMS int64) error {
	for i := range s.parts {
		p, m := &s.parts[i], &s.meta.Partitions[i]
		if p.next >= 0 {
			m.Next = p.next
		}
		if p.maxMS != joiner.NoTimeMS {
			m.MaxMS = &p.maxMS
		}
	}
	text, err := s.meta.append(nil)
	if err != nil {
		return err
	}
	watermark := s.clock.Advance(nowMS)
	if final {
		watermark = math.MaxInt64
	}
	if needMS != math.MinInt64 {
		s.writer.Expire(needMS)
	}
	if err := s.writer.Commit(ctx, text, watermark); err != nil {
		return err
	}
	s.ended = final
	return nil
}
