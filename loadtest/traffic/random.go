package traffic

import "math/bits"

// random is splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom
// number generators", OOPSLA 2014): a counter and a bijective mixer, so a
// stream can begin at any key at no cost.
type random struct{ state uint64 }

const golden = 0x9e3779b97f4a7c15

// mix is splitmix64's finalizer, a bijection of 64-bit words.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// purpose keeps the draws that one key makes for different ends apart.
type purpose uint64

const (
	forPlan purpose = iota + 1
	forShow
	forUser
	forRender
	forID
	forOdd
	forQuality
)

// draw returns the stream of draws that key makes for one purpose.
func (g *Generator) draw(p purpose, key uint64) random {
	return random{mix(g.seed^uint64(p)*golden) ^ mix(key*golden)}
}

func (r *random) next() uint64 {
	r.state += golden
	return mix(r.state)
}

// below returns a number in [0, n); the bias is under n / 2^64.
func (r *random) below(n int64) int64 {
	hi, _ := bits.Mul64(r.next(), uint64(n))
	return int64(hi)
}

// chance is a probability, in units of 2^-53.
type chance uint64

const certain = 1 << 53

func newChance(p float64) chance { return chance(p * certain) }

// hits reports whether an event of probability c happens.
func (r *random) hits(c chance) bool { return c != 0 && r.next()>>11 < uint64(c) }
