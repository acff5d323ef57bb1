package instances

import (
	"fmt"
	"math"
	"testing"
)

func TestSamplerRate(t *testing.T) {
	const n = 200_000
	for _, rate := range []float64{0.001, 0.01, 0.1, 0.25, 0.5, 0.9, 0.999} {
		s := NewSampler(rate)
		kept := 0
		for i := range n {
			if s.Keep(fmt.Appendf(nil, "impression-%d", i)) {
				kept++
			}
		}
		if sigma := math.Sqrt(n * rate * (1 - rate)); math.Abs(float64(kept)-n*rate) > 3*sigma {
			t.Errorf("rate %v: kept %d of %d, more than 3 sigma (%.0f) away", rate, kept, n, 3*sigma)
		}
		if s.Weight() != 1/rate {
			t.Errorf("rate %v: weight %v", rate, s.Weight())
		}
	}
}

// What one rate keeps, every higher rate keeps.
func TestSamplerNests(t *testing.T) {
	rates := []float64{-1, 0, math.SmallestNonzeroFloat64, 1e-9, 0.001, 0.1, 0.25, 0.250001, 0.5, 0.99, math.Nextafter(1, 0), 1, 2, math.Inf(1)}
	for i := range 20_000 {
		key := fmt.Appendf(nil, "%d|x", i)
		before := false
		for _, rate := range rates {
			keep := NewSampler(rate).Keep(key)
			if before && !keep {
				t.Fatalf("key %s: kept at a lower rate, not at %v", key, rate)
			}
			before = keep
		}
	}
}

func TestSamplerEdges(t *testing.T) {
	for _, c := range []struct {
		rate, weight float64
		keep         bool
	}{{1, 1, true}, {1.5, 1, true}, {0, 0, false}, {-0.5, 0, false}, {math.NaN(), 0, false}} {
		s := NewSampler(c.rate)
		for _, key := range []string{"", "a", "b", "c"} {
			if s.Keep([]byte(key)) != c.keep || s.Weight() != c.weight {
				t.Errorf("rate %v, key %q: keep %v, weight %v", c.rate, key, s.Keep([]byte(key)), s.Weight())
			}
		}
	}
}

// The choice must not change between versions or machines: a dataset that is
// made again has the same rows.
func TestSamplerIsFixed(t *testing.T) {
	s, got := NewSampler(0.25), ""
	for i := range 40 {
		if s.Keep(fmt.Appendf(nil, "bts-women-%d", i)) {
			got += fmt.Sprintf("%d ", i)
		}
	}
	if want := "3 4 5 9 10 15 24 28 31 32 35 38 39 "; got != want {
		t.Errorf("kept %s\nwant %s", got, want)
	}
}

func BenchmarkSampler(b *testing.B) {
	s, key := NewSampler(0.25), []byte("bts-women-127")
	b.ReportAllocs()
	for b.Loop() {
		s.Keep(key)
	}
}
