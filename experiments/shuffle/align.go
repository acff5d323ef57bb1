package shuffle

import (
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
)

// Elsewhere is how far an origin has come that somebody else reads and that has
// records to be read, in event time less its out_of_orderness.
type Elsewhere struct {
	experiments.TopicPartition
	ReachedMS int64
}

// align pauses the origins that run ahead of the others in event time. Tasks
// cannot: in their partitions origins are mixed, and what they hold for one that
// is behind would grow with how far it is.
func (s *Shuffler) align() {
	base, known := s.least()
	s.paused = s.paused[:0]
	for _, l := range s.lanes {
		l.paused = known && l.maxMS != joiner.NoTimeMS && l.maxMS-s.slackMS > base+s.opts.MaxAhead.Milliseconds()
		if l.paused {
			s.paused = append(s.paused, l.at)
		}
	}
	s.transport.SetPaused(s.paused)
}

// least returns how far the origin has come that is furthest behind, of those
// that have records to be read. One that has had no event yet stands at the
// first that any had.
func (s *Shuffler) least() (ms int64, known bool) {
	note := func(reachedMS int64) {
		if !known || reachedMS < ms {
			ms, known = reachedMS, true
		}
	}
	for _, l := range s.lanes {
		switch {
		case !l.behind():
		case l.maxMS != joiner.NoTimeMS:
			note(l.maxMS - s.slackMS)
		case s.firstMS != joiner.NoTimeMS:
			note(s.firstMS - s.slackMS)
		}
	}
	if s.opts.Elsewhere == nil {
		return ms, known
	}
	for _, e := range s.opts.Elsewhere() {
		if s.lane(e.TopicPartition) == nil { // of our own we know better
			note(e.ReachedMS)
		}
	}
	return ms, known
}
