package dimensions

import (
	"context"
	"fmt"
	"io"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin/file"
	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/joiner/recorded"
	"github.com/mortise-dev/mortise/joiner/recorded/parquet"
)

// openBucket opens the object store of a file's URL.
func openBucket(ctx context.Context, place string) (file.Bucket, error) {
	b, err := objectstore.Open(ctx, place)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// openParquet opens a dimension's file by what reads recorded input.
func openParquet(r io.ReaderAt, sizeBytes int64) (file.Columns, error) {
	t, err := parquet.Open(r, sizeBytes)
	if err != nil {
		return nil, err
	}
	return columns{t}, nil
}

// columns are a Parquet file's.
type columns struct{ recorded.Table }

// Names implements file.Columns.
func (c columns) Names() (all []string) {
	for _, column := range c.Columns() {
		all = append(all, column.Name)
	}
	return all
}

// Open implements file.Columns.
func (c columns) Open(wanted mortise.Schema) (file.Objects, error) {
	var members []recorded.Member
	layout := recorded.Layout{Tail: []byte{'}'}}
	for i, f := range wanted {
		m := recorded.Member{Path: []string{f.Name}, Column: f.Name, Type: f.Type}
		if f.Type.Kind == mortise.Invalid {
			m.TimeUnit = "rfc3339" // times then say what they are
			if c.Fit(&m) != nil {
				m.TimeUnit = "" // numbers stay numbers
			}
		}
		if err := c.Fit(&m); err != nil {
			return nil, fmt.Errorf("column %s: %w", f.Name, err)
		}
		lead := []byte{'{'}
		if i > 0 {
			lead[0] = ','
		}
		layout.Leads = append(layout.Leads, append(recorded.AppendString(lead, []byte(f.Name)), ':'))
		members = append(members, m)
	}
	return c.Rows(members, layout, 0, len(c.Groups()))
}
