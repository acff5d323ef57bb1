package tiling

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/features"
)

// Shared keeps the tiles of one topic's features in a store that many workers
// read: the members of a consumer group share its partitions out among them. Each
// partition is a task with tiles of its own. An entity's events all lie in one of
// them, and so do its tiles: the topic is keyed by the entity, or is an internal one
// that its source was shuffled into.
//
// A task's position in the store is what counts. What is committed to the group
// beside it only tells how far it is.
type Shared struct {
	transport experiments.Transport
	store     features.Store
	gens      []*Generation
	topic     string
	opts      Options

	tasks    map[int32][]*source // by partition: of every generation and source
	ends     map[int32]bool      // whose end is known
	lastDone time.Time
	lastSeen time.Time // when the other tasks were looked at
	others   map[string]int64

	mu     sync.Mutex
	status []experiments.FeatureStatus
}

// NewShared makes one of the generations' features over a topic; the generations
// are spread over the topic's partitions.
func NewShared(t experiments.Transport, store features.Store, gens []*Generation, topic string, opts Options) *Shared {
	opts.EnsureDefaults()
	return &Shared{transport: t, store: store, gens: gens, topic: topic, opts: opts, tasks: map[int32][]*source{}, ends: map[int32]bool{}, others: map[string]int64{}}
}

func (s *Shared) nowMS() int64 { return s.opts.Now().UnixMilli() }

// Run works until ctx is cancelled (it then commits what it has and returns nil),
// or something fails.
func (s *Shared) Run(ctx context.Context) error {
	for {
		err := s.session(ctx)
		clear(s.tasks)
		clear(s.ends)
		switch {
		case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
			return nil
		case errors.Is(err, experiments.ErrRebalanced), errors.Is(err, features.ErrFenced):
			s.opts.Log.Info("features begin again from what is committed", "topic", s.topic, "err", err)
		default:
			return fmt.Errorf("features of %s: %w", s.topic, err)
		}
		if err := s.transport.Abort(ctx); err != nil {
			return err
		}
	}
}

// session works until the assignment is lost or ctx ends.
func (s *Shared) session(ctx context.Context) error {
	s.lastDone = s.opts.Now()
	for {
		if err := s.reassign(ctx); err != nil {
			return err
		}
		if err := s.round(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return commitLast(ctx, s.commit)
		}
		if s.opts.Now().Sub(s.lastDone) >= s.opts.CommitEvery || s.isFull() {
			if err := s.commit(ctx); err != nil {
				return err
			}
		}
	}
}

// reassign follows the group.
func (s *Shared) reassign(ctx context.Context) error {
	changes, err := s.transport.Assigned()
	if err != nil {
		return err
	}
	if len(changes.Revoked) > 0 {
		if err := s.commit(ctx); err != nil {
			return err
		}
		for _, tp := range changes.Revoked {
			delete(s.tasks, tp.Partition)
			delete(s.ends, tp.Partition)
		}
		if err := s.transport.Release(changes.Revoked); err != nil {
			return err
		}
	}
	if len(changes.Gained) == 0 {
		return nil
	}
	from := map[experiments.TopicPartition]int64{}
	for tp := range changes.Gained {
		next, err := s.open(ctx, tp.Partition)
		if err != nil {
			return err
		}
		from[tp] = next
	}
	return s.start(from)
}

// open opens the tasks of a partition and returns where they go on.
func (s *Shared) open(ctx context.Context, partition int32) (int64, error) {
	next := int64(math.MaxInt64)
	for _, g := range s.gens {
		for i, f := range g.feeds {
			if f.topic != s.topic {
				continue
			}
			if int(partition) >= len(g.tasks[i]) {
				return 0, fmt.Errorf("partition %d is beyond the %d that the topic had when this started: start it again", partition, len(g.tasks[i]))
			}
			one := &source{gen: g, index: i, task: int(partition), feed: f.copy(), letters: s.opts.Letters, placed: placement{partition: int(partition), partitions: len(g.tasks[i])}}
			sinceMS := int64(math.MinInt64)
			if s.opts.SinceMS != nil {
				var err error
				if sinceMS, err = s.opts.SinceMS(ctx, partition); err != nil {
					return 0, err
				}
			}
			if err := one.open(ctx, s.store, 1, sinceMS, s.opts.MaxBytes, s.nowMS()); err != nil {
				return 0, err
			}
			s.tasks[partition] = append(s.tasks[partition], one)
			at := one.parts[0].next
			if at == experiments.OffsetEarliest {
				at = -1 // before any offset
			}
			next = min(next, at)
		}
	}
	if next < 0 {
		next = experiments.OffsetEarliest
	}
	return next, nil
}

// start begins to read, behind a gap where that is allowed.
func (s *Shared) start(from map[experiments.TopicPartition]int64) error {
	err := s.transport.Start(from)
	var gap *experiments.GapError
	if !errors.As(err, &gap) || !s.opts.AcceptGap {
		return err
	}
	for _, g := range gap.Gaps {
		s.opts.Log.Warn("events are lost to features: the log no longer holds them", "topic", g.Topic, "partition", g.Partition, "from", g.Need, "to", g.First)
		from[g.TopicPartition] = g.First
	}
	return s.transport.Start(from)
}

