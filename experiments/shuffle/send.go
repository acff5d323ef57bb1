package shuffle

import (
	"context"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
)

// send sends one record on, as its carrier makes it.
func (s *Shuffler) send(l *lane, rec *mortise.Record, nowMS int64) error {
	o := &s.out
	o.Topic, o.TimestampMS = s.opts.Way.Topic, nowMS
	c, err := s.carrier.Carry(rec, nowMS, o)
	if err != nil {
		return err
	}
	s.counts.records++
	if c.Unreadable {
		s.counts.unreadable++
	}
	if c.TimeMS != joiner.NoTimeMS {
		l.maxMS = max(l.maxMS, min(c.TimeMS, nowMS)) // no event has happened yet that lies ahead
		if s.firstMS == joiner.NoTimeMS || c.TimeMS < s.firstMS {
			s.firstMS = c.TimeMS
		}
	}
	if !c.Send {
		s.counts.left++
		return nil
	}
	s.counts.sentBytes += int64(len(o.Key) + len(o.Value))
	return s.transport.Produce(o)
}

// commitLast commits what is done although ctx is over.
func (s *Shuffler) commitLast(ctx context.Context) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return s.commit(last)
}

// commit commits what was sent, how far the origins have come, and the offsets.
func (s *Shuffler) commit(ctx context.Context) error {
	now := s.opts.Now()
	s.lastDone = now
	all := now.Sub(s.lastAll) >= s.opts.AnnounceEvery
	if !s.dirty && !all || len(s.lanes) == 0 {
		return nil
	}
	if all {
		s.lastAll = now
	}
	if err := s.mark(all); err != nil {
		return err
	}
	offsets := map[experiments.TopicPartition]experiments.CommittedOffset{}
	for _, l := range s.lanes {
		if l.next >= 0 {
			offsets[l.at] = l.committed()
		}
	}
	if err := s.transport.Commit(ctx, offsets); err != nil {
		return err
	}
	for _, l := range s.lanes {
		l.lost = 0
	}
	s.dirty = false
	s.counts.commits++
	return nil
}
