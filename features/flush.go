package features

import (
	"bytes"
	"cmp"
	"slices"
)

// flusher turns a group's table into chunks, one level after the other. Of the
// rows of one level those of one entity and chunk are at the same time those of
// one tile of the level above, so that each level is made from the one below.
type flusher struct {
	set     *Set
	numbers *numbering
	shard   uint16
	columns [][]int    // per group: its columns in order of number
	above   [][]*table // per group and level from 1 on: what the level has to write
	order   []int32
	writer  chunkWriter
	buffer  []byte
	state   []byte
	arena   arena // of the chunks
	chunks  []Chunk
}

func newFlusher(set *Set, numbers *numbering, shard uint16) *flusher {
	f := &flusher{set: set, numbers: numbers, shard: shard}
	for i := range set.Groups {
		g := &set.Groups[i]
		above := []*table{nil}
		for range g.Levels[1:] {
			above = append(above, newTable(g.columns))
		}
		f.above = append(f.above, above)
		columns := make([]int, len(g.columns))
		for c := range columns {
			columns[c] = c
		}
		slices.SortFunc(columns, func(a, b int) int { return cmp.Compare(numbers.columns[i][a], numbers.columns[i][b]) })
		f.columns = append(f.columns, columns)
	}
	return f
}

func (f *flusher) reset() {
	f.arena.reset()
	f.chunks = f.chunks[:0]
}

// group appends the chunks of all levels of a group's tiles.
func (f *flusher) group(group int, t *table) error {
	for level := range f.set.Groups[group].Levels {
		var above *table
		if level+1 < len(f.above[group]) {
			above = f.above[group][level+1]
		}
		if err := f.level(group, level, t, above); err != nil {
			return err
		}
		t = above
	}
	return nil
}

func (f *flusher) level(group, level int, t, above *table) error {
	if above != nil {
		above.clear()
	}
	g := &f.set.Groups[group]
	perChunk := g.perChunk(level)
	f.order = t.order(f.order, perChunk)
	for run := f.order; len(run) > 0; {
		first := &t.rows[run[0]]
		chunk, n := floorDiv(first.tile, perChunk), 1
		for n < len(run) && t.sameChunk(first, &t.rows[run[n]], chunk, perChunk) {
			n++
		}
		if err := f.run(group, level, t, above, run[:n], chunk); err != nil {
			return err
		}
		run = run[n:]
	}
	return nil
}

func (t *table) sameChunk(a, b *tileRow, chunk, perChunk int64) bool {
	return a.hash == b.hash && floorDiv(b.tile, perChunk) == chunk && bytes.Equal(t.entity(a), t.entity(b))
}

// run writes one chunk, and the tile above it.
func (f *flusher) run(group, level int, t, above *table, run []int32, chunk int64) error {
	g := &f.set.Groups[group]
	spanMS, perChunk := g.Levels[level], g.perChunk(level)
	first := &t.rows[run[0]]
	up := -1
	f.writer.start(f.buffer[:0])
	for _, c := range f.columns[group] {
		if g.columns[c].top < level {
			continue
		}
		f.writer.startColumn(f.numbers.key(f.set, group, c))
		for _, i := range run {
			row := &t.rows[i]
			if !t.states[c].has(int(i)) {
				continue
			}
			baseMS := row.tile * spanMS
			f.state = t.states[c].append(f.state[:0], int(i), baseMS)
			f.writer.tile(int(row.tile-chunk*perChunk), f.state)
			if above == nil || g.columns[c].top <= level {
				continue
			}
			if up < 0 {
				up = above.row(t.entity(first), chunk)
			}
			if err := above.states[c].absorb(up, f.state, baseMS); err != nil {
				return err
			}
		}
		f.writer.endColumn()
	}
	f.buffer = f.writer.dst
	if len(f.buffer) == 1 { // no column took any of the events
		return nil
	}
	key := Key{f.shard, f.numbers.groups[group], uint8(level), int32(chunk), f.arena.copy(t.entity(first))}
	f.chunks = append(f.chunks, Chunk{key, f.arena.copy(f.buffer)})
	return nil
}
