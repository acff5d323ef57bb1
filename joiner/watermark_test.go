package joiner

import "testing"

func TestWatermarkIsTheLeastPartition(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a, b := w.AddInput(30, 60_000, 0), w.AddInput(10, 60_000, 0)
	if got := w.Advance(0); got != NoTimeMS {
		t.Fatalf("before any event: %d", got)
	}
	w.Observe(a, 1000, 1)
	if got := w.Advance(1); got != NoTimeMS {
		t.Fatalf("while one partition is unheard: %d", got)
	}
	w.Observe(b, 500, 2)
	if got := w.Advance(2); got != 490 {
		t.Fatalf("got %d, want the lesser's 500-10", got)
	}
	w.Observe(b, 400, 3)
	if got := w.Advance(3); got != 490 {
		t.Fatalf("went back to %d", got)
	}
	w.Observe(b, 5000, 4)
	if got := w.Advance(4); got != 970 {
		t.Fatalf("got %d, want 1000-30", got)
	}
	if got := w.Holding(4); got != a {
		t.Fatalf("held by %d, want %d", got, a)
	}
}

// A partition is idle only when caught up and silent; one that merely is not
// read, being paused or slow, keeps holding.
func TestIdleNeedsCaughtUpAndSilent(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a, b := w.AddInput(0, 60_000, 0), w.AddInput(0, 60_000, 0)
	w.Observe(a, 900_000, 0)
	w.Observe(b, 100, 0)
	w.SetCaughtUp(b, false, 0)
	if got := w.Advance(1_000_000); got != 100 {
		t.Fatalf("a partition that lags was passed over: %d", got)
	}
	w.SetCaughtUp(b, true, 1_000_000)
	if got := w.Advance(1_059_999); got != 100 {
		t.Fatalf("silent for less than idle_after: %d", got)
	}
	w.Observe(a, 900_001, 1_060_000)
	if got := w.Advance(1_060_000); got != 900_001 {
		t.Fatalf("idle, and yet it holds: %d", got)
	}
	w.Observe(b, 900_500, 1_060_001) // back, and ahead of the other
	if got := w.Advance(1_060_001); got != 900_001 {
		t.Fatalf("got %d", got)
	}
}

// An empty partition is an ordinary case.
func TestEmptyPartitionBecomesIdle(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a, b := w.AddInput(0, 1000, 0), w.AddInput(0, 1000, 0)
	w.Observe(a, 5000, 10)
	w.SetCaughtUp(b, true, 10)
	if got := w.Advance(500); got != NoTimeMS {
		t.Fatalf("not idle yet: %d", got)
	}
	if got := w.Advance(1010); got != 5000 {
		t.Fatalf("an empty partition holds: %d", got)
	}
}

// When all are caught up and silent the last windows close as wall time goes on,
// from where event time stood: history does not jump to now.
func TestWallTimeTakesOverWhenAllAreIdle(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a, b := w.AddInput(10, 1000, 0), w.AddInput(10, 1000, 0)
	w.Observe(a, 50_000, 200)
	w.Observe(b, 40_000, 300)
	w.SetCaughtUp(a, true, 300)
	w.SetCaughtUp(b, true, 300)
	if got := w.Advance(1299); got != 39_990 && got != 49_990 {
		t.Fatalf("got %d", got)
	}
	if got, want := w.Advance(1300), int64(49_990+1000); got != want {
		t.Fatalf("got %d, want %d", got, want)
	}
	if got, want := w.Advance(3_600_300), int64(49_990+3_600_000); got != want {
		t.Fatalf("an hour later: got %d, want %d", got, want)
	}
}

// A restarted task goes on from its clock even when nothing more comes.
func TestRestartedClockRunsOnWhenIdle(t *testing.T) {
	w := NewWatermarks(70_000)
	a := w.AddInput(10, 1000, 5000)
	w.SetCaughtUp(a, true, 5000)
	if got := w.Advance(5500); got != 70_000 {
		t.Fatalf("got %d", got)
	}
	if got := w.Advance(7000); got != 72_000 {
		t.Fatalf("got %d, want two seconds on", got)
	}
	if got := w.Advance(8000); got != 73_000 {
		t.Fatalf("got %d: wall time was counted twice", got)
	}
}

func TestEndedInputsDoNotHold(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	a, b := w.AddInput(0, 1000, 0), w.AddInput(0, 1000, 0)
	w.Observe(a, 100, 0)
	w.Observe(b, 900, 0)
	w.End(a)
	if got := w.Advance(0); got != 900 {
		t.Fatalf("got %d", got)
	}
	w.End(b)
	if !w.Ended() || w.Advance(10_000) != 900 {
		t.Fatalf("the end moved the watermark to %d", w.Current())
	}
}

// A source in order of event time says how far it has come, whatever its slack,
// and while it is silent.
func TestWatermarkOfACompleteSource(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	main, label := w.AddInput(30, 0, 0), w.AddInput(30, 0, 0)
	w.Observe(main, 100, 0)
	w.Complete(main, 99)
	if got := w.Advance(0); got != NoTimeMS {
		t.Fatalf("the label stream has not said anything yet: watermark %d", got)
	}
	w.Complete(label, 99)
	if got := w.Advance(0); got != 99 {
		t.Fatalf("watermark %d, want 99", got)
	}
	w.Observe(main, 500, 0)
	w.Complete(main, 120)
	w.Complete(label, 120)
	if got := w.Advance(0); got != 120 {
		t.Fatalf("watermark %d, want 120", got)
	}
	w.Complete(label, 90)
	w.End(main)
	if got := w.Advance(0); got != 120 {
		t.Fatalf("watermark %d, want 120: it never goes back", got)
	}
}
