package features

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
)

// exact is a sum of floats, of their squares or of scaled floats, held without
// any rounding, so that it does not depend on the order in which it was summed
// up: a long fixed-point number, Σ limbs[i]·2^(32·(low+i)), of which only the
// limbs between the smallest and the largest bit that occurred are kept.
//
// This is the superaccumulator of Kulisch ("Computer Arithmetic and Validity",
// 2nd ed. 2013, chapter 8) with the deferred carries of Neal ("Fast exact
// summation using small and large superaccumulators", arXiv:1505.05571): a limb
// has 64 bits for 32 bits of the sum, and carries move up only every so many
// additions.
type exact struct {
	low   int32
	adds  uint32 // since carries were last moved
	limbs []int64
}

const (
	maxAdds  = 1 << 29 // additions of less than 2^32 to a limb that leave it within 2^62
	maxLimbs = 4096    // 131,072 bits: thirty times the range of squares of float64, or as many half-lives

	// maxExponent bounds what is read back: the exponents of squares of float64 lie
	// within 2,200 of 0, those of decayed sums within MaxTilesPerWindow half-lives.
	maxExponent = 1 << 18
)

// addFloat adds v·2^shift. v is finite.
func (x *exact) addFloat(v float64, shift int64) {
	neg, m, e := split(v)
	x.addBits(neg, 0, m, e+shift)
}

// addSquare adds v². v is finite.
func (x *exact) addSquare(v float64) {
	_, m, e := split(v)
	hi, lo := bits.Mul64(m, m)
	x.addBits(false, hi, lo, 2*e)
}

// split takes v apart: v = ±m·2^e with m odd, or 0.
func split(v float64) (neg bool, m uint64, e int64) {
	b := math.Float64bits(v)
	m, e = b&(1<<52-1), int64(b>>52&0x7ff)
	if e == 0 {
		e = 1
	} else {
		m |= 1 << 52
	}
	if m == 0 {
		return false, 0, 0
	}
	zeros := bits.TrailingZeros64(m)
	return b>>63 != 0, m >> zeros, e - 1075 + int64(zeros)
}

// addBits adds ±(hi·2^64 + lo)·2^e and reports whether that fits.
func (x *exact) addBits(neg bool, hi, lo uint64, e int64) bool {
	if hi|lo == 0 {
		return true
	}
	limb := floorDiv(e, 32)
	r := uint(e - limb*32)
	parts := [5]uint64{lo << r & math.MaxUint32, lo >> (32 - r) & math.MaxUint32, (lo>>32>>(32-r) | hi<<r) & math.MaxUint32, hi >> (32 - r) & math.MaxUint32, hi >> 32 >> (32 - r)}
	n := len(parts)
	for parts[n-1] == 0 {
		n--
	}
	if !x.cover(limb, limb+int64(n)) {
		return false
	}
	at := x.limbs[limb-int64(x.low):]
	for i, p := range parts[:n] {
		if neg {
			at[i] -= int64(p)
		} else {
			at[i] += int64(p)
		}
	}
	if x.adds++; x.adds >= maxAdds {
		x.carry()
	}
	return true
}

// cover makes room for the limbs [from, to).
func (x *exact) cover(from, to int64) bool {
	if len(x.limbs) == 0 {
		if to-from > maxLimbs || from < math.MinInt32/2 || to > math.MaxInt32/2 {
			return false
		}
		x.low = int32(from)
		x.limbs = zeros(x.limbs, int(to-from))
		return true
	}
	low, end := int64(x.low), int64(x.low)+int64(len(x.limbs))
	if from >= low && to <= end {
		return true
	}
	if max(to, end)-min(from, low) > maxLimbs {
		return false
	}
	if to > end {
		x.limbs = zeros(x.limbs, int(to-end))
	}
	if from < low {
		ahead := int(low - from)
		n := len(x.limbs)
		x.limbs = zeros(x.limbs, ahead)
		copy(x.limbs[ahead:], x.limbs[:n])
		clear(x.limbs[:ahead])
		x.low = int32(from)
	}
	return true
}

// zeros appends n zeros.
func zeros(limbs []int64, n int) []int64 {
	for range n {
		limbs = append(limbs, 0)
	}
	return limbs
}

// carry moves what a limb has beyond 32 bits up. The limbs then lie in [0, 2^32)
// except the last, which carries the sign.
func (x *exact) carry() {
	x.adds = 0
	last := len(x.limbs) - 1
	if last < 0 {
		return
	}
	var c int64
	for i, v := range x.limbs {
		v += c
		if c = v >> 32; i == last {
			c = 0
		} else {
			v &= math.MaxUint32
		}
		x.limbs[i] = v
	}
	for top := x.limbs[last]; top>>32 != 0 && top>>32 != -1; last++ {
		x.limbs[last] = top & math.MaxUint32
		top >>= 32
		x.limbs = append(x.limbs, top)
	}
}

