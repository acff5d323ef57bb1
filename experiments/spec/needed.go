package spec

import (
	"slices"

	"github.com/mortise-dev/mortise/features"
)

// Enriched reports whether rows have columns that do not come from the main
// stream and its labels alone.
func (e *Experiment) Enriched() bool {
	return len(e.NeededFeatures()) > 0 || len(e.NeededDimensions()) > 0
}

// NeededFeatures are the features that rows are made of: those that are selected
// and those that these are computed from, each behind all that it reads.
func (e *Experiment) NeededFeatures() []*features.Definition {
	needed, _ := e.needed()
	return needed
}

// NeededDimensions are the dimensions that rows are made of, in file order: those
// with a field that is selected, or that a needed feature is computed from.
func (e *Experiment) NeededDimensions() (needed []*Dimension) {
	_, names := e.needed()
	for i := range e.Dimensions {
		d := &e.Dimensions[i]
		if slices.ContainsFunc(d.Fields.Names(), func(field string) bool { return names[DimensionField(d.Name, field)] }) {
			needed = append(needed, d)
		}
	}
	return needed
}

// needed walks from the selection to all that it is computed from.
func (e *Experiment) needed() (needed []*features.Definition, names map[string]bool) {
	names = map[string]bool{}
	for _, c := range e.Instance.Select {
		names[c.From] = true
	}
	for i := range slices.Backward(e.Features) { // in the file's compiled order each stands behind all that it reads
		def := &e.Features[i]
		if !names[def.Name] {
			continue
		}
		needed = append(needed, def)
		if def.IsExpr() {
			for _, name := range def.Expr.Fields() {
				names[name] = true
			}
		}
	}
	slices.Reverse(needed)
	return needed, names
}

// DimensionField is what select and expressions call a field of a dimension.
func DimensionField(dim, field string) string { return dim + "." + field }

// Joins reports whether the join reads a source: as the main one, or a label's.
func (e *Experiment) Joins(source string) bool {
	return source == e.Join.Main || slices.ContainsFunc(e.Join.Labels, func(l Label) bool { return l.Source == source })
}
