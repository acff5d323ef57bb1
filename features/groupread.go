package features

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"

	mortise "github.com/mortise-dev/mortise"
)

// Bounds of what a reader holds at once.
const (
	maxReadRows = 1024 // results that are put together at a time
	maxPlans    = 4096
)

// groupReader reads one group's features.
type groupReader struct {
	r       *Reader
	group   int
	users   map[columnKey][]int // column → the group's features that read it
	states  []states            // per feature of the group
	since   [][]int64           // per feature and level: complete from
	plans   map[int64]*plan
	nothing mortise.Row // what there is where there are no events

	misses []miss
	byKey  map[string]int32 // → misses
	wanted []want
	order  []int32
	reads  []chunkRead
	keys   []Key
	firsts []int32 // per key: its first of reads
}

// miss is a result that has to be read.
type miss struct {
	key    string // in the cache
	entity []byte
	asOfMS int64
	plan   *plan
	values mortise.Row
}

// want is a lookup that waits for a miss.
type want struct{ lookup, miss int32 }

// chunkRead is a chunk that a row's plan asks for, of one shard. The order in which
// they are read, the store's, is that of place: shard, level, the chunk's time, and
// the row in the batch, which is in order of entity.
type chunkRead struct {
	place uint64
	chunk int32 // in the plan's chunks
}

// Bits of a place, from the least: 10 of the row, 32 of the chunk, 3 of the level,
// 16 of the shard.
const (
	rowBits   = 10
	chunkBits = 32
	levelBits = 3
)

var (
	_ = [1]struct{}{}[maxReadRows>>rowBits-1] // they are enough
	_ = [1]struct{}{}[maxLevels>>levelBits-1]
)

func placeOf(shard uint16, c *planChunk, row int) uint64 {
	time := uint64(uint32(int32(c.chunk)) ^ 1<<31) // negative ones first, as in a Key
	return (uint64(shard)<<levelBits|uint64(c.level))<<(chunkBits+rowBits) | time<<rowBits | uint64(row)
}

func (r *chunkRead) row() int      { return int(r.place & (1<<rowBits - 1)) }
func (r *chunkRead) shard() uint16 { return uint16(r.place >> (levelBits + chunkBits + rowBits)) }

func newGroupReader(r *Reader, group int) groupReader {
	g := &r.set.Groups[group]
	gr := groupReader{r: r, group: group, users: map[columnKey][]int{}, plans: map[int64]*plan{}, byKey: map[string]int32{}}
	for i, f := range g.Features {
		feature := &r.set.Features[f]
		key := r.numbers.key(r.set, group, feature.column)
		gr.users[key] = append(gr.users[key], i)
		s := newStates(g.columns[feature.column].kind, feature.params)
		s.resize(1)
		gr.states = append(gr.states, s)
		gr.nothing = append(gr.nothing, keepValue(s.result(0, 0)))
		gr.since = append(gr.since, slices.Repeat([]int64{math.MaxInt64}, feature.top+1))
	}
	return gr
}

// refresh notes from when on columns are complete: in all tasks.
func (g *groupReader) refresh(positions []*Position, all bool) {
	set, changed := g.r.set, false
	for i, f := range set.Groups[g.group].Features {
		column := g.r.numbers.columns[g.group][set.Features[f].column]
		for level := range g.since[i] {
			fromMS := int64(math.MinInt64)
			if !all {
				fromMS = math.MaxInt64
			}
			for _, p := range positions {
				if c := p.find(g.r.numbers.groups[g.group], column, level); c != nil {
					fromMS = max(fromMS, c.fromMS)
				} else {
					fromMS = math.MaxInt64
				}
			}
			changed = changed || g.since[i][level] != fromMS
			g.since[i][level] = fromMS
		}
	}
	if changed {
		clear(g.plans)
	}
}

// want notes that a lookup needs what is not in the cache. key's entity begins at
// entityAt.
func (g *groupReader) want(key []byte, entityAt int, asOfMS int64, lookup int) {
	at, ok := g.byKey[string(key)]
	if !ok {
		at = int32(len(g.misses))
		own := string(key)
		g.byKey[own] = at
		g.misses = append(g.misses, miss{key: own, entity: []byte(own[entityAt:]), asOfMS: asOfMS})
	}
	g.wanted = append(g.wanted, want{int32(lookup), at})
}

func (g *groupReader) forget() {
	clear(g.byKey)
	clear(g.misses)
	g.misses, g.wanted = g.misses[:0], g.wanted[:0]
}

