package compare

import (
	"encoding/binary"
)

// found is the rows of one instance, as far as they found no equal.
type found struct{ sides [2]foundSide }

type foundSide struct {
	arena []byte
	rows  []span
	keys  []rowKey // of all of the instance's rows, those that have an equal too
}

type span struct{ from, to int }

// rowKey is what two rows share that would be one, and how many there are.
type rowKey struct {
	revision, timeMS int64
	count            int
}

// maxKept bounds the rows of one instance and side that are held at a time. What
// goes beyond counts as duplicates.
const maxKept = 1 << 9

func (f *found) reset() {
	for i := range f.sides {
		s := &f.sides[i]
		s.arena, s.rows, s.keys = s.arena[:0], s.rows[:0], s.keys[:0]
	}
}

func (f *found) isEmpty() bool { return len(f.sides[0].rows) == 0 && len(f.sides[1].rows) == 0 }

// keyOf reads a record's revision and event time, which follow its id.
func keyOf(rec []byte, idEnd int) (revision, timeMS int64) {
	return int64(binary.BigEndian.Uint64(rec[idEnd:]) ^ signBit), int64(binary.BigEndian.Uint64(rec[idEnd+8:]) ^ signBit)
}

// note counts a row; true when there was one of its key before.
func (s *foundSide) note(rec []byte, idEnd int) bool {
	revision, timeMS := keyOf(rec, idEnd)
	if n := len(s.keys) - 1; n >= 0 && s.keys[n].revision == revision && s.keys[n].timeMS == timeMS {
		s.keys[n].count++
		return true
	}
	if len(s.keys) < maxKept {
		s.keys = append(s.keys, rowKey{revision, timeMS, 1})
	}
	return false
}

// keep copies a row; false when there are too many.
func (s *foundSide) keep(rec []byte) bool {
	if len(s.rows) == maxKept {
		return false
	}
	from := len(s.arena)
	s.arena = append(s.arena, rec...)
	s.rows = append(s.rows, span{from, len(s.arena)})
	return true
}

func (s *foundSide) row(i int) []byte { return s.arena[s.rows[i].from:s.rows[i].to] }

// isRepeated reports whether the side has several rows of this key.
func (s *foundSide) isRepeated(revision, timeMS int64) bool {
	for _, k := range s.keys {
		if k.revision == revision && k.timeMS == timeMS {
			return k.count > 1
		}
	}
	return false
}

func (s *foundSide) hasRevision(revision int64) bool {
	for _, k := range s.keys {
		if k.revision == revision {
			return true
		}
	}
	return false
}
