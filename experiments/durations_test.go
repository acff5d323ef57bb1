package experiments_test

import (
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
)

func TestDurationsCountByUpperBound(t *testing.T) {
	var d experiments.Durations
	for _, took := range []time.Duration{0, 5 * time.Millisecond, 6 * time.Millisecond, 30 * time.Second, time.Minute} {
		d.Observe(took)
	}
	if d.Buckets[0] != 2 || d.Buckets[1] != 1 || d.Buckets[len(experiments.DurationBounds)-1] != 1 || d.Buckets[len(experiments.DurationBounds)] != 1 {
		t.Errorf("buckets %v", d.Buckets)
	}
	if d.Count() != 5 || d.Sum != 90*time.Second+11*time.Millisecond || d.Max != time.Minute {
		t.Errorf("%d, %v in all, %v at most", d.Count(), d.Sum, d.Max)
	}
}
