package features

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	mortise "github.com/mortise-dev/mortise"
)

// Explanation says how a value came about.
type Explanation struct {
	Feature string
	Value   mortise.Value
	FromMS  int64 // the window, [FromMS, ToMS), cut to tiles
	ToMS    int64
	Final   bool // no event within the window is still to come
	Tiles   []ExplainedTile
}

// ExplainedTile is one tile that a value was made of.
type ExplainedTile struct {
	Level  int    // 0 is the finest
	Task   string // that wrote it
	FromMS int64
	ToMS   int64
	Value  mortise.Value // the aggregate over the tile alone
	Bytes  int           // of its state
}

// Explain says which tiles the value of a feature, by its place in the set, is made
// of, for one entity as of a time, in order of time. Final or not, it reads what is
// there.
func (r *Reader) Explain(ctx context.Context, feature int, entity []byte, asOfMS int64) (*Explanation, error) {
	f := &r.set.Features[feature]
	g := &r.set.Groups[f.Group]
	gr := &r.groups[f.Group]
	p := gr.planOf(g.AsOf(asOfMS))
	out := &Explanation{Feature: f.Definition.Name, FromMS: p.asOfMS - f.WindowMS, ToMS: p.asOfMS, Final: p.asOfMS <= r.sources[g.Source].finalMS}
	e := explainer{out: out, column: r.numbers.key(r.set, f.Group, f.column), at: slices.Index(g.Features, feature)}
	e.whole, e.tile = newStates(g.columns[f.column].kind, f.params), newStates(g.columns[f.column].kind, f.params)
	e.whole.resize(1)
	for _, shard := range r.shards(f.Group, entity) {
		e.task = r.taskOf(g.Source, shard)
		for i := range p.chunks {
			c := &p.chunks[i]
			key := Key{shard, r.numbers.groups[f.Group], uint8(c.level), int32(c.chunk), entity}
			err := r.store.Read(ctx, []Key{key}, func(_ int, chunk []byte) error { return e.chunk(c, chunk, p.asOfMS) })
			if err != nil {
				return nil, fmt.Errorf("explaining feature %s: %w", out.Feature, err)
			}
		}
	}
	out.Value = keepValue(e.whole.result(0, p.asOfMS))
	slices.SortStableFunc(out.Tiles, func(a, b ExplainedTile) int { return int(min(max(a.FromMS-b.FromMS, -1), 1)) })
	return out, nil
}

func (r *Reader) taskOf(source int, shard uint16) string {
	s := &r.sources[source]
	for task := range s.shards {
		if s.began[task] && s.shards[task] == shard {
			return r.opts.Tasks[source][task]
		}
	}
	return ""
}

// explainer collects one feature's tiles.
type explainer struct {
	out         *Explanation
	column      columnKey
	at          int // of the feature in its group
	task        string
	whole, tile states
}

func (e *explainer) chunk(c *planChunk, chunk []byte, asOfMS int64) error {
	r := readChunk(bytes.Clone(chunk))
	for r.nextColumn() {
		if r.column != e.column {
			continue
		}
		for place, state, ok := r.nextTile(); ok; place, state, ok = r.nextTile() {
			if p := c.places[e.at]; place < int(p.from) || place >= int(p.to) {
				continue
			}
			fromMS := c.startMS + int64(place)*c.spanMS
			e.tile.resize(1)
			for _, s := range []states{e.tile, e.whole} {
				if err := s.absorb(0, state, fromMS); err != nil {
					return err
				}
			}
			e.out.Tiles = append(e.out.Tiles, ExplainedTile{c.level, e.task, fromMS, fromMS + c.spanMS, keepValue(e.tile.result(0, asOfMS)), len(state)})
		}
	}
	return r.err()
}
