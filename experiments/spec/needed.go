package spec

import (
	"slices"

	"github.com/mortise-dev/mortise/features"
)

// Enriched reports whether rows have columns that do not come from the main
// stream and its labels alone.
func (e *Experiment) Enriched() bool { return len(e.NeededFeatures()) > 0 }

// NeededFeatures are the features that rows are made of: those that are selected
// and those that these are computed from, each behind all that it reads.
func (e *Experiment) NeededFeatures() (needed []*features.Definition) {
	wanted := map[string]bool{}
	for _, c := range e.Instance.Select {
		wanted[c.From] = true
	}
	for i := range slices.Backward(e.Features) { // in the file's compiled order each stands behind all that it reads
		def := &e.Features[i]
		if !wanted[def.Name] {
			continue
		}
		needed = append(needed, def)
		if def.IsExpr() {
			for _, name := range def.Expr.Fields() {
				wanted[name] = true
			}
		}
	}
	slices.Reverse(needed)
	return needed
}
