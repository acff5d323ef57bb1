package changing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mortise-dev/mortise/dimjoin/changes"
	"github.com/mortise-dev/mortise/experiments"
)

// Shared keeps the latest rows of a table that workers share: the members of a
// consumer group share the partitions of the stream's topic out among them. Rows
// are written before the group's offsets are committed.
type Shared struct {
	transport experiments.Transport
	stream    *Stream
	opts      Options
	lastDone  time.Time
}

// NewShared makes one for a stream that is written; t reads its topic.
func NewShared(t experiments.Transport, s *Stream, opts Options) *Shared {
	opts.EnsureDefaults()
	shared := &Shared{transport: t, stream: s, opts: opts}
	s.try = shared.retry
	return shared
}

func (s *Shared) nowMS() int64 { return s.opts.Now().UnixMilli() }

// Run works until ctx is cancelled (it then commits what it has and returns nil),
// or something fails. A store that does not take rows is tried until it does.
func (s *Shared) Run(ctx context.Context) error {
	for {
		err := s.session(ctx)
		// What was taken in and not committed comes again.
		s.stream.merger = changes.NewMerger(s.stream.dimension.Fields, true)
		s.stream.parts = nil
		switch {
		case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
			return nil
		case errors.Is(err, experiments.ErrRebalanced):
			s.opts.Log.Info("changes begin again from what is committed", "dimension", s.stream.dimension.Name, "err", err)
		default:
			return fmt.Errorf("dimension %s: %w", s.stream.dimension.Name, err)
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
		fetched, err := s.transport.Poll(ctx, s.opts.PollRecords, s.opts.PollWait)
		if err != nil && ctx.Err() == nil {
			return err
		}
		nowMS := s.nowMS()
		for i := range fetched {
			if err := s.stream.take(ctx, &fetched[i], nowMS, s.opts.Letters); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			if err := atLast(ctx, s.commit); err != nil { // it comes again
				s.opts.Log.Warn("what changed last is not written", "dimension", s.stream.dimension.Name, "err", err)
			}
			return ctx.Err()
		}
		if s.opts.Now().Sub(s.lastDone) >= s.opts.CommitEvery || s.stream.isFull(s.opts.MaxBytes) {
			if err := s.commit(ctx); err != nil {
				return err
			}
		}
	}
}

// reassign follows the group.
func (s *Shared) reassign(ctx context.Context) error {
	moved, err := s.transport.Assigned()
	if err != nil {
		return err
	}
	if len(moved.Revoked) > 0 {
		if err := s.commit(ctx); err != nil {
			return err
		}
		for _, tp := range moved.Revoked {
			s.stream.parts[tp.Partition] = reading{away: true}
		}
		// Others write the rows of those keys from now on: what is remembered of them is not theirs.
		s.stream.merger = changes.NewMerger(s.stream.dimension.Fields, true)
		if err := s.transport.Release(moved.Revoked); err != nil {
			return err
		}
	}
	if len(moved.Gained) == 0 {
		return nil
	}
	from := map[experiments.TopicPartition]int64{}
	for tp, at := range moved.Gained {
		for len(s.stream.parts) <= int(tp.Partition) {
			s.stream.parts = append(s.stream.parts, reading{away: true})
		}
		next := at.Next
		if next < 0 {
			next = experiments.OffsetEarliest
		}
		s.stream.parts[tp.Partition] = reading{mark: mark{Next: next}, end: -1}
		from[tp] = next
	}
	return s.start(from)
}

// start begins to read, behind a gap where that is allowed.
func (s *Shared) start(from map[experiments.TopicPartition]int64) error {
	err := s.transport.Start(from)
	var gap *experiments.GapError
	if !errors.As(err, &gap) || !s.opts.AcceptGap {
		return err
	}
	for _, g := range gap.Gaps {
		s.opts.Log.Warn("changes are lost: the log no longer holds them", "dimension", s.stream.dimension.Name, "topic", g.Topic, "partition", g.Partition, "from", g.Need, "to", g.First)
		from[g.TopicPartition] = g.First
	}
	return s.transport.Start(from)
}

// commit writes the rows, then tells the group how far they are.
func (s *Shared) commit(ctx context.Context) error {
	s.lastDone = s.opts.Now()
	st := s.stream
	if records, _ := st.merger.Drain(st.forgetMS()); len(records) > 0 {
		if err := s.retry(ctx, "writing rows that changed", func(ctx context.Context) error { return st.writer.Write(ctx, records) }); err != nil {
			return err
		}
	}
	offsets := map[experiments.TopicPartition]experiments.CommittedOffset{}
	for i := range st.parts {
		if next := st.parts[i].Next; next > 0 {
			offsets[experiments.TopicPartition{Topic: st.Topic(), Partition: int32(i)}] = experiments.CommittedOffset{Next: next}
		}
	}
	if st.read && len(offsets) > 0 {
		if err := s.transport.Commit(ctx, offsets); err != nil {
			return err
		}
	}
	st.read = false
	st.tell(s.nowMS(), s.opts.inputDone())
	if s.opts.Committed != nil {
		s.opts.Committed()
	}
	return nil
}

// tryFor bounds one request to the store.
const tryFor = 10 * time.Second

// retry tries until it works or ctx ends.
func (s *Shared) retry(ctx context.Context, doing string, do func(context.Context) error) error {
	for {
		one, cancel := context.WithTimeout(ctx, tryFor)
		err := do(one)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.opts.Log.Warn(doing+" fails, and is tried again", "dimension", s.stream.dimension.Name, "err", err)
		wait := time.NewTimer(s.opts.RetryEvery)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
	}
}

// Close leaves the group.
func (s *Shared) Close() error { return s.transport.Close() }
