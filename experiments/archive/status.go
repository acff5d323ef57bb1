package archive

import "github.com/mortise-dev/mortise/experiments"

// Status returns what the archiver did last. Safe for concurrent use.
func (a *Archiver) Status() experiments.ArchiveStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.status
	s.Partitions = append([]experiments.ArchivePartition{}, s.Partitions...)
	return s
}

// observe renews the status after a round.
func (a *Archiver) observe() {
	ar := a.opts.Archive
	s := experiments.ArchiveStatus{Experiment: ar.Experiment.Name, Topic: ar.Topic, Group: ar.Group}
	sum, now := a.past, a.opts.Now()
	for _, l := range a.lanes {
		sum.add(&l.counts)
		p := experiments.ArchivePartition{Partition: l.tp.Partition, Archived: l.archived(), End: max(l.high, l.archived()), Waiting: l.lag.waiting(now), MaxTimeMS: l.maxMS}
		if l.part != nil {
			p.OpenRows, p.OpenBytes = l.part.Rows(), l.part.Bytes()
		}
		s.Partitions = append(s.Partitions, p)
	}
	s.Rows, s.Bytes, s.Parts, s.Foreign, s.Missing, s.Failures, s.Publishes = sum.rows, sum.bytes, sum.parts, sum.foreign, sum.missing, sum.failures, sum.publishes
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Completed = a.status.Completed
	a.status = s
}
