package profile

import (
	"math"
	"slices"
)

// sketch counts very many different values within a fixed size. Its parts are
// sums and least values, so that order does not matter:
//
//   - a count-min sketch (Cormode, Muthukrishnan 2005): an upper bound of how
//     often each value came, too high by about count/width;
//   - the smallest hashes (k minimum values; Bar-Yossef et al. 2002): with k of
//     them the number of different values is known within about 1/√k.
//
// Texts are kept of values that made up half a hundredth of what came so far, when
// they came last. One that makes up a hundredth of all is among them, in any
// order: when it came for the last time, its bound was no less than its final
// count.
type sketch struct {
	counts     [depth][width]uint32
	smallest   []uint64 // sorted up to sorted; those after may be larger ones or repeat
	sorted     int
	candidates map[uint64]string
}

const (
	depth         = 5
	width         = 1 << 13
	minima        = 1024
	maxCandidates = 1024
)

func newSketch() *sketch { return &sketch{candidates: map[uint64]string{}} }

// add counts a value n times; count is how many values came in all.
func (s *sketch) add(hash uint64, value []byte, n, count int64) {
	bound := int64(math.MaxInt64)
	for row := range s.counts {
		c := &s.counts[row][cell(hash, row)]
		*c = uint32(min(int64(*c)+n, math.MaxUint32))
		bound = min(bound, int64(*c))
	}
	s.note(hash)
	s.consider(hash, value, bound, count)
}

// cell returns where a row counts a hash: by 13 of its bits, mixed anew for each.
func cell(hash uint64, row int) uint64 {
	h := hash + uint64(row+1)*0x9E3779B97F4A7C15
	h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
	h = (h ^ h>>27) * 0x94D049BB133111EB
	return (h ^ h>>31) & (width - 1)
}

func (s *sketch) bound(hash uint64) int64 {
	bound := int64(math.MaxInt64)
	for row := range s.counts {
		bound = min(bound, int64(s.counts[row][cell(hash, row)]))
	}
	return bound
}

func (s *sketch) consider(hash uint64, value []byte, bound, count int64) {
	if 200*bound < count {
		return
	}
	if _, known := s.candidates[hash]; known {
		return
	}
	s.candidates[hash] = string(shown(value))
	if len(s.candidates) > maxCandidates {
		s.prune(count)
	}
}

// prune drops candidates that have become too rare.
func (s *sketch) prune(count int64) {
	for hash := range s.candidates {
		if 200*s.bound(hash) < count {
			delete(s.candidates, hash)
		}
	}
}

// note keeps the smallest different hashes.
func (s *sketch) note(hash uint64) {
	if s.sorted == minima && hash >= s.smallest[minima-1] {
		return
	}
	s.smallest = append(s.smallest, hash)
	if len(s.smallest) >= 2*minima {
		s.compact()
	}
}

func (s *sketch) compact() {
	slices.Sort(s.smallest)
	s.smallest = slices.Compact(s.smallest)
	s.smallest = s.smallest[:min(len(s.smallest), minima)]
	s.sorted = len(s.smallest)
}

// distinct estimates how many different values came.
func (s *sketch) distinct() int64 {
	s.compact()
	if len(s.smallest) < minima {
		return int64(len(s.smallest))
	}
	kth := float64(s.smallest[minima-1]) / math.Exp2(64)
	return int64(math.Round((minima - 1) / kth))
}

// frequent returns the values that make up a hundredth of count or more.
func (s *sketch) frequent(count int64) (all []ValueCount) {
	for hash, text := range s.candidates {
		if n := s.bound(hash); 100*n >= count {
			all = append(all, ValueCount{text, n})
		}
	}
	return all
}

func (s *sketch) merge(o *sketch, count int64) {
	for row := range s.counts {
		for i, n := range &o.counts[row] {
			s.counts[row][i] = uint32(min(int64(s.counts[row][i])+int64(n), math.MaxUint32))
		}
	}
	for _, hash := range o.smallest {
		s.note(hash)
	}
	for hash, text := range o.candidates {
		s.consider(hash, []byte(text), s.bound(hash), count)
	}
	s.prune(count)
}
