package features

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"

	mortise "github.com/mortise-dev/mortise"
)

// The sketch's size. The standard error of an estimate is 1.04/√registers: 1.6 %.
const (
	sketchBits = 12
	registers  = 1 << sketchBits
	maxRank    = 64 - sketchBits + 1
	rankBits   = 6
	denseBytes = registers * rankBits / 8
	sparseMost = 512 // registers that are kept as a list, in memory
)

// Forms of the written sketch.
const (
	sketchSparse = iota
	sketchDense
)

// sketch estimates how many distinct values there were: the HyperLogLog of
// Flajolet, Fusy, Gandouet and Meunier ("HyperLogLog: the analysis of a
// near-optimal cardinality estimation algorithm", 2007) over 64-bit hashes. A
// register holds the largest rank seen, so that order and grouping do not matter.
type sketch struct {
	sparse []uint16 // the registers that are set, in order
	ranks  []uint8  // of sparse
	dense  []uint8  // the rank of every register; empty while sparse is used
}

func (s *sketch) add(_ *params, v mortise.Value, _ int64) {
	h := hash(v)
	s.raise(uint16(h>>(64-sketchBits)), uint8(bits.LeadingZeros64(h<<sketchBits|1<<(sketchBits-1)))+1)
}

// raise makes a register at least rank.
func (s *sketch) raise(register uint16, rank uint8) {
	if len(s.dense) > 0 {
		s.dense[register] = max(s.dense[register], rank)
		return
	}
	at, found := slices.BinarySearch(s.sparse, register)
	if found {
		s.ranks[at] = max(s.ranks[at], rank)
		return
	}
	if len(s.sparse) == sparseMost {
		s.widen()
		s.dense[register] = rank
		return
	}
	s.sparse = slices.Insert(s.sparse, at, register)
	s.ranks = slices.Insert(s.ranks, at, rank)
}

// widen goes from the list to all registers.
func (s *sketch) widen() {
	if cap(s.dense) < registers {
		s.dense = make([]uint8, registers)
	}
	s.dense = s.dense[:registers]
	clear(s.dense)
	for i, register := range s.sparse {
		s.dense[register] = s.ranks[i]
	}
	s.sparse, s.ranks = s.sparse[:0], s.ranks[:0]
}

// each calls fn for every register that is not 0, in order.
func (s *sketch) each(fn func(register uint16, rank uint8)) {
	for i, register := range s.sparse {
		fn(register, s.ranks[i])
	}
	for register, rank := range s.dense {
		if rank > 0 {
			fn(uint16(register), rank)
		}
	}
}

// append writes the registers that are set as (distance from the last, rank), or
// all of them in 6 bits each where that is shorter.
func (s *sketch) append(_ *params, dst []byte, _ int64) []byte {
	start, last := len(dst), -1
	dst = append(dst, sketchSparse)
	s.each(func(register uint16, rank uint8) {
		dst = binary.AppendUvarint(dst, uint64(int(register)-last-1)<<rankBits|uint64(rank))
		last = int(register)
	})
	if len(dst)-start <= denseBytes {
		return dst
	}
	dst = append(dst[:start], sketchDense)
	packed := slices.Grow(dst, denseBytes)[len(dst) : len(dst)+denseBytes]
	clear(packed)
	s.each(func(register uint16, rank uint8) {
		at := int(register) * rankBits
		word := uint16(rank) << (at % 8)
		packed[at/8] |= byte(word)
		if at%8 > 2 {
			packed[at/8+1] |= byte(word >> 8)
		}
	})
	return dst[:len(dst)+denseBytes]
}

func (s *sketch) absorb(_ *params, d *decoder, _ int64) {
	if form := d.byte(); form == sketchDense {
		s.absorbDense(d)
		return
	} else if form != sketchSparse {
		d.fail()
	}
	for register := -1; len(d.data) > 0; {
		item := d.uvarint()
		gap, rank := item>>rankBits, uint8(item&(1<<rankBits-1))
		if gap >= registers || register+1+int(gap) >= registers || rank < 1 || rank > maxRank {
			d.fail()
			return
		}
		register += 1 + int(gap)
		s.raise(uint16(register), rank)
	}
}