// read reads what is missed and answers the lookups that wait for it.
func (g *groupReader) read(ctx context.Context, lookups []Lookup) error {
	if len(g.misses) == 0 {
		return nil
	}
	g.order = g.order[:0]
	for i := range g.misses {
		g.order = append(g.order, int32(i))
	}
	slices.SortFunc(g.order, func(i, j int32) int {
		if c := bytes.Compare(g.misses[i].entity, g.misses[j].entity); c != 0 {
			return c
		}
		return int(min(max(g.misses[i].asOfMS-g.misses[j].asOfMS, -1), 1))
	})
	for batch := range slices.Chunk(g.order, maxReadRows) {
		if err := g.readBatch(ctx, batch); err != nil {
			return err
		}
	}
	finalMS := g.r.sources[g.r.set.Groups[g.group].Source].finalMS
	for i := range g.misses {
		if m := &g.misses[i]; m.asOfMS <= finalMS {
			g.r.cache.put(m.key, m.values)
		}
	}
	for _, w := range g.wanted {
		lookups[w.lookup].Values = g.misses[w.miss].values
	}
	g.forget()
	return nil
}

// readBatch reads the chunks of some misses, which come in order of entity.
func (g *groupReader) readBatch(ctx context.Context, batch []int32) error {
	g.collect(batch)
	for _, s := range g.states {
		s.resize(len(batch))
	}
	stats := &g.r.stats
	stats.Rows += int64(len(batch))
	stats.Keys += int64(len(g.keys))
	err := g.r.store.Read(ctx, g.keys, func(i int, chunk []byte) error {
		stats.Chunks++
		stats.Bytes += int64(len(chunk))
		for at := g.firsts[i]; at < g.firsts[i+1]; at++ {
			read := &g.reads[at]
			if err := g.absorb(read.row(), &g.misses[batch[read.row()]].plan.chunks[read.chunk], chunk); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	n := len(g.states)
	values := make(mortise.Row, n*len(batch))
	for row, at := range batch {
		m := &g.misses[at]
		m.values = values[row*n : (row+1)*n : (row+1)*n]
		for i, s := range g.states {
			m.values[i] = keepValue(s.result(row, m.plan.asOfMS))
		}
	}
	return nil
}

// collect lists the keys that the batch needs, each once, in the store's order.
func (g *groupReader) collect(batch []int32) {
	g.reads, g.keys, g.firsts = g.reads[:0], g.keys[:0], g.firsts[:0]
	for row, at := range batch {
		m := &g.misses[at]
		m.plan = g.planOf(m.asOfMS)
		for _, shard := range g.r.shards(g.group, m.entity) {
			for c := range m.plan.chunks {
				g.reads = append(g.reads, chunkRead{placeOf(shard, &m.plan.chunks[c], row), int32(c)})
			}
		}
	}
	slices.SortFunc(g.reads, func(a, b chunkRead) int { return cmp.Compare(a.place, b.place) })
	number := g.r.numbers.groups[g.group]
	for i := range g.reads {
		read := &g.reads[i]
		m := &g.misses[batch[read.row()]]
		if n := len(g.keys); n > 0 && g.reads[i-1].place>>rowBits == read.place>>rowBits && bytes.Equal(g.keys[n-1].Entity, m.entity) {
			continue
		}
		c := &m.plan.chunks[read.chunk]
		g.keys = append(g.keys, Key{read.shard(), number, uint8(c.level), int32(c.chunk), m.entity})
		g.firsts = append(g.firsts, int32(i))
	}
	g.firsts = append(g.firsts, int32(len(g.reads)))
}

func (g *groupReader) planOf(asOfMS int64) *plan {
	p := g.plans[asOfMS]
	if p == nil {
		if len(g.plans) >= maxPlans {
			clear(g.plans)
		}
		p = g.r.set.newPlan(g.group, asOfMS, g.since)
		g.plans[asOfMS] = p
	}
	return p
}

// absorb merges what the features read of a chunk into the row's states.
func (g *groupReader) absorb(row int, c *planChunk, chunk []byte) error {
	r := readChunk(chunk)
	for r.nextColumn() {
		users := g.users[r.column]
		if len(users) == 0 {
			continue
		}
		for place, state, ok := r.nextTile(); ok; place, state, ok = r.nextTile() {
			for _, i := range users {
				if p := c.places[i]; place < int(p.from) || place >= int(p.to) {
					continue
				}
				if err := g.states[i].absorb(row, state, c.startMS+int64(place)*c.spanMS); err != nil {
					return err
				}
			}
		}
	}
	return r.err()
}

// shards are those that hold an entity's tiles.
func (r *Reader) shards(group int, entity []byte) []uint16 {
	source := r.set.Groups[group].Source
	s := &r.sources[source]
	if r.opts.Route == nil {
		return s.all
	}
	task := r.opts.Route(source, entity)
	switch {
	case task < 0:
		return s.all
	case !s.began[task]:
		return nil
	}
	return s.shards[task : task+1]
}
