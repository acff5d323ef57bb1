package joiner

import "math"

// origin is one partition of the topic that a shuffled input was made from.
//
// Its records come in the order they had there, but those of several origins
// come mixed, and one may be hours behind another in being read. So disorder is
// bounded per origin only, and the input's clock is the least of its origins'.
// A record moves the clock of its own origin; for a task that gets none of an
// origin's records, markers between the records tell how far it has come, and
// whether it is idle. An origin that nothing has been heard of holds the clock.
type origin struct {
	maxMS int64
	idle  bool // caught up and silent, as judged where it is read
}

// AddShuffled adds a shuffled input and returns its index. nowMS is wall time.
func (w *Watermarks) AddShuffled(outOfOrdernessMS, nowMS int64) int {
	w.inputs = append(w.inputs, input{slackMS: outOfOrdernessMS, maxMS: NoTimeMS, lastWallMS: nowMS, shuffled: true})
	return len(w.inputs) - 1
}

// ObserveFrom takes note of an event that came to input i from an origin.
func (w *Watermarks) ObserveFrom(i, from int, timeMS, nowMS int64) {
	w.Observe(i, timeMS, nowMS)
	in := &w.inputs[i]
	o := in.origin(from)
	o.maxMS, o.idle = max(o.maxMS, min(timeMS, nowMS)), false
}

// Heard takes note of a marker of input i: of its origins, of which there are
// count, from has come to maxMS (NoTimeMS when it has had no events) and is idle
// or not. Silence counts from when a marker last brought something new.
func (w *Watermarks) Heard(i, from, count int, maxMS int64, idle bool, nowMS int64) {
	in := &w.inputs[i]
	in.told = true
	maxMS = min(maxMS, nowMS)
	in.origin(count - 1)
	o := in.origin(from)
	if maxMS > o.maxMS || idle != o.idle {
		in.lastWallMS = nowMS
	}
	o.maxMS, o.idle = max(o.maxMS, maxMS), idle
	in.maxMS = max(in.maxMS, maxMS)
}

// HoldingOrigin returns the origin that holds a shuffled input back, or -1 when
// none does or none is known.
func (w *Watermarks) HoldingOrigin(i int) int {
	hold := -1
	origins := w.inputs[i].origins
	for n := range origins {
		if o := &origins[n]; !o.idle && (hold < 0 || o.maxMS < origins[hold].maxMS) {
			hold = n
		}
	}
	return hold
}

// origin returns an origin, making room for it and those before it.
func (in *input) origin(n int) *origin {
	for n >= len(in.origins) {
		in.origins = append(in.origins, origin{maxMS: NoTimeMS})
	}
	return &in.origins[n]
}

func (in *input) allIdle() bool {
	for n := range in.origins {
		if !in.origins[n].idle {
			return false
		}
	}
	return in.told
}

// leastOrigin returns the watermark of a shuffled input: that of the least
// origin that is not idle, of the furthest when all are.
func (in *input) leastOrigin() int64 {
	if !in.told {
		return NoTimeMS
	}
	least := int64(math.MaxInt64)
	for n := range in.origins {
		if o := &in.origins[n]; !o.idle {
			least = min(least, o.maxMS)
		}
	}
	if least == math.MaxInt64 {
		least = in.maxMS
	}
	if least == NoTimeMS {
		return NoTimeMS
	}
	return least - in.slackMS
}
