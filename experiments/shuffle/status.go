package shuffle

import "github.com/mortise-dev/mortise/experiments"

// Status returns a copy of what the shuffler did last. Safe for concurrent use.
func (s *Shuffler) Status() experiments.ShuffleStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// observe renews the status after a round.
func (s *Shuffler) observe() {
	way := s.opts.Way
	st := experiments.ShuffleStatus{Source: way.Source, Group: way.Group, Origin: way.Origin, Topic: way.Topic,
		Records: s.counts.records, Unreadable: s.counts.unreadable, Left: s.counts.left, SentBytes: s.counts.sentBytes, Lost: s.counts.lost, Commits: s.counts.commits}
	for _, l := range s.lanes {
		st.Origins = append(st.Origins, experiments.OriginStatus{Partition: l.at.Partition, Next: l.next, High: l.high, MaxTimeMS: l.maxMS, Idle: l.idle})
	}
	s.mu.Lock()
	s.status = st
	s.mu.Unlock()
}
