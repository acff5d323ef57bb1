package experiments

import (
	"math/rand/v2"
	"testing"

	"github.com/mortise-dev/mortise/joiner"
)

// TestJudgedAgainAlike: whoever reads records again, at any later time, judges
// them as they were judged, from what was committed at any point on the way.
func TestJudgedAgainAlike(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 11))
		const hour, first = int64(3_600_000), int64(1_700_000_000_000)
		a := ahead{source: 1, maxMS: hour, mostMS: joiner.NoTimeMS}
		broken := rng.Int64N(12) * hour / 2 // how far ahead some of the clocks are
		var times []int64
		var judged []bool
		low := 0
		for now := first; len(times) < 600; now += rng.Int64N(2 * hour / 60) {
			at := now - rng.Int64N(hour)
			switch rng.IntN(4) {
			case 0:
				at = now + broken + rng.Int64N(hour/100)
			case 1:
				at = now + rng.Int64N(2*hour)
			}
			refused := a.refuses(int64(len(times)), at, now, len(a.spans) < maxSpans)
			if refused && at <= now+hour {
				t.Fatalf("seed %d: an event %d ms ahead is refused", seed, at-now)
			}
			times, judged = append(times, at), append(judged, refused)
			if rng.IntN(20) == 0 { // another worker goes on, after reading again what is held
				low = min(low+rng.IntN(40), len(times))
				a.forget(int64(low))
				again := ahead{source: 1, maxMS: hour}
				again.resume(append([]joiner.AheadSpan{{Source: 0, From: 0, To: 1 << 40}}, a.spans...))
				for i := low; i < len(times); i++ {
					if got := again.refused(int64(i), times[i]); got != judged[i] {
						t.Fatalf("seed %d: record %d of %d is judged %v, and was %v; spans %v", seed, i, len(times), got, judged[i], a.spans)
					}
				}
				if rng.IntN(2) == 0 {
					a = again
				}
			}
		}
	}
}

// TestBrokenClockTakesFewSpans: what is committed does not grow with what a
// producer whose clock is wrong writes.
func TestBrokenClockTakesFewSpans(t *testing.T) {
	const hour, first = int64(3_600_000), int64(1_700_000_000_000)
	a := ahead{maxMS: hour, mostMS: joiner.NoTimeMS}
	for i := range int64(100_000) {
		now := first + i*hour*24/100_000
		if a.refuses(2*i, now, now, true) || !a.refuses(2*i+1, now+8*hour, now, true) {
			t.Fatalf("record %d is judged wrongly", i)
		}
	}
	if len(a.spans) > 3 {
		t.Errorf("%d spans for a day of a clock that is eight hours ahead: %v", len(a.spans), a.spans)
	}
}
