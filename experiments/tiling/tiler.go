package tiling

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/joiner"
)

// Tiler reads the sources of features and keeps their tiles in a store. It reads
// all partitions by itself: a worker that keeps its tiles in an embedded store
// has a tiler of its own.
type Tiler struct {
	log     Log
	store   features.Store
	opts    Options
	sources []*source
	byTopic map[string][]*source
	width   map[string]int // partitions by topic

	started  bool
	ends     bool // are known
	lastDone time.Time
	dirty    bool

	mu     sync.Mutex
	status []experiments.FeatureStatus
}

// New makes a tiler of generations, which are all that the store is to hold.
func New(log Log, store features.Store, gens []*Generation, opts Options) *Tiler {
	opts.EnsureDefaults()
	t := &Tiler{log: log, store: store, opts: opts, byTopic: map[string][]*source{}, width: map[string]int{}}
	for _, g := range gens {
		for i, f := range g.feeds {
			s := &source{gen: g, index: i, feed: f, letters: opts.Letters}
			t.sources = append(t.sources, s)
			t.byTopic[f.spec.Topic] = append(t.byTopic[f.spec.Topic], s)
		}
	}
	for _, tp := range log.Partitions() {
		t.width[tp.Topic] = max(t.width[tp.Topic], int(tp.Partition)+1)
	}
	return t
}

// Topics lists the topics that generations are over, each once.
func Topics(gens []*Generation) []string {
	return topics(gens, func(f *feed) string { return f.spec.Topic })
}

// TaskTopics lists the topics that the tasks of generations read, each once: of
// sources that are shuffled the internal ones.
func TaskTopics(gens []*Generation) []string {
	return topics(gens, func(f *feed) string { return f.topic })
}

func topics(gens []*Generation, of func(*feed) string) (all []string) {
	for _, g := range gens {
		for _, f := range g.feeds {
			if topic := of(f); !slices.Contains(all, topic) {
				all = append(all, topic)
			}
		}
	}
	return all
}

func (t *Tiler) nowMS() int64 { return t.opts.Now().UnixMilli() }

// Run works until ctx is cancelled (it then commits what it has and returns nil),
// under UntilEnd until every tile is final, or until something fails.
func (t *Tiler) Run(ctx context.Context) error {
	if err := t.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // stopped before it began
		}
		return err
	}
	for {
		err := t.round(ctx)
		stopped := ctx.Err() != nil
		switch {
		case stopped && (err == nil || errors.Is(err, context.Canceled)):
			return commitLast(ctx, t.commit)
		case err != nil:
			return err
		}
		if now := t.opts.Now(); now.Sub(t.lastDone) >= t.opts.CommitEvery || t.isFull() {
			if err := t.commit(ctx); err != nil {
				return err
			}
		}
		if t.opts.UntilEnd && t.allEnded() {
			return nil
		}
	}
}

// commitLast commits although ctx is over.
func commitLast(ctx context.Context, commit func(context.Context) error) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return commit(last)
}

// start opens the sources and begins to read where they stand.
func (t *Tiler) start(ctx context.Context) error {
	t.lastDone = t.opts.Now()
	begins, err := t.log.Starts(ctx)
	if err != nil {
		return fmt.Errorf("finding where the topics begin: %w", err)
	}
	since, err := t.sinceOf(ctx, begins)
	if err != nil {
		return err
	}
	for _, s := range t.sources {
		topic := s.feed.spec.Topic
		if err := s.open(ctx, t.store, t.width[topic], since[topic], t.opts.MaxBytes, t.nowMS()); err != nil {
			return err
		}
		for p := range s.parts {
			first := begins[experiments.TopicPartition{Topic: topic, Partition: int32(p)}]
			if next := s.parts[p].next; next >= 0 && next < first && t.opts.AcceptGap {
				t.opts.Log.Warn("events are lost to features: the log no longer holds them", "topic", topic, "partition", p, "from", next, "to", first)
				s.parts[p].next = first
			}
		}
	}
	from := map[experiments.TopicPartition]int64{}
	for _, s := range t.sources {
		for p := range s.parts {
			tp := experiments.TopicPartition{Topic: s.feed.spec.Topic, Partition: int32(p)}
			next := s.parts[p].next
			if next == experiments.OffsetEarliest {
				next = begins[tp]
				s.parts[p].next = next
			}
			if prior, ok := from[tp]; !ok || next < prior {
				from[tp] = next
			}
		}
	}
	if err := t.log.Start(from); err != nil {
		return fmt.Errorf("reading the sources of features: %w", err)
	}
	t.started = true
	return nil
}

