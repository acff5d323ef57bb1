package joiner

import "math"

// NoTimeMS is the watermark before any event: nothing is known.
const NoTimeMS = math.MinInt64

// Watermarks derives a task's watermark from its input partitions:
// min over partitions of (max event time − out_of_orderness).
//
// A partition is idle, and stops holding the watermark back, only when it is
// caught up and silent for its idle_after, by what its broker says: one that cannot
// be asked is not silent, it is merely not heard. When all are idle, wall time takes
// over: the watermark goes on from where the furthest partition left it, as
// fast as the clock, so that the last windows close, and replayed history does
// not close at once. Time comes in as an argument; nothing here reads a clock.
//
// An input may also be shuffled: then it mixes partitions of another topic, its
// origins, each with a clock of its own.
type Watermarks struct {
	inputs  []input
	startMS int64 // where it stood when it was made; wall time goes on from there when nothing comes
	current int64 // never goes back
}

type input struct {
	slackMS    int64 // out_of_orderness
	idleMS     int64 // idle_after; <= 0: never idle
	maxMS      int64 // max event time seen
	completeMS int64 // all up to here has come, as its source says; NoTimeMS where that is not known
	lastWallMS int64 // when it was last heard, or when it started
	caughtUp   bool
	asOfMS     int64 // of caughtUp, by wall time; 0: until something else is said
	ended      bool

	shuffled bool
	told     bool     // by a marker, how many origins there are
	origins  []origin // by number
}

// NewWatermarks returns Watermarks without inputs, which never go back before startMS
// (NoTimeMS when new, the checkpointed watermark when resumed).
func NewWatermarks(startMS int64) *Watermarks { return &Watermarks{startMS: startMS, current: startMS} }

// AddInput adds one partition and returns its index. nowMS is wall time.
func (w *Watermarks) AddInput(outOfOrdernessMS, idleAfterMS, nowMS int64) int {
	w.inputs = append(w.inputs, input{slackMS: outOfOrdernessMS, idleMS: idleAfterMS, maxMS: NoTimeMS, completeMS: NoTimeMS, lastWallMS: nowMS})
	return len(w.inputs) - 1
}

// Observe takes note of an event of input i. One that lies ahead of wall time moves
// the input's clock up to that: what is certain is that nothing later has happened
// yet, and a single wrong clock must not make all others' events late.
func (w *Watermarks) Observe(i int, timeMS, nowMS int64) {
	in := &w.inputs[i]
	in.lastWallMS = nowMS
	timeMS = min(timeMS, nowMS)
	if timeMS > in.maxMS {
		in.maxMS = timeMS
	}
}

// Complete says that all events of input i up to and at timeMS have come. A source
// that is in order of event time knows it, even while this input is silent: from
// then on that counts, and not what is seen.
func (w *Watermarks) Complete(i int, timeMS int64) {
	in := &w.inputs[i]
	in.completeMS = max(in.completeMS, timeMS)
}

// SetCaughtUp says whether input i has been read to its end, as that was at wall
// time asOfMS; 0 says that it holds until something else is said. Silence counts from
// when it was read: one that lags merely has not been.
func (w *Watermarks) SetCaughtUp(i int, caughtUp bool, asOfMS, nowMS int64) {
	in := &w.inputs[i]
	in.asOfMS = asOfMS
	if !in.shuffled && (!caughtUp || !in.caughtUp) {
		in.lastWallMS = nowMS // of a shuffled one its own markers tell
	}
	in.caughtUp = caughtUp
}

// End says that input i will bring nothing more.
func (w *Watermarks) End(i int) { w.inputs[i].ended = true }

// Ended reports whether every input has ended.
func (w *Watermarks) Ended() bool {
	for i := range w.inputs {
		if !w.inputs[i].ended {
			return false
		}
	}
	return true
}

// Idle reports whether input i is idle at nowMS.
func (w *Watermarks) Idle(i int, nowMS int64) bool {
	in := &w.inputs[i]
	if in.shuffled {
		return in.caughtUp && in.allIdle()
	}
	seenMS := in.seenMS(nowMS)
	return in.caughtUp && in.idleMS > 0 && seenMS-in.lastWallMS >= in.idleMS && nowMS-seenMS <= max(in.idleMS, minUnseenMS)
}

// minUnseenMS is for how long at least an input that is idle stays so although
// nobody says that it still ends where it did.
const minUnseenMS = 5_000

// seenMS is up to when it is known where the input ends.
func (in *input) seenMS(nowMS int64) int64 {
	if in.shuffled {
		return nowMS
	}
	return SeenMS(in.asOfMS, nowMS)
}

// SeenMS is up to when, by wall time, what was said as of asOfMS is known to hold at
// nowMS; an asOfMS of 0 says that it holds until something else is said.
func SeenMS(asOfMS, nowMS int64) int64 {
	if asOfMS == 0 {
		return nowMS
	}
	return min(asOfMS, nowMS)
}

// Holding returns the input that holds the watermark back at nowMS, or -1 when
// none does: all are idle or ended.
func (w *Watermarks) Holding(nowMS int64) int {
	hold, least := -1, int64(math.MaxInt64)
	for i := range w.inputs {
		in := &w.inputs[i]
		if in.ended || w.Idle(i, nowMS) {
			continue
		}
		if at := in.reachedMS(); hold < 0 || at < least {
			hold, least = i, at
		}
	}
	return hold
}

// MaxTimeMS returns the greatest event time of input i, NoTimeMS before any.
func (w *Watermarks) MaxTimeMS(i int) int64 { return w.inputs[i].maxMS }

// ReachedMS returns the watermark that input i alone would give.
func (w *Watermarks) ReachedMS(i int) int64 { return w.inputs[i].reachedMS() }

func (in *input) reachedMS() int64 {
	if in.shuffled {
		return in.leastOrigin()
	}
	if in.maxMS == NoTimeMS || in.completeMS != NoTimeMS {
		return in.completeMS
	}
	return in.maxMS - in.slackMS
}

// Current returns the watermark without advancing it.
func (w *Watermarks) Current() int64 { return w.current }

// Advance returns the watermark at wall time nowMS. Inputs that have ended do
// not count; when all have, it stays where the last one left it: closing the
// rest is the owner's decision, for only it knows that the end is the end.
func (w *Watermarks) Advance(nowMS int64) int64 {
	least, active := int64(math.MaxInt64), false
	furthest, lastWallMS := w.startMS, int64(NoTimeMS)
	live, seenMS := false, nowMS
	for i := range w.inputs {
		in := &w.inputs[i]
		if in.maxMS != NoTimeMS {
			furthest = max(furthest, in.maxMS-in.slackMS)
		}
		lastWallMS = max(lastWallMS, in.lastWallMS)
		if in.ended {
			continue
		}
		live, seenMS = true, min(seenMS, in.seenMS(nowMS))
		if w.Idle(i, nowMS) {
			continue
		}
		active = true
		least = min(least, in.reachedMS())
	}
	switch {
	case active:
		w.current = max(w.current, least)
	case live && furthest != NoTimeMS:
		w.current = max(w.current, furthest+max(seenMS-lastWallMS, 0))
	}
	return w.current
}

// Restart makes the watermark stand at ms, as after a rebuild.
func (w *Watermarks) Restart(ms int64) {
	w.startMS, w.current = max(w.startMS, ms), max(w.current, ms)
}
