package changing

import (
	"testing"

	"github.com/mortise-dev/mortise/experiments"
)

// TestFinalAsOfTheLastAnswer: a silent partition is final up to when a broker was
// asked, not up to now.
func TestFinalAsOfTheLastAnswer(t *testing.T) {
	r := &reading{end: -1}
	r.follow(&experiments.Fetched{Next: 1, HighWatermark: 1, EndAsOfMS: 5000}, 5000, 1)
	r.observe(4000)
	for _, c := range []struct{ asOfMS, nowMS, want int64 }{{5000, 90_000, 3900}, {5999, 90_000, 3900}, {6000, 90_000, 5900}, {80_000, 90_000, 79_900}, {0, 90_000, 89_900}} {
		r.follow(&experiments.Fetched{Next: 1, HighWatermark: 1, EndAsOfMS: c.asOfMS}, c.nowMS, 0)
		if got := r.finalMS(100, 1000, c.nowMS, true); got != c.want {
			t.Errorf("asked at %d, now %d: final up to %d, want %d", c.asOfMS, c.nowMS, got, c.want)
		}
	}
}
