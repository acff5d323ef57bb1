package shuffle

import (
	"context"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
)

// send sends one record on, keyed by its partition_by. What has none, or can't be
// read, goes where the others of its origin go: a task makes a dead letter of it.
func (s *Shuffler) send(l *lane, rec *mortise.Record, nowMS int64) error {
	timeMS, key, ok := s.extract.Read(rec)
	if err := s.extract.Err(); err != nil {
		return err
	}
	s.counts.records++
	switch {
	case !ok || key == nil:
		key = l.unreadable
		s.counts.unreadable++
	case timeMS <= nowMS+s.aheadMS:
		l.maxMS = max(l.maxMS, min(timeMS, nowMS)) // no event has happened yet that lies ahead
		if s.firstMS == joiner.NoTimeMS || timeMS < s.firstMS {
			s.firstMS = timeMS
		}
	}
	s.origin = experiments.AppendOrigin(s.origin[:0], rec, key)
	o := &s.out
	o.Topic, o.Key, o.Value, o.TimestampMS = s.opts.Way.Topic, key, rec.Value, nowMS
	o.Headers = append(append(o.Headers[:0], experiments.Header{Key: experiments.OriginHeader, Value: s.origin}), rec.Headers...)
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
