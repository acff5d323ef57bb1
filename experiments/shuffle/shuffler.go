package shuffle

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
)

// Shuffler reads the partitions of a topic that its consumer group assigns to it
// and sends their records on. It is a worker of its own: what moves, it moves
// with one transaction for records, markers and offsets.
type Shuffler struct {
	transport experiments.Transport
	opts      Options
	carrier   Carrier
	steering  [][]byte // a key for each internal partition
	slackMS   int64
	idleMS    int64

	lanes    []*lane // by partition
	firstMS  int64   // least event time sent on
	paused   []experiments.TopicPartition
	dirty    bool // something happened since the last commit
	lastDone time.Time
	lastAll  time.Time // when a marker last spoke of all origins
	out      experiments.Output

	mu     sync.Mutex
	status experiments.ShuffleStatus
	counts counts
}

// counts are what a shuffler did since it was made.
type counts struct{ records, unreadable, left, sentBytes, lost, commits int64 }

// New makes a shuffler of a transport that reads the way's topic and writes its
// internal one.
func New(t experiments.Transport, opts Options) (*Shuffler, error) {
	opts.EnsureDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	s := &Shuffler{transport: t, opts: opts, steering: steeringKeys(opts.Partitions), firstMS: joiner.NoTimeMS}
	way := opts.Way.Spec
	s.slackMS, s.idleMS = way.OutOfOrderness.Milliseconds(), way.IdleAfter.Milliseconds()
	if s.carrier = opts.Carrier; s.carrier == nil {
		w, err := newWhole(opts.Way)
		if err != nil {
			return nil, err
		}
		s.carrier = w
	}
	s.observe()
	return s, nil
}

func (s *Shuffler) nowMS() int64 { return s.opts.Now().UnixMilli() }

// Run works until ctx is cancelled (it then commits what is done and returns
// nil), or something fails that it cannot mend.
func (s *Shuffler) Run(ctx context.Context) error {
	for {
		err := s.session(ctx)
		s.lanes, s.dirty = nil, false
		switch {
		case errors.Is(err, experiments.ErrRebalanced):
			s.opts.Log.Info("what was not committed is aborted, and shuffling begins again from what is", "group", s.opts.Way.Group)
		case s.opts.AcceptGap && errors.As(err, new(*experiments.GapError)):
			s.opts.Log.Warn("the topic was cut off while it was being read; what is gone is counted as lost", "group", s.opts.Way.Group, "err", err)
		case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
			return nil
		default:
			return fmt.Errorf("shuffling %s: %w", s.opts.Way.Origin, err)
		}
		if err := s.transport.Abort(ctx); err != nil {
			return fmt.Errorf("aborting what was shuffled: %w", err)
		}
	}
}

// session works until the assignment is lost or ctx ends.
func (s *Shuffler) session(ctx context.Context) error {
	s.lastDone, s.lastAll = s.opts.Now(), s.opts.Now()
	for {
		if err := s.reassign(ctx); err != nil {
			return err
		}
		if err := s.round(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return s.commitLast(ctx)
		}
		if s.opts.Now().Sub(s.lastDone) >= s.opts.CommitEvery {
			if err := s.commit(ctx); err != nil {
				return err
			}
		}
	}
}

// round is one turn: poll, and send on.
func (s *Shuffler) round(ctx context.Context) error {
	inputDone := s.inputDone()
	if inputDone && s.opts.UntilEnd {
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
		if err := s.take(&fetched[i], nowMS); err != nil {
			return err
		}
	}
	for _, l := range s.lanes {
		l.judge(inputDone, s.opts.UntilEnd, s.idleMS, nowMS)
		s.dirty = s.dirty || l.idle != l.toldIdle
	}
	s.align()
	s.observe()
	return nil
}

// take sends on what was fetched of one origin.
func (s *Shuffler) take(f *experiments.Fetched, nowMS int64) error {
	l := s.lane(f.TopicPartition)
	if l == nil {
		return nil // it was given up
	}
	for i := range f.Records {
		rec := &f.Records[i]
		if rec.Offset < l.next {
			continue
		}
		if err := s.send(l, rec, nowMS); err != nil {
			return fmt.Errorf("sending on %s[%d]@%d: %w", rec.Topic, rec.Partition, rec.Offset, err)
		}
	}
	s.dirty = s.dirty || f.Next > l.next
	l.read(f, nowMS)
	return nil
}

// learnEnds asks, once for each, where origins end when all that is published is there.
func (s *Shuffler) learnEnds(ctx context.Context) error {
	var parts []experiments.TopicPartition
	for _, l := range s.lanes {
		if !l.endKnown {
			parts = append(parts, l.at)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	ends, err := s.transport.Ends(ctx, parts)
	if err != nil {
		return fmt.Errorf("asking where the topic ends: %w", err)
	}
	for _, l := range s.lanes {
		if end, ok := ends[l.at]; ok {
			l.high, l.endKnown = max(l.high, end), true
		}
	}
	return nil
}

func (s *Shuffler) inputDone() bool {
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
