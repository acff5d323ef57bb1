package joiner

import (
	"math/bits"
	"slices"

	"github.com/zeebo/xxh3"
)

// keyHash identifies a key by 88 bits of its 128-bit xxh3: among the 540
// million keys of a full window two collide with a probability under 10⁻⁹.
type keyHash struct {
	hi uint64
	lo uint32 // 24 bits
}

const seenLowBits = 24

func hashSeen(key []byte, class int) keyHash {
	h := xxh3.Hash128Seed(key, uint64(class)+1)
	hi := h.Hi
	if hi == 0 {
		hi = 1 // 0 marks a free slot
	}
	return keyHash{hi, uint32(h.Lo) & (1<<seenLowBits - 1)}
}

// seenIndex remembers when a key was last kept. It is split into generations of
// event time that are dropped whole, so nothing is ever deleted from a table:
// at 16 bytes an entry it costs about 35 bytes per key within the last 1.5 delays.
type seenIndex struct {
	widthMS int64
	gens    []*generation // few, by time
}

type generation struct {
	baseMS int64
	slots  []seenSlot // open addressing by the hash's first bits, linear probing, a power of two
	shift  int        // a hash's place is what is left of it
	used   int
}

// seenSlot packs 24 bits of hash above 40 bits of ms since the generation's base.
type seenSlot struct{ hi, loTime uint64 }

const seenTimeBits = 64 - seenLowBits

func newSeenIndex(delayMS int64) *seenIndex { return &seenIndex{widthMS: max(delayMS/2, 1)} }

// within reports whether the key was kept at a time less than spanMS from timeMS.
func (s *seenIndex) within(h keyHash, timeMS, spanMS int64) bool {
	for _, g := range s.gens {
		if g.baseMS-timeMS >= spanMS || timeMS-(g.baseMS+s.widthMS-1) >= spanMS {
			continue
		}
		if at, ok := g.get(h); ok && absDiff(at, timeMS) < spanMS {
			return true
		}
	}
	return false
}

func absDiff(a, b int64) int64 {
	if a > b {
		return a - b
	}
	return b - a
}

// put notes that the key was kept at timeMS.
func (s *seenIndex) put(h keyHash, timeMS int64) {
	g := s.generation(timeMS)
	g.put(slotOf(h, timeMS-g.baseMS))
}

// generation returns that of an event time, making it if it is new.
func (s *seenIndex) generation(timeMS int64) *generation {
	base := floorTo(timeMS, s.widthMS)
	i := len(s.gens)
	for i > 0 && s.gens[i-1].baseMS >= base {
		i--
	}
	if i < len(s.gens) && s.gens[i].baseMS == base {
		return s.gens[i]
	}
	expected := 0
	if i > 0 { // the one before tells how many to expect
		expected = s.gens[i-1].used
	}
	g := newGeneration(base, expected)
	s.gens = slices.Insert(s.gens, i, g)
	return g
}

// dropBefore forgets generations that lie wholly before timeMS.
func (s *seenIndex) dropBefore(timeMS int64) {
	n := 0
	for n < len(s.gens) && s.gens[n].baseMS+s.widthMS <= timeMS {
		n++
	}
	s.gens = append(s.gens[:0], s.gens[n:]...)
}

// newGeneration makes one with room for as many keys.
func newGeneration(baseMS int64, keys int) *generation {
	sizeBits := max(bits.Len(uint(keys*3/2)), 6)
	return &generation{baseMS: baseMS, slots: make([]seenSlot, 1<<sizeBits), shift: 64 - sizeBits}
}

func slotOf(h keyHash, sinceMS int64) seenSlot {
	return seenSlot{h.hi, uint64(h.lo)<<seenTimeBits | uint64(sinceMS)}
}

func (g *generation) get(h keyHash) (int64, bool) {
	mask := uint64(len(g.slots) - 1)
	for i := h.hi >> g.shift; ; i = (i + 1) & mask {
		s := g.slots[i]
		if s.hi == 0 {
			return 0, false
		}
		if s.hi == h.hi && uint32(s.loTime>>seenTimeBits) == h.lo {
			return g.baseMS + int64(s.loTime&(1<<seenTimeBits-1)), true
		}
	}
}

func (g *generation) put(entry seenSlot) {
	if (g.used+1)*4 > len(g.slots)*3 {
		g.grow()
	}
	mask := uint64(len(g.slots) - 1)
	for i := entry.hi >> g.shift; ; i = (i + 1) & mask {
		s := &g.slots[i]
		if s.hi == 0 {
			*s = entry
			g.used++
			return
		}
		if s.hi == entry.hi && (s.loTime^entry.loTime)>>seenTimeBits == 0 {
			*s = entry
			return
		}
	}
}

// grow doubles the table. Slots are in order of hash, so that both are walked
// from one end to the other.
func (g *generation) grow() {
	old := g.slots
	g.slots = make([]seenSlot, 2*len(old))
	g.shift--
	mask := uint64(len(g.slots) - 1)
	for _, s := range old {
		if s.hi == 0 {
			continue
		}
		i := s.hi >> g.shift
		for g.slots[i].hi != 0 {
			i = (i + 1) & mask
		}
		g.slots[i] = s
	}
}

// floorTo rounds t down to a multiple of span, for negative t too.
func floorTo(t, span int64) int64 {
	r := t % span
	if r < 0 {
		r += span
	}
	return t - r
}