// round is one turn: poll, and add to the sources, each beside the others.
func (t *Tiler) round(ctx context.Context) error {
	inputDone := t.inputDone()
	if inputDone && t.opts.UntilEnd && !t.ends {
		if err := t.learnEnds(ctx); err != nil {
			return err
		}
	}
	fetched, err := t.log.Poll(ctx, t.opts.PollRecords, t.opts.PollWait)
	if err != nil {
		return err
	}
	nowMS := t.nowMS()
	g := new(errgroup.Group)
	for _, s := range t.sources {
		g.Go(func() error {
			for i := range fetched {
				if f := &fetched[i]; f.Topic == s.feed.spec.Topic {
					if err := s.take(f, inputDone, nowMS); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	for i := range fetched {
		t.dirty = t.dirty || len(fetched[i].Records) > 0
	}
	if err := g.Wait(); err != nil {
		return err
	}
	t.align()
	return nil
}

func (t *Tiler) inputDone() bool {
	if t.opts.InputDone == nil {
		return true
	}
	select {
	case <-t.opts.InputDone:
		return true
	default:
		return false
	}
}

func (t *Tiler) learnEnds(ctx context.Context) error {
	ends, err := t.log.Ends(ctx)
	if err != nil {
		return err
	}
	for _, s := range t.sources {
		for p := range s.parts {
			s.setEnd(int32(p), ends[experiments.TopicPartition{Topic: s.feed.spec.Topic, Partition: int32(p)}])
		}
	}
	t.ends = true
	return nil
}

// align pauses the partitions that run ahead in event time, so that tiles are
// written in about the order of time and expire together.
func (t *Tiler) align() {
	least := int64(math.MaxInt64)
	for _, s := range t.sources {
		for p := range s.parts {
			if r := &s.parts[p]; !r.caughtUp && r.maxMS != joiner.NoTimeMS {
				least = min(least, r.maxMS)
			}
		}
	}
	var paused []experiments.TopicPartition
	if least != math.MaxInt64 {
		for topic, sources := range t.byTopic {
			for p := range sources[0].parts {
				ahead := true
				for _, s := range sources {
					ahead = ahead && s.parts[p].maxMS > least+t.opts.MaxAhead.Milliseconds()
				}
				if ahead {
					paused = append(paused, experiments.TopicPartition{Topic: topic, Partition: int32(p)})
				}
			}
		}
	}
	t.log.SetPaused(paused)
}

func (t *Tiler) isFull() bool {
	for _, s := range t.sources {
		if s.writer.Full() {
			return true
		}
	}
	return false
}

func (t *Tiler) allEnded() bool {
	for _, s := range t.sources {
		if !s.ended {
			return false
		}
	}
	return true
}

// commit commits every source, each by itself.
func (t *Tiler) commit(ctx context.Context) error {
	if !t.started {
		return nil
	}
	t.lastDone, t.dirty = t.opts.Now(), false
	needMS := int64(math.MinInt64)
	if t.opts.NeedMS != nil {
		needMS = t.opts.NeedMS()
	}
	nowMS := t.nowMS()
	g := new(errgroup.Group)
	for _, s := range t.sources {
		g.Go(func() error { return s.commit(ctx, t.ends && s.isRead(), needMS, nowMS) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	t.observe(nowMS)
	if t.opts.Committed != nil {
		t.opts.Committed()
	}
	return nil
}