// magnitude gives the sum's sign and the 32-bit digits of its absolute value from
// the lowest, which stands for 2^(32·low), without zeros at the top.
func (x *exact) magnitude() (neg bool, digits []int64) {
	x.carry()
	n := len(x.limbs)
	if n == 0 {
		return false, nil
	}
	digits = x.limbs
	if neg = x.limbs[n-1] < 0; neg {
		digits = make([]int64, n)
		var c int64
		for i, v := range x.limbs {
			v = c - v
			if c = v >> 32; i < n-1 {
				v &= math.MaxUint32
			}
			digits[i] = v
		}
	}
	if top := digits[n-1]; top>>32 != 0 { // once for -2^32 and beyond
		digits = append(digits[:n-1:n-1], top&math.MaxUint32, top>>32)
		n++
	}
	for n > 0 && digits[n-1] == 0 {
		n--
	}
	return neg, digits[:n]
}

// round returns the sum·2^-shift as the nearest float64, ties to even, ±Inf
// beyond the largest.
func (x *exact) round(shift int64) float64 {
	neg, digits := x.magnitude()
	n := len(digits)
	if n == 0 {
		return 0
	}
	lead := bits.LeadingZeros32(uint32(digits[n-1]))
	top := topBits(digits, lead)
	sticky := top.sticky
	msb := 32*(int64(x.low)+int64(n)) - int64(lead) - 1 - shift // exponent of the highest bit
	keep := min(53, msb+1075)                                   // bits that a float64 of this size has
	var v float64
	switch {
	case msb > 1023:
		v = math.Inf(1)
	case keep < 0:
	case keep == 0: // between nothing and the smallest float64: above the half it is that
		if top.bits > 1<<63 || sticky {
			v = math.SmallestNonzeroFloat64
		}
	default:
		cut := uint(64 - keep)
		m, rest, half := top.bits>>cut, top.bits&(1<<cut-1), uint64(1)<<(cut-1)
		if rest > half || rest == half && (sticky || m&1 == 1) {
			m++
		}
		v = math.Ldexp(float64(m), int(msb-keep+1))
	}
	if neg {
		return -v
	}
	return v
}

// scaled returns the sum as v·2^e with 1 <= |v| <= 2 the nearest float64, or 0.
func (x *exact) scaled() (v float64, e int64) {
	_, digits := x.magnitude()
	n := len(digits)
	if n == 0 {
		return 0, 0
	}
	e = 32*(int64(x.low)+int64(n)) - int64(bits.LeadingZeros32(uint32(digits[n-1]))) - 1
	return x.round(e), e
}

// leading is the 64 highest bits of a number, and whether any lower one is set.
type leading struct {
	bits   uint64
	sticky bool
}

func topBits(digits []int64, lead int) leading {
	n := len(digits)
	digit := func(i int) uint64 {
		if n-1-i < 0 {
			return 0
		}
		return uint64(digits[n-1-i])
	}
	out := leading{bits: (digit(0)<<32|digit(1))<<lead | digit(2)>>(32-lead)}
	out.sticky = digit(2)<<lead&math.MaxUint32 != 0
	for i := 3; i < n && !out.sticky; i++ {
		out.sticky = digit(i) != 0
	}
	return out
}

// big returns the sum as m·2^e.
func (x *exact) big() (m *big.Int, e int) {
	neg, digits := x.magnitude()
	m = new(big.Int)
	raw := make([]byte, 4*len(digits))
	for i, d := range digits {
		binary.BigEndian.PutUint32(raw[4*(len(digits)-1-i):], uint32(d))
	}
	m.SetBytes(raw)
	if neg {
		m.Neg(m)
	}
	return m, 32 * int(x.low)
}

// append writes the sum·2^-shift: the exponent e, the number of bytes and the
// sign, and the bytes of the odd number m from the lowest, for ±m·2^e.
func (x *exact) append(dst []byte, shift int64) []byte {
	neg, digits := x.magnitude()
	first := 0
	for first < len(digits) && digits[first] == 0 {
		first++
	}
	if first == len(digits) {
		return append(dst, 0, 0)
	}
	skip := uint(bits.TrailingZeros32(uint32(digits[first])))
	e := 32*(int64(x.low)+int64(first)) + int64(skip) - shift
	dst = appendVarint(dst, e)
	var raw [64]byte
	m := raw[:0]
	for i := first; i < len(digits); i++ {
		d := uint64(digits[i]) >> skip
		if i+1 < len(digits) {
			d |= uint64(digits[i+1]) << (32 - skip)
		}
		m = binary.LittleEndian.AppendUint32(m, uint32(d))
	}
	for m[len(m)-1] == 0 {
		m = m[:len(m)-1]
	}
	head := uint64(len(m)) << 1
	if neg {
		head |= 1
	}
	return append(binary.AppendUvarint(dst, head), m...)
}

// absorb adds what append wrote, times 2^shift.
func (x *exact) absorb(d *decoder, shift int64) {
	e, head := d.varint(), d.uvarint()
	m := d.take(head >> 1)
	if e < -maxExponent || e > maxExponent {
		d.fail()
		return
	}
	e += shift
	for len(m) > 0 {
		var word [8]byte
		n := copy(word[:], m)
		if !x.addBits(head&1 == 1, 0, binary.LittleEndian.Uint64(word[:]), e) {
			d.fail()
			return
		}
		m, e = m[n:], e+64
	}
}

func (x *exact) reset() { x.adds, x.limbs = 0, x.limbs[:0] }
