package features

import "slices"

// plan says which tiles a read of one group as of one time needs. It is the same
// for every entity.
type plan struct {
	asOfMS int64 // the start of the tile that the time lies in
	chunks []planChunk
}

// planChunk is one chunk of a plan, and which of its places each feature reads.
type planChunk struct {
	level   int
	chunk   int64
	startMS int64
	spanMS  int64
	places  []placeRange // per feature of the group
}

// placeRange is places [from, to) of a chunk; none where they are equal.
type placeRange struct{ from, to int16 }

// newPlan plans a read as of a time. since says, per feature of the group and
// level, from when on the level's tiles hold everything.
func (s *Set) newPlan(group int, asOfMS int64, since [][]int64) *plan {
	g := &s.Groups[group]
	p := &plan{asOfMS: asOfMS}
	var pieces []piece
	for i, at := range g.Features {
		f := &s.Features[at]
		pieces = decompose(pieces[:0], g.Levels[:f.top+1], since[i], asOfMS-f.WindowMS, asOfMS)
		for _, run := range pieces {
			p.take(g, i, run)
		}
	}
	slices.SortFunc(p.chunks, func(a, b planChunk) int {
		if a.level != b.level {
			return a.level - b.level
		}
		return int(a.chunk - b.chunk)
	})
	return p
}

// take adds a run of tiles that the i-th feature of the group reads.
func (p *plan) take(g *Group, i int, run piece) {
	perChunk := g.perChunk(run.level)
	for from := run.from; from < run.to; {
		chunk := floorDiv(from, perChunk)
		to := min(run.to, (chunk+1)*perChunk)
		places := &p.chunk(g, run.level, chunk, perChunk).places[i]
		if start := int16(from - chunk*perChunk); places.from == places.to {
			*places = placeRange{start, start}
		}
		places.to = int16(to - chunk*perChunk)
		from = to
	}
}

func (p *plan) chunk(g *Group, level int, chunk, perChunk int64) *planChunk {
	for i := range p.chunks {
		if c := &p.chunks[i]; c.level == level && c.chunk == chunk {
			return c
		}
	}
	spanMS := g.Levels[level]
	p.chunks = append(p.chunks, planChunk{level, chunk, chunk * perChunk * spanMS, spanMS, make([]placeRange, len(g.Features))})
	return &p.chunks[len(p.chunks)-1]
}
