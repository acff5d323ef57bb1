package compare

import (
	"errors"
	"math"
)

// resolve says what the rows of one instance that found no equal have become:
// equal after all, within tolerances and the columns that count; changed; or on
// one side only.
func (w *walk) resolve() {
	left := [2][]int{w.all(0), w.all(1)}
	sameKey := func(a, b []byte) bool {
		ra, ta := keyOf(a, len(w.prefix))
		rb, tb := keyOf(b, len(w.prefix))
		return ra == rb && ta == tb
	}
	sameRevision := func(a, b []byte) bool {
		ra, _ := keyOf(a, len(w.prefix))
		rb, _ := keyOf(b, len(w.prefix))
		return ra == rb
	}
	var d difference
	w.match(&left, func(a, b []byte) bool {
		if !sameKey(a, b) || !w.compareRows(a, b, &d) {
			return false
		}
		w.res.Equal++
		return true
	})
	for _, same := range []func(a, b []byte) bool{sameKey, sameRevision} {
		w.match(&left, func(a, b []byte) bool {
			if !same(a, b) {
				return false
			}
			w.changed(a, b, &d)
			return true
		})
	}
	for side := range left {
		for _, i := range left[side] {
			w.oneSided(side, w.found.sides[side].row(i), "")
		}
	}
}

func (w *walk) all(side int) []int {
	indexes := make([]int, len(w.found.sides[side].rows))
	for i := range indexes {
		indexes[i] = i
	}
	return indexes
}

// match takes out of left the rows that meet: of each on the one side the first
// on the other.
func (w *walk) match(left *[2][]int, meet func(a, b []byte) bool) {
	kept := left[0][:0]
next:
	for _, i := range left[0] {
		a := w.found.sides[0].row(i)
		for at, j := range left[1] {
			if meet(a, w.found.sides[1].row(j)) {
				left[1] = append(left[1][:at], left[1][at+1:]...)
				continue next
			}
		}
		kept = append(kept, i)
	}
	left[0] = kept
}

// changed counts two rows of one instance that differ.
func (w *walk) changed(a, b []byte, d *difference) {
	w.compareRows(a, b, d)
	idEnd := len(w.prefix)
	revision, timeMS := keyOf(a, idEnd)
	if _, other := keyOf(b, idEnd); other != timeMS {
		var x, y [16]byte
		d.add(column{name: colTime}, appendInt(x[:0], timeMS), appendInt(y[:0], other))
	}
	class := w.classifyChanged(a, b, d)
	w.res.Changed++
	for i := range d.cells {
		w.countColumn(&d.cells[i], class)
	}
	w.count(kindChanged, class, timeMS)
	if w.wantsSample(kindChanged, class) {
		s := Sample{Kind: kindChanged, Class: class, ID: w.id(), Revision: revision, TimeMS: timeMS}
		for _, c := range d.cells {
			s.Columns = append(s.Columns, Cell{Column: c.Column, A: plainValue(c.a), B: plainValue(c.b)})
		}
		w.res.Samples = append(w.res.Samples, s)
	}
}

// oneSided counts a row that one side has and the other has not; class, where it
// is not empty, is known already.
func (w *walk) oneSided(side int, rec []byte, class Class) {
	idEnd := len(w.prefix)
	revision, timeMS := keyOf(rec, idEnd)
	c := w.c.sides[side].layouts[layoutAt(rec)]
	var f flags
	v := viewOf(rec, idEnd)
	for i := range c.columns {
		f.note(&c.columns[i], v.next())
	}
	w.broken = errors.Join(w.broken, v.broken)
	if class == "" {
		class = w.classifyOneSided(side, rec, &f, revision, timeMS)
	}
	kind := kindRemoved
	if side == 0 {
		w.res.Removed++
	} else {
		w.res.Added++
		kind = kindAdded
	}
	w.count(kind, class, timeMS)
	if !w.wantsSample(kind, class) {
		return
	}
	s := Sample{Kind: kind, Class: class, ID: w.id(), Revision: revision, TimeMS: timeMS}
	v = viewOf(rec, idEnd)
	for i := range c.columns {
		cell, value := Cell{Column: c.columns[i].name}, plainValue(v.next())
		if side == 0 {
			cell.A = value
		} else {
			cell.B = value
		}
		if c.columns[i].compared {
			s.Columns = append(s.Columns, cell)
		}
	}
	w.res.Samples = append(w.res.Samples, s)
}

// countColumn counts a changed column.
func (w *walk) countColumn(c *Cell, class Class) {
	sum := w.counts[c.Column]
	if sum == nil {
		sum = &ColumnSummary{Name: c.Column, Classes: map[Class]int64{}}
		w.counts[c.Column] = sum
	}
	sum.Changed++
	sum.Classes[class]++
	switch {
	case c.a[0] == tagNull:
		sum.NullInA++
	case c.b[0] == tagNull:
		sum.NullInB++
	}
	x, okX := number(c.a)
	y, okY := number(c.b)
	if delta := math.Abs(x - y); okX && okY && !math.IsInf(delta, 0) { // NaN never is larger
		sum.MaxDelta = max(sum.MaxDelta, nanless(delta))
	}
}

func nanless(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return f
}
