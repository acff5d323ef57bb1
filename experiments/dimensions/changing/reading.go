package changing

import (
	"math"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
)

// reading is one partition of a stream.
type reading struct {
	mark
	high     int64
	asOfMS   int64 // when high was its end, by wall time; 0: it holds until something else is said
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
func (r *reading) follow(f *experiments.Fetched, nowMS int64, records int) {
	r.Next, r.high, r.asOfMS = max(r.Next, f.Next), f.HighWatermark, f.EndAsOfMS
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
	seenMS := joiner.SeenMS(r.asOfMS, nowMS)
	if r.caughtUp && inputDone && seenMS-r.HeardMS >= idleMS && (r.HeardMS > 0 || seenMS-r.sinceMS >= idleMS || r.high == 0) {
		final = max(final, seenMS-outOfOrderMS)
	}
	return final
}
