// Package inputs opens the recorded files of a source, in every format and from
// every place that there is: it wires joiner/recorded to its leaves. It belongs
// to stage 6, before the pipeline; experiments/offline and experiments/backfill
// read through it, and the command's --input.
package inputs

import (
	"context"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/recorded"
	"github.com/mortise-dev/mortise/joiner/recorded/parquet"
)

// Open opens the files that patterns name. sources are how each experiment that
// reads them declares what they hold; nil ones are left out. What is read of
// files of columns serves them all.
func Open(ctx context.Context, sources []*spec.Source, patterns ...string) (*recorded.Files, error) {
	return recorded.Open(ctx, Options(sources), patterns...)
}

// Options says how files of the sources are read.
func Options(sources []*spec.Source) recorded.Options {
	o := recorded.Options{OpenTable: parquet.Open}
	for _, s := range sources {
		if s == nil {
			continue
		}
		o.Whole = o.Whole || s.Clean != ""
		if o.TimeField == "" {
			o.TimeField, o.TimeUnit = s.TimeField, s.TimeUnit
		}
		for _, f := range s.Fields {
			o.Fields = add(o.Fields, f)
		}
	}
	return o
}

// add adds a field, which may be null only if everybody says so.
func add(fields mortise.Schema, f mortise.Field) mortise.Schema {
	if i := fields.Index(f.Name); i >= 0 {
		fields = slices.Clone(fields)
		fields[i].Type.Nullable = fields[i].Type.Nullable && f.Type.Nullable
		return fields
	}
	return append(fields, f)
}
