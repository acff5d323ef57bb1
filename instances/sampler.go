package instances

import (
	"math"

	"github.com/zeebo/xxh3"
)

// Sampler leaves out negatives by a hash of the `by` value, so that the same
// ones are kept on every machine, in every order and replay, and what one rate
// keeps every higher rate keeps too. Positives are not sampled: their weight is
// 1. A Sampler is a value; it may be used from several goroutines.
type Sampler struct {
	all    bool
	below  uint64 // keep hashes below
	weight float64
}

// NewSampler makes a sampler that keeps the given share of negatives, above 0
// and up to 1. A rate of 0 or less, or NaN, keeps none; 1 or more keeps all.
func NewSampler(rate float64) Sampler {
	switch {
	case rate >= 1:
		return Sampler{all: true, weight: 1}
	case !(rate > 0):
		return Sampler{}
	}
	return Sampler{below: uint64(math.Ldexp(rate, 64)), weight: 1 / rate}
}

// Keep reports whether the negative with the given `by` value, in its key form
// (mortise.Value.AppendKey), is kept: whether its 64-bit XXH3 hash, seed 0, lies
// below rate * 2^64.
func (s Sampler) Keep(key []byte) bool { return s.all || xxh3.Hash(key) < s.below }

// Weight is what a kept negative stands for, 1 / rate; 0 if none is kept.
func (s Sampler) Weight() float64 { return s.weight }
