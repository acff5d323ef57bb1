package joiner

import (
	"math/rand/v2"
	"testing"
)

func TestShuffledInputIsItsLeastOrigin(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	s, plain := w.AddShuffled(10, today), w.AddInput(0, 1000, today)
	w.Observe(plain, 9000, today)
	w.ObserveFrom(s, 1, 5000, today+1)
	if got := w.Advance(today + 1); got != NoTimeMS {
		t.Fatalf("before it is told how many origins there are: %d", got)
	}
	w.Heard(s, 1, 3, 5000, false, today+2)
	w.Heard(s, 0, 3, 7000, false, today+2)
	if got := w.Advance(today + 2); got != NoTimeMS {
		t.Fatalf("while one of three origins is unheard of: %d", got)
	}
	w.Heard(s, 2, 3, NoTimeMS, false, today+3) // it is there, and has had nothing
	if got := w.Advance(today + 3); got != NoTimeMS {
		t.Fatalf("while an origin has had no event and is not idle: %d", got)
	}
	w.Heard(s, 2, 3, NoTimeMS, true, today+3)
	if got := w.Advance(today + 3); got != 4990 {
		t.Fatalf("got %d, want the least origin's 5000-10", got)
	}
	if w.Holding(today+3) != s || w.HoldingOrigin(s) != 1 {
		t.Fatalf("held by input %d, origin %d; want %d and 1", w.Holding(today+3), w.HoldingOrigin(s), s)
	}
	w.ObserveFrom(s, 2, 100, today+4) // back, and far behind
	if got := w.Advance(today + 4); got != 4990 {
		t.Fatalf("went back to %d", got)
	}
	w.Heard(s, 1, 3, 8000, false, today+5)
	if got := w.Advance(today + 5); got != 4990 || w.HoldingOrigin(s) != 2 {
		t.Fatalf("%d, held by origin %d: an origin that is behind does not hold", got, w.HoldingOrigin(s))
	}
	w.Heard(s, 2, 3, 8500, false, today+6)
	if got := w.Advance(today + 6); got != 6990 {
		t.Fatalf("got %d, want 7000-10", got)
	}
	if w.MaxTimeMS(s) != 8500 || w.ReachedMS(s) != 6990 {
		t.Fatalf("furthest %d, reached %d", w.MaxTimeMS(s), w.ReachedMS(s))
	}
	if w.HoldingOrigin(plain) != -1 {
		t.Fatal("an ordinary input has origins")
	}
}

// A topic that grows has origins that hold until they are heard of.
func TestOriginsGrow(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	s := w.AddShuffled(0, today)
	w.Heard(s, 0, 1, 100, false, today)
	if got := w.Advance(today); got != 100 {
		t.Fatalf("got %d", got)
	}
	w.Heard(s, 0, 2, 500, false, today+1)
	if got := w.Advance(today + 1); got != 100 {
		t.Fatalf("the new origin does not hold: %d", got)
	}
	w.Heard(s, 1, 1, 400, false, today+2) // by one that has not seen it grow
	if got := w.Advance(today + 2); got != 400 {
		t.Fatalf("got %d", got)
	}
}

// Idle is what all origins are, by their markers, once those have been read;
// wall time then takes over from where the last news came.
func TestShuffledInputIsIdleWhenAllOriginsAre(t *testing.T) {
	w := NewWatermarks(NoTimeMS)
	s := w.AddShuffled(10, today)
	w.ObserveFrom(s, 0, 50_000, today+100)
	w.Heard(s, 0, 2, 50_000, false, today+100)
	w.Heard(s, 1, 2, 40_000, true, today+100)
	w.SetCaughtUp(s, true, 0, today+100)
	if got := w.Advance(today + 90_000); got != 49_990 || w.Idle(s, today+90_000) {
		t.Fatalf("got %d: silence here is not silence there", got)
	}
	w.Heard(s, 0, 2, 50_000, true, today+100_000)
	if !w.Idle(s, today+100_000) || w.Advance(today+100_000) != 49_990 {
		t.Fatalf("got %d", w.Current())
	}
	w.Heard(s, 0, 2, 50_000, true, today+101_000) // said again
	w.SetCaughtUp(s, false, 0, today+101_000)
	w.SetCaughtUp(s, true, 0, today+101_000)
	if got := w.Advance(today + 102_000); got != 51_990 {
		t.Fatalf("got %d, want two seconds on", got)
	}
	w.SetCaughtUp(s, false, 0, today+103_000) // something lies there unread
	if got := w.Advance(today + 200_000); got != 51_990 {
		t.Fatalf("went on to %d before it was read", got)
	}
	w.ObserveFrom(s, 1, 55_000, today+200_000)
	w.SetCaughtUp(s, true, 0, today+200_000)
	if got := w.Advance(today + 200_000); got != 54_990 {
		t.Fatalf("got %d, want the origin that is back", got)
	}
}

// A restarted task waits for its origins, and does not fall behind what was committed.
func TestOriginsAreLearnedAnew(t *testing.T) {
	w := NewWatermarks(70_000)
	s := w.AddShuffled(10, today)
	w.SetCaughtUp(s, true, 0, today)
	if got := w.Advance(today + 900_000); got != 70_000 || w.Holding(today+900_000) != s {
		t.Fatalf("got %d", got)
	}
	w.Heard(s, 0, 1, 60_000, true, today+900_000)
	if got := w.Advance(today + 901_000); got != 71_000 {
		t.Fatalf("got %d, want a second on", got)
	}
}

// TestShuffledWatermarkIsABound draws origins that are read at their own pace
// and mixed into one input: no event may come behind the watermark that is not
// behind its own origin's clock.
func TestShuffledWatermarkIsABound(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 3))
		const slack = 100
		n := 1 + rng.IntN(5)
		at, furthest := make([]int64, n), make([]int64, n)
		for o := range at {
			at[o] = int64(rng.IntN(1_000_000))
			furthest[o] = NoTimeMS
		}
		w := NewWatermarks(NoTimeMS)
		s := w.AddShuffled(slack, today)
		for step := range 2000 {
			o := rng.IntN(n)
			if rng.IntN(3) == 0 {
				w.Heard(s, o, n, furthest[o], false, today)
			} else {
				at[o] += int64(rng.IntN(50))
				t0 := at[o] - int64(rng.IntN(slack+1))
				if mark := w.Advance(today); mark != NoTimeMS && t0 < mark {
					t.Fatalf("seed %d, step %d: an event of %d came behind the watermark %d", seed, step, t0, mark)
				}
				furthest[o] = max(furthest[o], t0)
				at[o] = max(at[o], furthest[o])
				w.ObserveFrom(s, o, t0, today)
			}
		}
	}
}