// round is one turn: poll, and add to the tasks.
func (s *Shared) round(ctx context.Context) error {
	done := s.inputDone()
	if done && s.opts.UntilEnd {
		if err := s.learnEnds(ctx); err != nil {
			return err
		}
	}
	fetched, err := s.transport.Poll(ctx, s.opts.PollRecords, s.opts.PollWait)
	if err != nil && ctx.Err() == nil {
		return err
	}
	nowMS := s.nowMS()
	for i := range fetched {
		f := &fetched[i]
		own := *f
		own.Partition = 0 // each task has one partition
		for _, one := range s.tasks[f.Partition] {
			if err := one.take(&own, done, nowMS); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Shared) inputDone() bool {
	if s.opts.InputDone == nil {
		return true
	}
	select {
	case <-s.opts.InputDone:
		return true
	default:
		return false
	}
}

func (s *Shared) learnEnds(ctx context.Context) error {
	var parts []experiments.TopicPartition
	for p := range s.tasks {
		if !s.ends[p] {
			parts = append(parts, experiments.TopicPartition{Topic: s.topic, Partition: p})
		}
	}
	if len(parts) == 0 {
		return nil
	}
	ends, err := s.transport.Ends(ctx, parts)
	if err != nil {
		return err
	}
	for _, tp := range parts {
		for _, one := range s.tasks[tp.Partition] {
			one.setEnd(0, ends[tp])
		}
		s.ends[tp.Partition] = true
	}
	return nil
}

func (s *Shared) isFull() bool {
	for _, tasks := range s.tasks {
		for _, one := range tasks {
			if one.writer.Full() {
				return true
			}
		}
	}
	return false
}

// othersSeen is how often an idle partition looks at how far the others are.
const othersSeen = 500 * time.Millisecond

// commit commits every task by itself, then tells the group how far they are.
func (s *Shared) commit(ctx context.Context) error {
	s.lastDone = s.opts.Now()
	needMS := int64(math.MinInt64)
	if s.opts.NeedMS != nil {
		needMS = s.opts.NeedMS()
	}
	nowMS := s.nowMS()
	offsets := map[experiments.TopicPartition]experiments.CommittedOffset{}
	var status []experiments.FeatureStatus
	partitions := make([]int32, 0, len(s.tasks))
	for p := range s.tasks {
		partitions = append(partitions, p)
	}
	slices.Sort(partitions)
	for _, p := range partitions {
		for _, one := range s.tasks[p] {
			if err := s.follow(ctx, one, nowMS); err != nil {
				return err
			}
			if err := one.commit(ctx, s.opts.UntilEnd && one.isRead(), needMS, nowMS); err != nil {
				return err
			}
			if next := one.parts[0].next; next >= 0 {
				offsets[experiments.TopicPartition{Topic: s.topic, Partition: p}] = experiments.CommittedOffset{Next: next}
			}
			status = append(status, one.status())
		}
	}
	s.mu.Lock()
	s.status = status
	s.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	if err := s.transport.Commit(ctx, offsets); err != nil {
		return err
	}
	if s.opts.Committed != nil {
		s.opts.Committed()
	}
	return nil
}

// follow has a task that is idle come along with the other tasks of its source:
// what holds them back holds it, and nothing else does.
func (s *Shared) follow(ctx context.Context, one *source, nowMS int64) error {
	one.meta.Idle = one.clock.Idle(0, nowMS)
	if !one.meta.Idle || one.feed.way != nil || // whose markers tell of all
		len(one.gen.tasks[one.index]) == 1 {
		return nil
	}
	name := one.gen.tasks[one.index][one.task]
	if s.opts.Now().Sub(s.lastSeen) >= othersSeen {
		s.lastSeen = s.opts.Now()
		if err := s.lookAround(ctx); err != nil {
			return err
		}
	}
	if ms, ok := s.others[name]; ok {
		one.clock.Restart(ms)
	}
	return nil
}

// lookAround works out, for every task, how far the others of its source are: the
// least of those that are not idle, or the furthest when all are.
func (s *Shared) lookAround(ctx context.Context) error {
	positions, err := s.store.Positions(ctx)
	if err != nil {
		return err
	}
	clear(s.others)
	for _, g := range s.gens {
		for i := range g.tasks {
			least, furthest := int64(math.MaxInt64), int64(math.MinInt64)
			whole := true
			for _, name := range g.tasks[i] {
				p, err := features.ParsePosition(positions[name])
				if err != nil {
					whole = false // it has not begun: nobody knows what it holds
					break
				}
				m, err := parseMeta(p.Meta)
				if err != nil {
					return err
				}
				if p.WatermarkMS != math.MaxInt64 {
					furthest = max(furthest, p.WatermarkMS)
				}
				if !m.Idle {
					least = min(least, p.WatermarkMS)
				}
			}
			if least == math.MaxInt64 {
				least = furthest
			}
			if whole && least != math.MinInt64 && least != math.MaxInt64 {
				for _, name := range g.tasks[i] {
					s.others[name] = least
				}
			}
		}
	}
	return nil
}

// Status tells how far the tasks of this process are, as of the last commit. It
// may be called from any goroutine.
func (s *Shared) Status() []experiments.FeatureStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Close leaves the group.
func (s *Shared) Close() error { return s.transport.Close() }
