package changing

import "math"

// reading is one partition of a stream.
type reading struct {
	mark
	high     int64
	end      int64 // where it ends, once that is known; -1 before
	caughtUp bool
	away     bool  // another worker's
	sinceMS  int64 // wall time since when it has been read to its end
}

func (r *reading) observe(atMS int64) {
	if r.MaxMS == nil || *r.MaxMS < atMS {
		at := atMS
		r.MaxMS = &at
	}
}

// follow notes what a poll has said of the partition.
func (r *reading) follow(next, high, nowMS int64, records int) {
	r.Next, r.high = max(r.Next, next), high
	if records > 0 {
		r.HeardMS = nowMS
	}
	caughtUp := r.Next >= r.high
	if caughtUp && !r.caughtUp {
		r.sinceMS = nowMS
	}
	r.caughtUp = caughtUp
}

// finalMS is the time before which every change of the partition has come, as far
// as outOfOrderMS, by which a change may be written later than it was made, can
// tell. A partition that is read to its end and silent for idleMS is as far as
// the clock.
func (r *reading) finalMS(outOfOrderMS, idleMS, nowMS int64, inputDone bool) int64 {
	if r.end >= 0 && r.Next >= r.end {
		return math.MaxInt64
	}
	final := int64(math.MinInt64)
	if r.MaxMS != nil {
		final = *r.MaxMS - outOfOrderMS
	}
	if r.caughtUp && inputDone && nowMS-r.HeardMS >= idleMS && (r.HeardMS > 0 || nowMS-r.sinceMS >= idleMS || r.high == 0) {
		final = max(final, nowMS-outOfOrderMS)
	}
	return final
}
