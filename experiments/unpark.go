package experiments

import (
	"context"
	"fmt"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner"
)

// ParkedRows reads back the topic in which a group keeps the rows that wait.
type ParkedRows interface {
	// Read calls fn for the committed records of a partition, from its first to the
	// last that was written before Read was called, in order; a nil value is a
	// tombstone. It waits for what transactions hold open there: whoever reads has
	// the partition's task. It may begin anew on the way. Slices are valid during
	// the call. An error of fn ends it and is returned as it is.
	Read(ctx context.Context, partition int32, fn func(key, value []byte) error) error
}

// bringBack gives a task that is being opened the rows that wait, and compares
// their number with the committed account. Where that says that there are none, the
// topic is not read.
func (w *Worker) bringBack(ctx context.Context, r *runner, at *joiner.Snapshot) error {
	waiting, remembered := int64(0), int64(0)
	if at != nil {
		for i := range at.Ledgers {
			waiting += at.Ledgers[i].Impressions.Parked
			remembered += at.Ledgers[i].Remembered
		}
	}
	switch {
	case at != nil && waiting+remembered == 0:
		return nil
	case r.parked == nil && waiting > 0:
		return fmt.Errorf("consumer group %s, partition %d: %d rows wait for dimensions, and no experiment has one with missing: wait: run the former definition until they are written", w.name, r.partition, waiting)
	case r.parked == nil && r.amends == nil: // nothing is corrected any more
		return w.checkParked(r, at, nil)
	}
	values, err := w.readParked(ctx, r.partition)
	if err != nil {
		return err
	}
	var all []*parkedRow
	for _, key := range sortedKeys(values) {
		p, err := w.parkedAt(r, key, values[key])
		switch {
		case err != nil:
			return err
		case at == nil, p.isWritten() && r.amends == nil: // another life of the group has left it, or it is no longer to be corrected
			r.out.endParked([]byte(key))
		case p.isWritten():
			r.amends.add(p)
			all = append(all, p)
		case r.parked == nil: // the account knows of none: it was left by another life
			r.out.endParked([]byte(key))
		default:
			r.parked.add(p)
			all = append(all, p)
		}
	}
	return w.checkParked(r, at, all)
}

// readParked returns the values of the rows that wait, by key.
func (w *Worker) readParked(ctx context.Context, partition int32) (map[string][]byte, error) {
	values := map[string][]byte{}
	err := w.opts.Parked.Read(ctx, partition, func(key, value []byte) error {
		if value == nil {
			delete(values, string(key))
			return nil
		}
		values[string(key)] = slices.Clone(value)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading back the rows that wait, of partition %d: %w", partition, err)
	}
	return values, nil
}

func (w *Worker) parkedAt(r *runner, key string, value []byte) (*parkedRow, error) {
	name, offset, ok := readParkedKey([]byte(key))
	exp := slices.IndexFunc(w.pipeline.experimentNames(), func(known string) bool { return known == name })
	if !ok || exp < 0 {
		return nil, fmt.Errorf("topic %s, partition %d, has a record with the key %q, which is no row's of this pipeline: something else writes it", ParkedTopic(w.name), r.partition, key)
	}
	p, err := r.parkedOf(exp, value)
	if err != nil || p.entry.Offset != offset {
		return nil, fmt.Errorf("topic %s, partition %d, key %s: %w", ParkedTopic(w.name), r.partition, key, errParked)
	}
	return p, nil
}

func (p *Pipeline) experimentNames() (names []string) {
	for _, e := range p.Experiments {
		names = append(names, e.Name)
	}
	return names
}

// checkParked compares the rows that were brought back with the account. With leave
// to lose, those that are gone are counted as lost. Of rows that may be corrected the
// topic tells the number.
func (w *Worker) checkParked(r *runner, at *joiner.Snapshot, all []*parkedRow) error {
	if at == nil {
		return nil
	}
	for exp := range at.Ledgers {
		l := &at.Ledgers[exp]
		got := int64(0)
		l.Remembered = 0
		for _, p := range all {
			switch {
			case p.exp != exp:
			case p.isWritten():
				l.Remembered++
			default:
				got++
			}
		}
		lost := l.Impressions.Parked - got
		if lost == 0 {
			continue
		}
		if lost < 0 || !w.opts.AcceptGap {
			return fmt.Errorf("%s: %d rows wait for dimensions in partition %d, and topic %s has %d: it was made anew, or cleaned up otherwise than by compaction: count them as lost with --accept-gap, or begin anew with another --group: %w",
				w.pipeline.Experiments[exp].Path, l.Impressions.Parked, r.partition, ParkedTopic(w.name), got, joiner.ErrLost)
		}
		l.Impressions.Parked = got
		l.Impressions.Dropped[mortise.ReasonLost] += lost
	}
	return nil
}

// noteParking keeps the counts of a task that is closed.
func (w *Worker) noteParking(r *runner) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.parked != nil {
		w.waited.add(&r.parked.stats)
	}
	if r.amends != nil {
		w.amended.add(&r.amends.stats)
	}
}

// parkingStatus says which rows wait; nil where none may. The caller holds mu.
func (w *Worker) parkingStatus(may bool, past ParkingStats, of func(*runner) *parking) *ParkingStatus {
	if !may {
		return nil
	}
	s := &ParkingStatus{ParkingStats: past, Topic: ParkedTopic(w.name)}
	for _, r := range w.runners {
		k := of(r)
		s.add(&k.stats)
		s.Rows, s.Bytes = s.Rows+int64(len(k.rows)), s.Bytes+k.bytes
		for _, p := range k.order { // the first that is still there has waited longest, or nearly
			if !p.gone {
				if s.OldestMS == 0 || p.sinceMS < s.OldestMS {
					s.OldestMS = p.sinceMS
				}
				break
			}
		}
	}
	return s
}
