package traffic

import (
	"math"
	"math/bits"
)

// one is 1 in the fixed-point numbers (Q16) of this file; exponents of 2 are Q32.
const one = 1 << 16

// roots[i] is 2^(2^-(i+1)). math.Sqrt is exact by IEEE 754 on every machine;
// math.Exp2 is not.
var roots = func() (r [24]float64) {
	root := 2.0
	for i := range r {
		root = math.Sqrt(root)
		r[i] = root
	}
	return r
}()

// exp2 returns 2^(x / 2^32), by products alone, so that no compiler fuses it.
func exp2(x int64) float64 {
	product := 1.0
	for i := range roots {
		if x>>(31-i)&1 != 0 {
			product = float64(product * roots[i])
		}
	}
	return math.Ldexp(product, int(x>>32))
}

// log2 returns log2(n) in Q32 for n > 0, a bit at a time by squaring.
func log2(n uint64) int64 {
	whole := bits.Len64(n) - 1
	x := math.Ldexp(float64(n), -whole)
	result := int64(whole)
	for range 32 {
		x = float64(x * x)
		result <<= 1
		if x >= 2 {
			x /= 2
			result |= 1
		}
	}
	return result
}

// power returns n^-exponent; exponent is Q16.
func power(n uint64, exponent int64) float64 { return exp2(-(log2(n) * exponent >> 16)) }

// zipf draws ranks 0..n-1 with probability ∝ (rank+1)^-skew, in constant time by
// the alias method (Walker 1977, in Vose's order), in integers throughout.
type zipf struct {
	columns []aliasColumn
	share   []float32 // probability of each rank; nil unless asked for
}

type aliasColumn struct {
	below uint32 // draws below it stay in the column, in units of 2^-32
	alias uint32
}

// newZipf builds the table; a negative skew means uniform.
func newZipf(n int, skew float64, wantShares bool) zipf {
	exponent := int64(max(skew, 0) * one)
	weights := make([]uint64, n)
	var total uint64
	for k := range weights {
		weights[k] = max(1, uint64(math.Ldexp(power(uint64(k)+1, exponent), 36)))
		total += weights[k]
	}
	z := zipf{columns: make([]aliasColumn, n)}
	if wantShares {
		z.share = make([]float32, n)
		for k, w := range weights {
			z.share[k] = float32(float64(w) / float64(total))
		}
	}
	z.fill(weights, total)
	return z
}

// fill pairs ranks that fall short of an even share of total with ranks that
// exceed it. It uses up weights.
func (z *zipf) fill(weights []uint64, total uint64) {
	n := uint64(len(weights))
	var small, large []uint32
	for k := range weights {
		weights[k] *= n // an even share is now total; n ≤ 2^24 keeps it below 2^60
		if weights[k] < total {
			small = append(small, uint32(k))
		} else {
			large = append(large, uint32(k))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		quotient, _ := bits.Div64(weights[s]>>32, weights[s]<<32, total)
		z.columns[s] = aliasColumn{uint32(quotient), l}
		if weights[l] -= total - weights[s]; weights[l] < total {
			small, large = append(small, l), large[:len(large)-1]
		}
	}
	for _, k := range append(small, large...) {
		z.columns[k] = aliasColumn{math.MaxUint32, k}
	}
}

func (z *zipf) sample(r *random) uint32 {
	u := r.next()
	k := uint32(u >> 32 * uint64(len(z.columns)) >> 32)
	if c := z.columns[k]; uint32(u) >= c.below {
		return c.alias
	}
	return k
}

// logNormal draws median × e^(sigma·z), with z close to standard normal.
type logNormal struct {
	median, limit float64
	sigmaLog2     int64 // sigma / ln 2, Q16
}

// maxDelayMS cuts the delays' tails off, and so bounds what waits.
const maxDelayMS = 24 * 3_600_000

func newLogNormal(median int64, sigma, limit float64) logNormal {
	return logNormal{float64(median), limit, int64(float64(sigma*math.Log2E) * one)}
}

// sample takes z as the sum of twelve uniforms less six (Irwin–Hall), whose
// standard deviation is exactly 1; its tails end at ±6.
func (d *logNormal) sample(r *random) int64 {
	var sum int64
	for range 3 {
		u := r.next()
		sum += int64(u&0xffff + u>>16&0xffff + u>>32&0xffff + u>>48)
	}
	return int64(min(float64(d.median*exp2((sum-6*one)*d.sigmaLog2)), d.limit))
}
