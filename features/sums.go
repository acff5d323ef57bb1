package features

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"

	mortise "github.com/mortise-dev/mortise"
)

// count is how many events there were.
type count struct{ n uint64 }

func (s *count) add(*params, mortise.Value, int64)     { s.n++ }
func (s *count) absorb(_ *params, d *decoder, _ int64) { s.n += d.uvarint() }
func (s *count) result(*params, int64) mortise.Value   { return mortise.IntValue(int64(s.n)) }
func (s *count) reset()                                { s.n = 0 }
func (s *count) append(_ *params, dst []byte, _ int64) []byte {
	return binary.AppendUvarint(dst, s.n)
}

// sumInt is a sum of integers in 128 bits, which no number of events that can be
// counted overflows, and their count. As a result, a sum beyond int64 is the
// nearest int64.
type sumInt struct {
	n  uint64
	hi int64
	lo uint64
}

func (s *sumInt) add(_ *params, v mortise.Value, _ int64) {
	s.plus(v.Int()>>63, uint64(v.Int()))
	s.n++
}

func (s *sumInt) plus(hi int64, lo uint64) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi += hi + int64(carry)
}

func (s *sumInt) append(_ *params, dst []byte, _ int64) []byte {
	dst = binary.AppendUvarint(dst, s.n)
	sign := uint64(s.hi >> 63)
	hi, lo := uint64(s.hi)<<1|s.lo>>63, s.lo<<1 // zigzag
	hi, lo = hi^sign, lo^sign
	for hi != 0 || lo >= 0x80 {
		dst = append(dst, byte(lo)|0x80)
		lo, hi = lo>>7|hi<<57, hi>>7
	}
	return append(dst, byte(lo))
}

func (s *sumInt) absorb(_ *params, d *decoder, _ int64) {
	s.n += d.uvarint()
	var hi, lo uint64
	for shift := uint(0); ; shift += 7 {
		b := d.byte()
		if d.bad || shift > 126 {
			d.fail()
			return
		}
		part := uint64(b & 0x7f)
		lo |= part << shift
		if shift >= 64 {
			hi |= part << (shift - 64)
		} else {
			hi |= part >> (64 - shift)
		}
		if b < 0x80 {
			break
		}
	}
	sign := -(lo & 1)
	lo, hi = (lo>>1|hi<<63)^sign, hi>>1^sign
	s.plus(int64(hi), lo)
}

func (s *sumInt) result(p *params, _ int64) mortise.Value {
	if p.fn == "avg" {
		var x exact
		s.addTo(&x)
		return mortise.FloatValue(x.round(0) / float64(s.n))
	}
	switch v := int64(s.lo); {
	case s.hi == v>>63:
		return mortise.IntValue(v)
	case s.hi < 0:
		return mortise.IntValue(math.MinInt64)
	}
	return mortise.IntValue(math.MaxInt64)
}

func (s *sumInt) addTo(x *exact) {
	hi, lo := uint64(s.hi), s.lo
	if s.hi < 0 {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	x.addBits(s.hi < 0, hi, lo, 0)
}

func (s *sumInt) reset() { *s = sumInt{} }

// sumFloat is an exact sum of floats, and their count. sum gives the float64
// nearest to the sum, ±Inf beyond the largest; avg that divided by the count.
type sumFloat struct {
	n   uint64
	sum exact
}

func (s *sumFloat) add(_ *params, v mortise.Value, _ int64) {
	s.sum.addFloat(v.Float(), 0)
	s.n++
}

func (s *sumFloat) absorb(_ *params, d *decoder, _ int64) {
	s.n += d.uvarint()
	s.sum.absorb(d, 0)
}

func (s *sumFloat) append(_ *params, dst []byte, _ int64) []byte {
	return s.sum.append(binary.AppendUvarint(dst, s.n), 0)
}

func (s *sumFloat) result(p *params, _ int64) mortise.Value {
	if p.fn == "avg" {
		return mortise.FloatValue(s.sum.round(0) / float64(s.n))
	}
	return mortise.FloatValue(s.sum.round(0))
}

func (s *sumFloat) reset() {
	s.n = 0
	s.sum.reset()
}

// moments are the exact sums of numbers and of their squares, and their count.
// stddev is the sample standard deviation, as SQL's: √((n·Σx² − (Σx)²) / (n·(n−1))),
// the root's argument without rounding. Over a single event it is null.
type moments struct {
	n            uint64
	sum, squares exact
}

func (s *moments) add(_ *params, v mortise.Value, _ int64) {
	s.n++
	if v.Kind == mortise.Float {
		s.sum.addFloat(v.Float(), 0)
		s.squares.addSquare(v.Float())
		return
	}
	i := v.Int()
	m := uint64(i)
	if i < 0 {
		m = -m
	}
	s.sum.addBits(i < 0, 0, m, 0)
	hi, lo := bits.Mul64(m, m)
	s.squares.addBits(false, hi, lo, 0)
}

func (s *moments) absorb(_ *params, d *decoder, _ int64) {
	s.n += d.uvarint()
	s.sum.absorb(d, 0)
	s.squares.absorb(d, 0)
}

func (s *moments) append(_ *params, dst []byte, _ int64) []byte {
	dst = binary.AppendUvarint(dst, s.n)
	return s.squares.append(s.sum.append(dst, 0), 0)
}

func (s *moments) result(*params, int64) mortise.Value {
	if s.n < 2 {
		return mortise.NullValue()
	}
	const precision = 160 // bits: the one rounding that counts is the last
	sum, e := s.sum.big()
	squares, f := s.squares.big()
	n := new(big.Int).SetUint64(s.n)
	sum.Mul(sum, sum)
	squares.Mul(squares, n)
	low := min(2*e, f)
	sum.Lsh(sum, uint(2*e-low))
	squares.Lsh(squares, uint(f-low))
	spread := squares.Sub(squares, sum)
	if spread.Sign() <= 0 {
		return mortise.FloatValue(0)
	}
	var v, by big.Float
	v.SetPrec(precision).SetInt(spread)
	v.SetMantExp(&v, low)
	by.SetPrec(precision).SetInt(n.Mul(n, new(big.Int).SetUint64(s.n-1)))
	v.Quo(&v, &by)
	out, _ := v.Sqrt(&v).Float64()
	return mortise.FloatValue(out)
}

func (s *moments) reset() {
	s.n = 0
	s.sum.reset()
	s.squares.reset()
}
