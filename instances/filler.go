package instances

import (
	"slices"

	mortise "github.com/mortise-dev/mortise"
)

// Part says which part of an Instance a column is.
type Part uint8

const (
	PartID Part = iota
	PartTime
	PartLabel
	PartLabelTime
	PartLabelCount
	PartSelected
	PartWeight
	PartRevision
	PartFinal
	PartLate
	PartDegraded
)

// Part returns what column i of the schema is; at is which of the labels or of
// the selected columns.
func (c *Columns) Part(i int) (part Part, at int) {
	if i < 2 {
		return PartID + Part(i), 0
	}
	if i -= 2; i < 3*len(c.labels) {
		return PartLabel + Part(i%3), i / 3
	}
	if i -= 3 * len(c.labels); i < len(c.selected) {
		return PartSelected, i
	}
	return PartWeight + Part(i-len(c.selected)), 0
}

// IsNullable reports whether column i of the schema can be null in formats that
// say so: where it is declared so, and every selected float, which is null where
// it is not finite.
func (c *Columns) IsNullable(i int) bool {
	part, _ := c.Part(i)
	typ := c.schema[i].Type
	return typ.Nullable || part == PartSelected && typ.Kind == mortise.Float
}

// Filler fills an Instance column by column, for decoders. One goroutine uses it.
type Filler struct {
	columns *Columns
	texts   map[string]string // what stood in `degraded` so far
}

// NewFiller makes a filler of the columns.
func NewFiller(c *Columns) *Filler { return &Filler{columns: c, texts: map[string]string{}} }

// Begin makes into what a row without any column is: no matches, all that is
// selected null.
func (f *Filler) Begin(into *Instance) {
	*into = Instance{
		Labels:   slices.Grow(into.Labels[:0], len(f.columns.labels))[:len(f.columns.labels)],
		Selected: slices.Grow(into.Selected[:0], len(f.columns.selected))[:len(f.columns.selected)],
		Degraded: into.Degraded[:0],
	}
	clear(into.Labels)
	for i := range into.Selected {
		into.Selected[i] = mortise.NullValue()
	}
}

// Set gives a column its value, which is of the column's type, or null.
func (f *Filler) Set(into *Instance, part Part, at int, v *mortise.Value) {
	switch part {
	case PartID:
		into.ID = v.Text()
	case PartTime:
		into.TimeMS = v.Int()
	case PartLabel:
		into.Labels[at].Value = v.Float()
	case PartLabelTime:
		into.Labels[at].FirstMS = v.Int()
	case PartLabelCount:
		into.Labels[at].Count = v.Int()
	case PartSelected:
		into.Selected[at] = *v
	case PartWeight:
		into.Weight = v.Float()
	case PartRevision:
		into.Revision = int32(v.Int())
	case PartFinal:
		into.Final = v.Bool()
	case PartLate:
		into.Late = v.Bool()
	case PartDegraded:
		for _, text := range v.List() {
			into.Degraded = append(into.Degraded, f.text(text.Text()))
		}
	}
}

// text returns a text of `degraded` as a string: there are few different ones.
func (f *Filler) text(text []byte) string {
	const most = 1024
	known, ok := f.texts[string(text)]
	if !ok {
		known = string(text)
		if len(f.texts) < most {
			f.texts[known] = known
		}
	}
	return known
}
