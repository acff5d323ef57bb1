package compare

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// Result is how two sets of rows differ.
type Result struct {
	A       SideSummary     `json:"a"`
	B       SideSummary     `json:"b"`
	Equal   int64           `json:"equal"`
	Changed int64           `json:"changed"`
	Removed int64           `json:"removed"` // only in A
	Added   int64           `json:"added"`   // only in B
	Classes map[Class]int64 `json:"classes"` // changed, removed and added rows, by why
	Columns []ColumnSummary `json:"columns"` // those that changed, the most often changed first
	// Schema is the columns that one side has and the other has not. They differ
	// in no row.
	Schema  []SchemaDifference `json:"schema,omitempty"`
	Hours   []HourSummary      `json:"hours"` // where in event time the differing rows lie
	Samples []Sample           `json:"samples"`
}

// Same reports whether the sides do not differ at all.
func (r *Result) Same() bool { return r.Differing() == 0 && len(r.Schema) == 0 }

// Differing is how many rows differ.
func (r *Result) Differing() int64 { return r.Changed + r.Removed + r.Added }

// ColumnSummary is how one column changed.
type ColumnSummary struct {
	Name     string          `json:"name"`
	Changed  int64           `json:"changed"`
	NullInA  int64           `json:"null_in_a,omitempty"` // of them, null only in A
	NullInB  int64           `json:"null_in_b,omitempty"`
	MaxDelta float64         `json:"max_delta,omitempty"` // the largest difference of two numbers
	Classes  map[Class]int64 `json:"classes"`
}

// SchemaDifference is a column that one side lacks.
type SchemaDifference struct {
	Column string `json:"column"`
	OnlyIn string `json:"only_in"` // a or b
}

// HourSummary is how many rows differ in one hour of event time.
type HourSummary struct {
	StartMS int64 `json:"start"` // ms UTC
	Changed int64 `json:"changed"`
	Removed int64 `json:"removed"`
	Added   int64 `json:"added"`
}

// Kinds of differences.
const (
	kindChanged = "changed"
	kindRemoved = "removed"
	kindAdded   = "added"
)

// Sample is one difference.
type Sample struct {
	Kind     string `json:"kind"` // changed, removed (only in A) or added (only in B)
	Class    Class  `json:"class"`
	ID       string `json:"instance_id"`
	TimeMS   int64  `json:"event_time"`
	Revision int64  `json:"revision"`
	// Columns are those that changed, or all that are compared of a row that one
	// side has.
	Columns []Cell `json:"columns"`
}

// Cell is one column's values on both sides, as JSON has them.
type Cell struct {
	Column string `json:"column"`
	A      any    `json:"a"`
	B      any    `json:"b"`

	a, b []byte // encoded
}

const hourMS = 3600_000

// maxHours bounds the hours that are told apart; rows of others are counted, not placed.
const maxHours = 100_000

func (w *walk) count(kind string, class Class, timeMS int64) {
	if w.res.Classes == nil {
		w.res.Classes = map[Class]int64{}
	}
	w.res.Classes[class]++
	start := floorDiv(timeMS, hourMS) * hourMS
	h := w.hours[start]
	if h == nil {
		if len(w.hours) == maxHours {
			return
		}
		h = &HourSummary{StartMS: start}
		w.hours[start] = h
	}
	switch kind {
	case kindChanged:
		h.Changed++
	case kindRemoved:
		h.Removed++
	default:
		h.Added++
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func (w *walk) wantsSample(kind string, class Class) bool {
	key := [2]string{kind, string(class)}
	if w.taken[key] >= w.c.opts.Samples {
		return false
	}
	w.taken[key]++
	return true
}

// id returns the id of the instance at hand.
func (w *walk) id() string {
	_, n := binary.Uvarint(w.prefix[hashBytes:])
	return string(w.prefix[hashBytes+n:])
}

func appendInt(dst []byte, v int64) []byte { return binary.AppendVarint(append(dst, tagInt), v) }

// result puts everything in a fixed order.
func (w *walk) result() *Result {
	r := &w.res
	r.Columns, r.Hours = []ColumnSummary{}, []HourSummary{}
	if r.Samples == nil {
		r.Samples = []Sample{}
	}
	if r.Classes == nil {
		r.Classes = map[Class]int64{}
	}
	a, b := w.c.sides[0], w.c.sides[1]
	a.summary.Columns, b.summary.Columns = a.columns, b.columns
	r.A, r.B = a.summary, b.summary
	for _, c := range w.counts {
		r.Columns = append(r.Columns, *c)
	}
	slices.SortFunc(r.Columns, func(x, y ColumnSummary) int {
		return cmp.Or(cmp.Compare(y.Changed, x.Changed), strings.Compare(x.Name, y.Name))
	})
	for _, h := range w.hours {
		r.Hours = append(r.Hours, *h)
	}
	slices.SortFunc(r.Hours, func(x, y HourSummary) int { return cmp.Compare(x.StartMS, y.StartMS) })
	if a.summary.Rows > 0 && b.summary.Rows > 0 { // a side without rows has no columns
		r.lack(a, b, "a")
		r.lack(b, a, "b")
	}
	return r
}

// lack adds the columns of one side that the other lacks.
func (r *Result) lack(of, in *Side, side string) {
	for _, name := range of.comparedColumns() {
		if !in.known[name] {
			r.Schema = append(r.Schema, SchemaDifference{name, side})
		}
	}
}
