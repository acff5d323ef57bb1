package joiner

import "testing"

// today is wall time, long after the events of these tests.
const today = 1_000_000_000

func TestWatermarkIsTheLeastPartition(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a, b := w.AddInput(30, 60_000, today), w.AddInput(10, 60_000, today)
	if got := w.Advance(today); got != NoTimeMS {
		t.Fatalf("before any event: %d", got)
	}
	w.Observe(a, 1000, today+1)
	if got := w.Advance(today + 1); got != NoTimeMS {
		t.Fatalf("while one partition is unheard: %d", got)
	}
	w.Observe(b, 500, today+2)
	if got := w.Advance(today + 2); got != 490 {
		t.Fatalf("got %d, want the lesser's 500-10", got)
	}
	w.Observe(b, 400, today+3)
	if got := w.Advance(today + 3); got != 490 {
		t.Fatalf("went back to %d", got)
	}
	w.Observe(b, 5000, today+4)
	if got := w.Advance(today + 4); got != 970 {
		t.Fatalf("got %d, want 1000-30", got)
	}
	if got := w.Holding(today + 4); got != a {
		t.Fatalf("held by %d, want %d", got, a)
	}
}

// A partition is idle only when caught up and silent; one that merely is not
// read, being paused or slow, keeps holding.
func TestIdleNeedsCaughtUpAndSilent(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a, b := w.AddInput(0, 60_000, today), w.AddInput(0, 60_000, today)
	w.Observe(a, 900_000, today)
	w.Observe(b, 100, today)
	w.SetCaughtUp(b, false, 0, today)
	if got := w.Advance(today + 1_000_000); got != 100 {
		t.Fatalf("a partition that lags was passed over: %d", got)
	}
	w.SetCaughtUp(b, true, 0, today+1_000_000)
	if got := w.Advance(today + 1_059_999); got != 100 {
		t.Fatalf("silent for less than idle_after: %d", got)
	}
	w.Observe(a, 900_001, today+1_060_000)
	if got := w.Advance(today + 1_060_000); got != 900_001 {
		t.Fatalf("idle, and yet it holds: %d", got)
	}
	w.Observe(b, 900_500, today+1_060_001) // back, and ahead of the other
	if got := w.Advance(today + 1_060_001); got != 900_001 {
		t.Fatalf("got %d", got)
	}
}

// Silence is what a broker says of a partition, as of when it was asked: time that
// passes while it cannot be asked is none.
func TestSilenceIsAsOfTheLastAnswer(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a, b := w.AddInput(0, 60_000, today), w.AddInput(0, 60_000, today)
	w.Observe(a, 900_000, today)
	w.Observe(b, 100, today)
	w.SetCaughtUp(a, true, today, today)
	w.SetCaughtUp(b, true, today, today)
	if got := w.Advance(today + 1_000_000); got != 100 || w.Idle(b, today+1_000_000) {
		t.Fatalf("a partition that nobody could ask was passed over: %d", got)
	}
	w.Observe(a, 900_001, today+1_000_000)
	w.SetCaughtUp(a, true, today+1_000_000, today+1_000_000)
	w.SetCaughtUp(b, true, today+59_999, today+1_000_000)
	if got := w.Advance(today + 1_000_000); got != 100 {
		t.Fatalf("silent for less than idle_after when it was asked: %d", got)
	}
	w.SetCaughtUp(b, true, today+990_000, today+1_000_000)
	if got := w.Advance(today + 1_000_000); got != 900_001 || !w.Idle(b, today+1_000_000) {
		t.Fatalf("idle, and yet it holds: %d", got)
	}
	// Nobody can be asked any more: it holds again, and the clock of those that are
	// all idle stands still.
	if w.Idle(b, today+1_050_001) {
		t.Fatal("idle for ever, although nobody says so")
	}
	w.SetCaughtUp(a, true, today+1_061_000, today+1_061_000)
	w.SetCaughtUp(b, true, today+1_060_500, today+1_061_000)
	if got := w.Advance(today + 1_061_500); got != 900_001+60_500 {
		t.Fatalf("all idle: %d, want the clock as of the earlier answer", got)
	}
}

// Silence counts from when the input is all there, not from an answer before it.
func TestSilenceBeginsWithTheInput(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a := w.AddInput(0, 300, today)
	w.Observe(a, 100, today)
	w.SetCaughtUp(a, false, today, today+100)
	w.SetCaughtUp(a, true, today+50, today+200)
	w.SetCaughtUp(a, true, today+450, today+900)
	if w.Idle(a, today+900) {
		t.Error("silent for 250 ms when it was asked, and idle")
	}
	w.SetCaughtUp(a, true, today+500, today+900)
	if !w.Idle(a, today+900) {
		t.Error("silent for 300 ms, and not idle")
	}
}

