package profile

import (
	"math"
)

// histogram counts numbers in bins of a width that grows with the number: 16
// bins between one power of two and the next, so that a bin's bounds lie within
// 6.25 % of one another; zero has a bin of its own. Least and greatest are exact.
type histogram struct {
	count      int64
	min, max   float64
	zero       int64
	above, low bins // of numbers above and below zero, by magnitude
}

// bins are counters with consecutive numbers.
type bins struct {
	from   int
	counts []int64
}

// binBits is how many bits of the mantissa tell bins apart.
const binBits = 4

// binOf returns the number of a magnitude's bin: exponent and first bits of the
// mantissa, as they stand in the float.
func binOf(magnitude float64) int { return int(math.Float64bits(magnitude) >> (52 - binBits)) }

// binFrom returns a bin's lower bound; that of the next is the upper.
func binFrom(bin int) float64 { return math.Float64frombits(uint64(bin) << (52 - binBits)) }

// add counts a number; false for one that is not finite.
func (h *histogram) add(v float64) bool {
	if v-v != 0 { // NaN or infinite
		return false
	}
	if h.count == 0 {
		h.min, h.max = v, v
	}
	h.count++
	h.min, h.max = min(h.min, v), max(h.max, v)
	switch {
	case v > 0:
		h.above.add(binOf(v), 1)
	case v < 0:
		h.low.add(binOf(-v), 1)
	default:
		h.zero++
	}
	return true
}

func (b *bins) add(bin int, n int64) {
	if i := bin - b.from; uint(i) < uint(len(b.counts)) {
		b.counts[i] += n
		return
	}
	b.grow(bin)
	b.counts[bin-b.from] += n
}

// grow makes room for a bin, and for some more around.
func (b *bins) grow(bin int) {
	const room = 1 << binBits
	from, to := max(bin-room, 0), bin+room+1
	if len(b.counts) > 0 {
		from, to = min(from, b.from), max(to, b.from+len(b.counts))
	}
	counts := make([]int64, to-from)
	copy(counts[max(b.from-from, 0):], b.counts)
	b.from, b.counts = from, counts
}

func (h *histogram) merge(o *histogram) {
	if o.count == 0 {
		return
	}
	if h.count == 0 {
		h.min, h.max = o.min, o.max
	}
	h.count, h.zero = h.count+o.count, h.zero+o.zero
	h.min, h.max = min(h.min, o.min), max(h.max, o.max)
	h.above.merge(&o.above)
	h.low.merge(&o.low)
}

func (b *bins) merge(o *bins) {
	for i, n := range o.counts {
		if n > 0 {
			b.add(o.from+i, n)
		}
	}
}

// each calls fn for the bins that hold something, from the least number on.
func (h *histogram) each(fn func(from, to float64, n int64)) {
	for i := len(h.low.counts) - 1; i >= 0; i-- {
		if n := h.low.counts[i]; n > 0 {
			fn(-binFrom(h.low.from+i+1), -binFrom(h.low.from+i), n)
		}
	}
	if h.zero > 0 {
		fn(0, 0, h.zero)
	}
	for i, n := range h.above.counts {
		if n > 0 {
			fn(binFrom(h.above.from+i), binFrom(h.above.from+i+1), n)
		}
	}
}

// quantile returns a number that a share q of the numbers do not exceed: a
// bin's middle, within the exact bounds.
func (h *histogram) quantile(q float64) float64 {
	need := int64(math.Ceil(q * float64(h.count)))
	value, seen := h.max, int64(0)
	h.each(func(from, to float64, n int64) {
		if seen < need && seen+n >= need {
			value = min(max((from+to)/2, h.min), h.max)
		}
		seen += n
	})
	return value
}

// mean is the mean of the bins' middles, in their order: the same however the
// numbers came.
func (h *histogram) mean() float64 {
	if h.count == 0 {
		return 0
	}
	sum := 0.0
	h.each(func(from, to float64, n int64) {
		sum += min(max((from+to)/2, h.min), h.max) * (float64(n) / float64(h.count))
	})
	return sum
}
