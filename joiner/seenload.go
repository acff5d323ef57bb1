package joiner

import "encoding/binary"

// seenLoader fills a seenIndex from packs, which come in order of time. A
// table of a generation is far larger than a processor's cache, and key by key
// nearly every insertion would wait for memory. So the keys of a generation are
// gathered by the first byte of their hash, which says in which part of the
// table they belong, and the table is made, of the right size, part by part.
type seenLoader struct {
	into  *seenIndex
	open  *gathering // of the generation that packs are of now
	spare *gathering
}

type gathering struct {
	baseMS int64
	parts  [256][]seenSlot
	keys   int
}

// load takes the keys of a pack in. Those of generations that end by sinceMS are left out.
func (l *seenLoader) load(startMS int64, rows []byte, sinceMS int64) error {
	if len(rows)%keptBytes != 0 {
		return badRows(packKept, "length")
	}
	le := binary.LittleEndian
	for ; len(rows) > 0; rows = rows[keptBytes:] {
		s := seenSlot{le.Uint64(rows), le.Uint64(rows[8:])}
		if s.hi == 0 {
			return badRows(packKept, "no hash")
		}
		timeMS := startMS + int64(s.loTime&(1<<seenTimeBits-1))
		g := l.open
		if g == nil || timeMS < g.baseMS || timeMS >= g.baseMS+l.into.widthMS {
			base := floorTo(timeMS, l.into.widthMS)
			if base+l.into.widthMS <= sinceMS {
				continue
			}
			g = l.begin(base)
		}
		// From the start of the pack's bucket to that of the generation.
		s.loTime = s.loTime&^(1<<seenTimeBits-1) | uint64(timeMS-g.baseMS)
		part := &g.parts[s.hi>>56]
		*part = append(*part, s)
		g.keys++
	}
	return nil
}

// begin finishes the open generation and opens that of baseMS.
func (l *seenLoader) begin(baseMS int64) *gathering {
	l.finish()
	if l.spare == nil {
		l.spare = new(gathering)
	}
	l.open, l.spare = l.spare, nil
	l.open.baseMS = baseMS
	return l.open
}

// finish puts what was gathered into its generation.
func (l *seenLoader) finish() {
	g := l.open
	if g == nil {
		return
	}
	into := l.into.room(g.baseMS, g.keys)
	for i := range g.parts {
		for _, s := range g.parts[i] {
			into.put(s)
		}
		g.parts[i] = g.parts[i][:0]
	}
	g.keys = 0
	l.open, l.spare = nil, g
}

// room returns the generation of baseMS with room for as many more keys.
func (s *seenIndex) room(baseMS int64, keys int) *generation {
	g := s.generation(baseMS)
	if g.used == 0 {
		*g = *newGeneration(baseMS, keys)
	}
	return g
}
