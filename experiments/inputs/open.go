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
	"github.com/mortise-dev/mortise/internal/objectstore"
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
	o := recorded.Options{OpenTable: parquet.Open, OpenStore: openStore, From: map[string][]string{}}
	for _, s := range sources {
		if s == nil {
			continue
		}
		o.Whole = o.Whole || s.Clean != ""
		if o.TimeField == "" {
			o.TimeField, o.TimeUnit = s.TimeField, s.TimeUnit
		}
		for _, f := range s.Fields {
			if s.From[f.Name] != nil { // it lies in a column of another name
				o.Whole = true
				continue
			}
			o.Fields = add(o.Fields, f)
		}
	}
	return o
}

// store is a bucket that knows which of its errors are final.
type store struct{ *objectstore.Bucket }

// Permanent implements recorded.Store.
func (store) Permanent(err error) bool { return objectstore.IsPermanent(err) }

func openStore(ctx context.Context, place string) (recorded.Store, error) {
	b, err := objectstore.Open(ctx, place)
	if err != nil {
		return nil, err
	}
	return store{b}, nil
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