func (s *sketch) absorbDense(d *decoder) {
	packed := d.take(denseBytes)
	if d.bad {
		return
	}
	if len(s.dense) == 0 {
		s.widen()
	}
	for register := range registers {
		at := register * rankBits
		word := uint16(packed[at/8])
		if at%8 > 2 {
			word |= uint16(packed[at/8+1]) << 8
		}
		rank := uint8(word>>(at%8)) & (1<<rankBits - 1)
		if rank > maxRank {
			d.fail()
			return
		}
		s.dense[register] = max(s.dense[register], rank)
	}
}

// result is the estimate of Ertl ("New cardinality estimation algorithms for
// HyperLogLog sketches", arXiv:1702.01284, algorithm 6), which needs no table of
// corrections and is as good for few values as for many, as the nearest integer.
func (s *sketch) result(*params, int64) mortise.Value {
	var histogram [maxRank + 1]int
	set := 0
	s.each(func(_ uint16, rank uint8) { histogram[rank]++; set++ })
	const m = float64(registers)
	z := m * tau(1-float64(histogram[maxRank])/m)
	for rank := maxRank - 1; rank >= 1; rank-- {
		z = 0.5 * (z + float64(histogram[rank]))
	}
	z += float64(m * sigma(float64(registers-set)/m))
	return mortise.IntValue(int64(math.Round(float64(m*m/(2*math.Ln2)) / z)))
}

// Products are converted before they are added: a machine may otherwise fuse the
// two operations, and round once where another rounds twice.

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for {
		x = float64(x * x)
		before := z
		z += float64(x * y)
		y += y
		if z == before {
			return z
		}
	}
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		before := z
		y *= 0.5
		z -= float64(float64((1-x)*(1-x)) * y)
		if z == before {
			return z / 3
		}
	}
}

func (s *sketch) reset() { s.sparse, s.ranks, s.dense = s.sparse[:0], s.ranks[:0], s.dense[:0] }

// set is the set of distinct values, as 64-bit numbers: of text its hash, of
// anything else the value itself. Only text can be counted short: n distinct
// texts meet in a hash with a probability of at most n²/2⁶⁵, which is 3 in 10⁸
// for a million. Sorted distances are smaller than a roaring bitmap unless the
// values fill most of their range, and hashes never do: see DESIGN.md.
type set struct {
	values []uint64
	sorted int      // that many at the front are sorted and distinct
	fresh  []uint64 // room for what is merged
}

func (s *set) add(_ *params, v mortise.Value, _ int64) {
	if v.Kind == mortise.String {
		s.put(hash(v))
		return
	}
	s.put(number(v))
}

func (s *set) put(v uint64) {
	s.values = append(s.values, v)
	if len(s.values)-s.sorted > 64+s.sorted {
		s.compact()
	}
}

// compact sorts what is new and merges it with what is sorted.
func (s *set) compact() {
	if s.sorted == len(s.values) {
		return
	}
	slices.Sort(s.values[s.sorted:])
	if s.sorted > 0 && s.values[s.sorted] <= s.values[s.sorted-1] {
		s.fresh = append(s.fresh[:0], s.values[s.sorted:]...)
		from, at := s.sorted-1, len(s.values)-1
		for i := len(s.fresh) - 1; i >= 0; at-- { // from the top, so that nothing is overwritten that is still needed
			if from >= 0 && s.values[from] > s.fresh[i] {
				s.values[at] = s.values[from]
				from--
			} else {
				s.values[at] = s.fresh[i]
				i--
			}
		}
	}
	s.values = slices.Compact(s.values)
	s.sorted = len(s.values)
}

// append writes how many values there are and their distances, in order.
func (s *set) append(_ *params, dst []byte, _ int64) []byte {
	s.compact()
	dst = binary.AppendUvarint(dst, uint64(len(s.values)))
	last := uint64(0)
	for _, v := range s.values {
		dst = binary.AppendUvarint(dst, v-last)
		last = v
	}
	return dst
}

func (s *set) absorb(_ *params, d *decoder, _ int64) {
	last := uint64(0)
	for i := range d.count() {
		gap := d.uvarint()
		if d.bad || i > 0 && (gap == 0 || last+gap < last) {
			d.fail()
			return
		}
		last += gap
		s.put(last)
	}
}

func (s *set) result(*params, int64) mortise.Value {
	s.compact()
	return mortise.IntValue(int64(len(s.values)))
}

func (s *set) reset() { s.values, s.sorted = s.values[:0], 0 }
