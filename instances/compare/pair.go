package compare

import (
	"bytes"
	"errors"
	"math"
)

// pair is how rows of two layouts, one of each side, are compared.
type pair struct {
	same  bool // they keep the same columns: equal bytes are equal rows
	steps []step
}

// step is one column of either layout, or of both.
type step struct {
	inA, inB bool
	column   column
	within   float64
}

func (w *walk) pair(a, b uint32) *pair {
	key := [2]uint32{a, b}
	if p := w.pairs[key]; p != nil {
		return p
	}
	p := newPair(&w.c.opts, w.c.sides[0].layouts[a], w.c.sides[1].layouts[b])
	w.pairs[key] = p
	return p
}

func newPair(o *Options, a, b *compiled) *pair {
	p := &pair{same: a.same == b.same}
	for i, j := 0, 0; i < len(a.columns) || j < len(b.columns); {
		var s step
		switch {
		case j == len(b.columns) || i < len(a.columns) && a.columns[i].name < b.columns[j].name:
			s = step{inA: true, column: a.columns[i]}
		case i == len(a.columns) || b.columns[j].name < a.columns[i].name:
			s = step{inB: true, column: b.columns[j]}
		default:
			s = step{inA: true, inB: true, column: a.columns[i], within: o.tolerance(a.columns[i].name)}
		}
		if s.inA {
			i++
		}
		if s.inB {
			j++
		}
		p.steps = append(p.steps, s)
	}
	return p
}

// view is encoded values that are read one by one.
type view struct {
	rest   []byte
	broken error
}

func viewOf(rec []byte, idEnd int) view { return view{rest: rec[idEnd+16 : len(rec)-layoutBytes]} }

var null = []byte{tagNull}

// next returns the next value; null, and from then on broken is set, where there
// is none that can be read.
func (v *view) next() []byte {
	n, err := valueLen(v.rest)
	if err != nil {
		v.rest, v.broken = nil, err
		return null
	}
	b := v.rest[:n]
	v.rest = v.rest[n:]
	return b
}

// equalValues compares two encoded values within a tolerance.
func equalValues(a, b []byte, within float64) bool {
	if bytes.Equal(a, b) {
		return true
	}
	if within == 0 {
		return false
	}
	if a[0] == tagList && b[0] == tagList {
		return equalLists(a, b, within)
	}
	x, okX := number(a)
	y, okY := number(b)
	return okX && okY && math.Abs(x-y) <= within*max(1, math.Abs(x), math.Abs(y))
}

func equalLists(a, b []byte, within float64) bool {
	x, y := listOf(a), listOf(b)
	for len(x.rest) > 0 && len(y.rest) > 0 {
		if !equalValues(x.next(), y.next(), within) {
			return false
		}
	}
	return len(x.rest) == len(y.rest)
}

// difference is what a comparison of two rows came to.
type difference struct {
	cells []Cell // of the columns that changed
	flags [2]flags
	// what the changed columns have in common
	onlyWeight, onlyLabels bool
	labelOnOneSide         bool // a label's count is 0 on one side and not on the other
}

// flags are what a row says about itself.
type flags struct {
	late, provisional bool
	degraded          []byte // encoded; nil where the column is missing
	weight            float64
	positive          bool // some label matched
}

func (f *flags) note(c *column, v []byte) {
	switch c.role {
	case roleLate:
		f.late = v[0] == tagTrue
	case roleFinal:
		f.provisional = v[0] == tagFalse
	case roleDegraded:
		f.degraded = v
	case roleWeight:
		f.weight, _ = number(v)
	case roleLabelCount:
		if n, ok := number(v); ok && n > 0 {
			f.positive = true
		}
	}
}

// isDegraded reports whether the row names a dimension that was not served as asked.
func (f *flags) isDegraded() bool {
	return len(f.degraded) > 0 && f.degraded[0] == tagList && len(listOf(f.degraded).rest) > 0
}

// compareRows compares two records of one instance; d's cells are set to the
// columns in which they differ.
func (w *walk) compareRows(a, b []byte, d *difference) (equal bool) {
	idEnd := len(w.prefix)
	p := w.pair(layoutAt(a), layoutAt(b))
	x, y := viewOf(a, idEnd), viewOf(b, idEnd)
	*d = difference{cells: d.cells[:0], onlyWeight: true, onlyLabels: true}
	for i := range p.steps {
		s := &p.steps[i]
		var va, vb []byte
		if s.inA {
			va = x.next()
			d.flags[0].note(&s.column, va)
		}
		if s.inB {
			vb = y.next()
			d.flags[1].note(&s.column, vb)
		}
		if s.inA && s.inB && s.column.compared && !equalValues(va, vb, s.within) {
			d.add(s.column, va, vb)
		}
	}
	w.broken = errors.Join(w.broken, x.broken, y.broken)
	return len(d.cells) == 0
}

func (d *difference) add(c column, a, b []byte) {
	d.cells = append(d.cells, Cell{Column: c.name, a: a, b: b})
	d.onlyWeight = d.onlyWeight && c.role == roleWeight
	d.onlyLabels = d.onlyLabels && (c.role == roleLabel || c.role == roleLabelCount || c.role == roleWeight)
	if c.role == roleLabelCount {
		x, _ := number(a)
		y, _ := number(b)
		d.labelOnOneSide = d.labelOnOneSide || (x == 0) != (y == 0)
	}
}
