package backfill

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill/extsort"
	"github.com/mortise-dev/mortise/experiments/offline"
)

// windowBytes is about how much of one split's records is held open at once: those
// of the busiest span as long as the delay, taken to be spread evenly over each
// spill.
func windowBytes(spills []*extsort.Spill, split int, delayMS int64) (most int64) {
	type stretch struct {
		minMS, maxMS int64
		bytes        float64
	}
	var all []stretch
	for _, s := range spills {
		if minMS, maxMS, ok := s.Span(split); ok {
			records, raw := s.Records(split)
			all = append(all, stretch{minMS, maxMS, float64(raw + recordBytes*records)})
		}
	}
	for i := range all {
		sum := 0.0
		from, to := all[i].maxMS-delayMS, all[i].maxMS
		for j := range all {
			s := &all[j]
			if in := min(s.maxMS, to) - max(s.minMS, from); in >= 0 {
				sum += s.bytes * float64(in+1) / float64(s.maxMS-s.minMS+1)
			}
		}
		most = max(most, int64(sum))
	}
	return most
}

// recordBytes is what a record costs in memory beside its bytes.
const recordBytes = 80

// stateTimes is how much more memory a state takes than what it holds: it grows
// by doubling, and what it has let go of is collected later.
const stateTimes = 2

// states hands out the state of splits. What is held open stays in memory as long
// as all that are at work fit there together; a split that does not fit by itself
// has its state on disk.
type states struct {
	limit int64
	room  *semaphore.Weighted
	disk  func(split int) (experiments.States, error)
}

func newStates(limitBytes int64, disk func(int) (experiments.States, error)) *states {
	return &states{limit: limitBytes, room: semaphore.NewWeighted(limitBytes), disk: disk}
}

// open waits for room for so many bytes of open records. release gives it back,
// once the states are closed.
func (s *states) open(ctx context.Context, split int, bytes int64) (st experiments.States, release func(), err error) {
	need := min(max(bytes*stateTimes, 1), s.limit)
	onDisk := bytes*stateTimes > s.limit && s.disk != nil
	if onDisk {
		need = s.limit / 2 // its buffers and caches
	}
	if err := s.room.Acquire(ctx, need); err != nil {
		return nil, nil, err
	}
	release = func() { s.room.Release(need) }
	if !onDisk {
		return offline.Memory(), release, nil
	}
	if st, err = s.disk(split); err != nil {
		release()
		return nil, nil, err
	}
	return st, release, nil
}
