package instances

import (
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/fields"
)

// ScanDecoder is the Decoder of formats whose rows are written with a schema: of
// a schema that has some of the columns and others it reads those, by their
// names. One that was added since is null, one that is gone is passed over.
type ScanDecoder struct {
	columns *Columns
	open    func(value []byte) (fields.Scanner, []byte, error)
	wants   []fields.Want // by column
	values  []mortise.Value
	fits    []fields.Fit
	fill    *Filler
}

var _ Decoder = (*ScanDecoder)(nil)

// NewScanDecoder makes a decoder of rows that begin with their schema's id; an id
// that came in a header stands in front of the value. path says where a row of
// the format has a column.
func NewScanDecoder(c *Columns, f fields.Format, path func(mortise.Field) []string, schemas Schemas) *ScanDecoder {
	d := newScanDecoder(c, path)
	d.open = fields.NewFramed(f, d.wants, schemas.Schema).Open
	return d
}

// NewPlainScanDecoder makes a decoder of rows without an id, all of one schema
// and of its first type.
func NewPlainScanDecoder(c *Columns, f fields.Format, path func(mortise.Field) []string, ws *mortise.WriterSchema) (*ScanDecoder, error) {
	d := newScanDecoder(c, path)
	s, err := f.Compile(ws, nil, d.wants)
	if err != nil {
		return nil, fmt.Errorf("reading the schema of instances: %w", err)
	}
	d.open = func(value []byte) (fields.Scanner, []byte, error) { return s, value, nil }
	return d, nil
}

func newScanDecoder(c *Columns, path func(mortise.Field) []string) *ScanDecoder {
	n := len(c.Schema())
	d := &ScanDecoder{columns: c, fill: NewFiller(c), values: make([]mortise.Value, n), fits: make([]fields.Fit, n)}
	for _, col := range c.Schema() {
		d.wants = append(d.wants, fields.Want{Path: path(col), Type: col.Type, Times: fields.Millis{}, NullItems: true})
	}
	return d
}

// Decode implements Decoder.
func (d *ScanDecoder) Decode(value []byte, into *Instance) error {
	scan, body, err := d.open(value)
	if err != nil {
		return fmt.Errorf("instance: %w", err)
	}
	if err := scan.Scan(body, true, d.values, d.fits); err != nil {
		return fmt.Errorf("instance: %w", err)
	}
	d.fill.Begin(into)
	for i, fit := range d.fits {
		switch part, at := d.columns.Part(i); fit {
		case fields.OK:
			d.fill.Set(into, part, at, &d.values[i])
		case fields.Unfit, fields.BadText:
			return fmt.Errorf("instance: column %s: want %s, found %s", d.columns.Schema()[i].Name, d.wants[i].Type, scan.Found(i))
		}
	}
	return nil
}
