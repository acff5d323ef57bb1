package dimensions

import (
	"context"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/file"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// checkedRows bounds how far a file is looked into: far enough for what is wrong with
// its columns, and done before somebody who edits an experiment grows impatient.
const checkedRows = 100_000

// CheckFiles looks into the files of an experiment's dimensions, as far as they are
// there, and finds what a run would refuse to begin with.
func CheckFiles(ctx context.Context, e *spec.Experiment) (found spec.Diagnostics) {
	for i := range e.Dimensions {
		d := &e.Dimensions[i]
		for _, store := range sides(&d.Store) {
			if store.Kind != "file" {
				continue
			}
			def := d.Definition
			def.Store = *store
			if err := file.Check(ctx, &def, file.Options{OpenColumns: openParquet}, checkedRows); err != nil {
				found = append(found, d.Fault(e, err))
			}
		}
	}
	return found
}

// sides are the stores of a dimension.
func sides(s *dimjoin.Store) []*dimjoin.Store {
	if s.Kind == "ab" {
		return s.AB[:]
	}
	return []*dimjoin.Store{s}
}
