package traffic

import (
	"math"
	"slices"
	"testing"
)

func TestPowersOfTwo(t *testing.T) {
	for n := uint64(1); n < 1<<24; n = n*3/2 + 1 {
		if got, want := float64(log2(n))/(1<<32), math.Log2(float64(n)); math.Abs(got-want) > 1e-6 {
			t.Errorf("log2(%d) = %v, want %v", n, got, want)
		}
	}
	for _, x := range []float64{-40, -3.7, -1, -0.25, 0, 0.1, 1, 2.5, 17.3} {
		if got, want := exp2(int64(x*(1<<32))), math.Exp2(x); math.Abs(got/want-1) > 1e-6 {
			t.Errorf("2^%v = %v, want %v", x, got, want)
		}
	}
}

func TestZipfFollowsItsShares(t *testing.T) {
	const draws = 2_000_000
	for _, skew := range []float64{-1, 0.8, 1.05, 2} {
		z := newZipf(1000, skew, true)
		counts := make([]float64, 1000)
		r := random{1}
		for range draws {
			counts[z.sample(&r)]++
		}
		var sum float64
		for k := range counts {
			share := float64(z.share[k])
			sum += share
			want := math.Pow(float64(k+1), -max(skew, 0)) * float64(z.share[0])
			if math.Abs(share/want-1) > 1e-3 {
				t.Errorf("skew %g: share of rank %d is %g, want %g", skew, k, share, want)
			}
			if sd := math.Sqrt(draws * share); math.Abs(counts[k]-draws*share) > 6*sd+1 {
				t.Errorf("skew %g: rank %d drawn %.0f times, want %.0f", skew, k, counts[k], draws*share)
			}
		}
		if math.Abs(sum-1) > 1e-3 {
			t.Errorf("skew %g: shares add up to %g", skew, sum)
		}
	}
}

func TestLogNormalQuantiles(t *testing.T) {
	d := newLogNormal(45_000, 1.8, maxDelayMS)
	r := random{2}
	draws := make([]int64, 500_000)
	for i := range draws {
		draws[i] = d.sample(&r)
	}
	slices.Sort(draws)
	for _, q := range []struct{ p, z float64 }{{0.1, -1.2816}, {0.25, -0.6745}, {0.5, 0}, {0.75, 0.6745}, {0.9, 1.2816}, {0.99, 2.3263}} {
		got, want := float64(draws[int(q.p*float64(len(draws)))]), 45_000*math.Exp(1.8*q.z)
		if math.Abs(got/want-1) > 0.05 {
			t.Errorf("quantile %g is %.0f ms, want %.0f", q.p, got, want)
		}
	}
	if most := draws[len(draws)-1]; most > maxDelayMS {
		t.Errorf("a delay of %d ms", most)
	}
}

func TestHeapOrder(t *testing.T) {
	var h heap
	r := random{3}
	for i := range 10_000 {
		h.push(&entry{dueMS: r.below(500), order: uint64(i)})
	}
	var last, e entry
	for n := 0; len(h) > 0; n++ {
		if h.pop(&e); n > 0 && !last.before(&e) {
			t.Fatalf("%+v came before %+v", last, e)
		}
		last = e
	}
}