// An empty partition is an ordinary case.
func TestEmptyPartitionBecomesIdle(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a, b := w.AddInput(0, 1000, today), w.AddInput(0, 1000, today)
	w.Observe(a, 5000, today+10)
	w.SetCaughtUp(b, true, 0, today+10)
	if got := w.Advance(today + 500); got != NoTimeMS {
		t.Fatalf("not idle yet: %d", got)
	}
	if got := w.Advance(today + 1010); got != 5000 {
		t.Fatalf("an empty partition holds: %d", got)
	}
}

// When all are caught up and silent the last windows close as wall time goes on,
// from where event time stood: history does not jump to now.
func TestWallTimeTakesOverWhenAllAreIdle(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a, b := w.AddInput(10, 1000, today), w.AddInput(10, 1000, today)
	w.Observe(a, 50_000, today+200)
	w.Observe(b, 40_000, today+300)
	w.SetCaughtUp(a, true, 0, today+300)
	w.SetCaughtUp(b, true, 0, today+300)
	if got := w.Advance(today + 1299); got != 39_990 && got != 49_990 {
		t.Fatalf("got %d", got)
	}
	if got, want := w.Advance(today+1300), int64(49_990+1000); got != want {
		t.Fatalf("got %d, want %d", got, want)
	}
	if got, want := w.Advance(today+3_600_300), int64(49_990+3_600_000); got != want {
		t.Fatalf("an hour later: got %d, want %d", got, want)
	}
}

// A restarted task goes on from its clock even when nothing more comes.
func TestRestartedClockRunsOnWhenIdle(t *testing.T) {
	w := NewWatermarks(70_000)
	a := w.AddInput(10, 1000, today+5000)
	w.SetCaughtUp(a, true, 0, today+5000)
	if got := w.Advance(today + 5500); got != 70_000 {
		t.Fatalf("got %d", got)
	}
	if got := w.Advance(today + 7000); got != 72_000 {
		t.Fatalf("got %d, want two seconds on", got)
	}
	if got := w.Advance(today + 8000); got != 73_000 {
		t.Fatalf("got %d: wall time was counted twice", got)
	}
}

func TestEndedInputsDoNotHold(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a, b := w.AddInput(0, 1000, today), w.AddInput(0, 1000, today)
	w.Observe(a, 100, today)
	w.Observe(b, 900, today)
	w.End(a)
	if got := w.Advance(today); got != 900 {
		t.Fatalf("got %d", got)
	}
	w.End(b)
	if !w.Ended() || w.Advance(today+10_000) != 900 {
		t.Fatalf("the end moved the watermark to %d", w.Current())
	}
}

// A source in order of event time says how far it has come, whatever its slack,
// and while it is silent.
func TestWatermarkOfACompleteSource(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	main, label := w.AddInput(30, 0, today), w.AddInput(30, 0, today)
	w.Observe(main, 100, today)
	w.Complete(main, 99)
	if got := w.Advance(today); got != NoTimeMS {
		t.Fatalf("the label stream has not said anything yet: watermark %d", got)
	}
	w.Complete(label, 99)
	if got := w.Advance(today); got != 99 {
		t.Fatalf("watermark %d, want 99", got)
	}
	w.Observe(main, 500, today)
	w.Complete(main, 120)
	w.Complete(label, 120)
	if got := w.Advance(today); got != 120 {
		t.Fatalf("watermark %d, want 120", got)
	}
	w.Complete(label, 90)
	w.End(main)
	if got := w.Advance(today); got != 120 {
		t.Fatalf("watermark %d, want 120: it never goes back", got)
	}
}

// TestEventsAheadOfTheClock: what has not happened yet moves the watermark up to
// now and no further, so that the others' events are not late.
func TestEventsAheadOfTheClock(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a, b := w.AddInput(10, 1000, today), w.AddShuffled(10, today)
	for _, later := range []int64{3_600_000, 5000, 0} {
		w.Observe(a, today+later, today)
		w.ObserveFrom(b, 0, today+later, today)
		w.Heard(b, 0, 1, today+later, false, today)
		if got := w.Advance(today); got != today-10 {
			t.Fatalf("an event %d ms ahead moved the watermark to %d, %d from now", later, got, got-today)
		}
		if a, b := w.MaxTimeMS(a), w.MaxTimeMS(b); a != today || b != today {
			t.Fatalf("an event %d ms ahead makes the inputs seem ahead of now, by %d and %d", later, a-today, b-today)
		}
	}
}
