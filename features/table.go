package features

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/zeebo/xxh3"
)

// table holds the tiles of one group that events since the last commit belong to:
// a hash table of (entity, tile) over rows of states, which are columns of
// memory that the next commit reuses.
type table struct {
	slots  []int32 // row+1; 0 is empty
	rows   []tileRow
	keys   []byte // of entities, one after the other
	states []states
}

// tileRow is a tile's entity and number since 1970, in tiles of its level.
type tileRow struct {
	hash   uint64 // of the entity
	offset uint32 // of its key
	length uint32
	tile   int64
}

func newTable(columns []column) *table {
	t := &table{slots: make([]int32, 1024)}
	for _, c := range columns {
		t.states = append(t.states, newStates(c.kind, c.params))
	}
	return t
}

func (t *table) entity(r *tileRow) []byte { return t.keys[r.offset : r.offset+r.length] }

// row finds the row of an entity's tile, or makes it.
func (t *table) row(entity []byte, tile int64) int {
	h := xxh3.Hash(entity)
	for at := place(h, tile); ; at++ {
		slot := &t.slots[at&uint64(len(t.slots)-1)]
		if *slot == 0 {
			*slot = int32(len(t.rows)) + 1
			break
		}
		if r := &t.rows[*slot-1]; r.hash == h && r.tile == tile && bytes.Equal(t.entity(r), entity) {
			return int(*slot) - 1
		}
	}
	t.rows = append(t.rows, tileRow{h, uint32(len(t.keys)), uint32(len(entity)), tile})
	t.keys = append(t.keys, entity...)
	for _, s := range t.states {
		s.grow()
	}
	if 2*len(t.rows) > len(t.slots) {
		t.widen()
	}
	return len(t.rows) - 1
}

func place(h uint64, tile int64) uint64 {
	h ^= uint64(tile) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}

func (t *table) widen() {
	t.slots = make([]int32, 2*len(t.slots))
	mask := uint64(len(t.slots) - 1)
	for i := range t.rows {
		at := place(t.rows[i].hash, t.rows[i].tile)
		for t.slots[at&mask] != 0 {
			at++
		}
		t.slots[at&mask] = int32(i) + 1
	}
}

func (t *table) clear() {
	clear(t.slots)
	t.rows, t.keys = t.rows[:0], t.keys[:0]
	for _, s := range t.states {
		s.resize(0)
	}
}

// order returns the rows sorted by chunk, of perChunk tiles, then entity, then tile.
func (t *table) order(dst []int32, perChunk int64) []int32 {
	dst = dst[:0]
	for i := range t.rows {
		dst = append(dst, int32(i))
	}
	slices.SortFunc(dst, func(i, j int32) int {
		a, b := &t.rows[i], &t.rows[j]
		if c := cmp.Compare(floorDiv(a.tile, perChunk), floorDiv(b.tile, perChunk)); c != 0 {
			return c
		}
		if c := cmp.Compare(a.hash, b.hash); c != 0 {
			return c
		}
		return cmp.Or(bytes.Compare(t.entity(a), t.entity(b)), cmp.Compare(a.tile, b.tile))
	})
	return dst
}
