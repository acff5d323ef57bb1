package changing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mortise-dev/mortise/experiments"
)

// Keeper keeps the tables of streams, which are this process's own, up to date: it
// reads all partitions of their topics by itself.
type Keeper struct {
	log      Log
	streams  []*Stream
	opts     Options
	ends     bool // are known
	started  bool
	lastDone time.Time
}

// NewKeeper makes one for journaled streams; log reads their topics.
func NewKeeper(log Log, streams []*Stream, opts Options) *Keeper {
	opts.EnsureDefaults()
	return &Keeper{log: log, streams: streams, opts: opts}
}

// Topics lists the topics that streams read, each once.
func Topics(streams []*Stream) (topics []string) {
	known := map[string]bool{}
	for _, s := range streams {
		if t := s.Topic(); !known[t] {
			known[t] = true
			topics = append(topics, t)
		}
	}
	return topics
}

func (k *Keeper) nowMS() int64 { return k.opts.Now().UnixMilli() }

// Run works until ctx is cancelled (it then commits what it has and returns nil),
// under UntilEnd until every change is in its table, or until something fails.
func (k *Keeper) Run(ctx context.Context) error {
	if err := k.start(ctx); err != nil {
		return unlessOver(ctx, err)
	}
	for {
		err := k.round(ctx)
		switch {
		case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
			return atLast(ctx, k.commit)
		case err != nil:
			return err
		}
		if k.opts.Now().Sub(k.lastDone) >= k.opts.CommitEvery || k.isFull() || k.ended() {
			if err := k.commit(ctx); err != nil {
				return err
			}
		}
		if k.ended() {
			return nil
		}
	}
}

// unlessOver is err, or nil where ctx is over: what fails then is no fault.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// atLast commits although ctx is over.
func atLast(ctx context.Context, commit func(context.Context) error) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return commit(last)
}

// start opens the streams and begins to read where their tables stand.
func (k *Keeper) start(ctx context.Context) error {
	k.lastDone = k.opts.Now()
	begins, err := k.log.Starts(ctx)
	if err != nil {
		return fmt.Errorf("finding where the topics of changes begin: %w", err)
	}
	width := map[string]int{}
	for _, tp := range k.log.Partitions() {
		width[tp.Topic] = max(width[tp.Topic], int(tp.Partition)+1)
	}
	from := map[experiments.TopicPartition]int64{}
	for _, s := range k.streams {
		if err := s.open(ctx, width[s.Topic()]); err != nil {
			return err
		}
		for p := range s.parts {
			tp := experiments.TopicPartition{Topic: s.Topic(), Partition: int32(p)}
			next := k.begin(s, tp, begins[tp])
			if prior, ok := from[tp]; !ok || next < prior {
				from[tp] = next
			}
		}
	}
	if err := k.log.Start(from); err != nil {
		return fmt.Errorf("reading changes: %w", err)
	}
	k.started = true
	return nil
}

// begin settles where a stream reads a partition that begins at first. A compacted
// topic has gaps everywhere and begins where it always did.
func (k *Keeper) begin(s *Stream, tp experiments.TopicPartition, first int64) int64 {
	p := &s.parts[tp.Partition]
	switch {
	case p.Next == experiments.OffsetEarliest:
		p.Next = first
	case p.Next < first && k.opts.AcceptGap:
		k.opts.Log.Warn("changes are lost: the log no longer holds them", "dimension", s.dimension.Name, "topic", tp.Topic, "partition", tp.Partition, "from", p.Next, "to", first)
		p.Next = first
	}
	return p.Next
}

// round is one turn: poll, and take in.
func (k *Keeper) round(ctx context.Context) error {
	if k.opts.inputDone() && k.opts.UntilEnd && !k.ends {
		if err := k.learnEnds(ctx); err != nil {
			return err
		}
	}
	fetched, err := k.log.Poll(ctx, k.opts.PollRecords, k.opts.PollWait)
	if err != nil {
		return err
	}
	nowMS := k.nowMS()
	for _, s := range k.streams {
		for i := range fetched {
			if f := &fetched[i]; f.Topic == s.Topic() {
				if err := s.take(ctx, f, nowMS, k.opts.Letters); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (k *Keeper) learnEnds(ctx context.Context) error {
	ends, err := k.log.Ends(ctx)
	if err != nil {
		return err
	}
	for _, s := range k.streams {
		for p := range s.parts {
			s.parts[p].end = ends[experiments.TopicPartition{Topic: s.Topic(), Partition: int32(p)}]
		}
	}
	k.ends = true
	return nil
}

func (k *Keeper) isFull() bool {
	for _, s := range k.streams {
		if s.isFull(k.opts.MaxBytes) {
			return true
		}
	}
	return false
}

func (k *Keeper) ended() bool {
	for _, s := range k.streams {
		if !s.isRead() {
			return false
		}
	}
	return k.opts.UntilEnd && k.ends
}

func (k *Keeper) commit(ctx context.Context) error {
	if !k.started {
		return nil
	}
	k.lastDone = k.opts.Now()
	for _, s := range k.streams {
		if err := s.commit(ctx, k.nowMS(), k.opts.inputDone()); err != nil {
			return err
		}
	}
	if k.opts.Committed != nil {
		k.opts.Committed()
	}
	return nil
}
