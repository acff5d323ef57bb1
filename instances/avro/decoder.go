package avro

import (
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/internal/avro"
)

// Decoder reads records of any schema that has columns of the decoder's, by
// their names: one that was added since is null, one that is gone is passed over.
type Decoder struct {
	columns map[string]target
	fill    *instances.Filler
	schemas instances.Schemas // nil where every record is of one schema
	known   map[mortise.SchemaID][]step
	last    mortise.SchemaID
	steps   []step // of last
	conv    avro.Converter
	value   mortise.Value
}

var _ instances.Decoder = (*Decoder)(nil)

// target is where a field goes.
type target struct {
	part instances.Part
	at   int // which of the labels or of the selected columns
	typ  mortise.Type
}

// step reads one field of a record.
type step struct {
	name string
	node *avro.Node
	target
	skip bool
}

// NewDecoder makes a decoder of records that begin with their schema's id; one
// that came in a header stands in front of the value.
func NewDecoder(c *instances.Columns, schemas instances.Schemas) *Decoder {
	d := &Decoder{conv: avro.Converter{NullItems: true}, columns: map[string]target{}, fill: instances.NewFiller(c), schemas: schemas, known: map[mortise.SchemaID][]step{}}
	for i, col := range c.Schema() {
		part, at := c.Part(i)
		d.columns[Name(col.Name)] = target{part, at, col.Type}
	}
	return d
}

// NewPlainDecoder makes a decoder of records without an id, all of one schema.
func NewPlainDecoder(c *instances.Columns, schema string) (*Decoder, error) {
	d := NewDecoder(c, nil)
	var err error
	d.steps, err = d.compile(&mortise.WriterSchema{Type: "AVRO", Text: schema})
	return d, err
}

func (d *Decoder) compile(ws *mortise.WriterSchema) ([]step, error) {
	schema, err := avro.Parse(ws)
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	steps := make([]step, len(schema.Root.Fields))
	for i, f := range schema.Root.Fields {
		to, known := d.columns[f.Name]
		steps[i] = step{f.Name, f.Type, to, !known}
	}
	return steps, nil
}

// Decode implements instances.Decoder.
func (d *Decoder) Decode(value []byte, into *instances.Instance) error {
	if d.schemas != nil {
		id, rest, ok := mortise.CutSchemaID(value)
		if !ok {
			return fmt.Errorf("%d bytes that do not begin with a schema's id", len(value))
		}
		if err := d.choose(id); err != nil {
			return err
		}
		value = rest
	}
	d.conv.Reset()
	d.fill.Begin(into)
	i := 0
	for s := range d.steps {
		var err error
		if i, err = d.read(&d.steps[s], value, i, into); err != nil {
			return err
		}
	}
	if i != len(value) {
		return fmt.Errorf("%d bytes follow the last field of its schema", len(value)-i)
	}
	return nil
}

// choose makes the schema that id names the one that is read by.
func (d *Decoder) choose(id mortise.SchemaID) error {
	if id == d.last && d.steps != nil {
		return nil
	}
	steps, ok := d.known[id]
	if !ok {
		ws, err := d.schemas.Schema(id)
		if err != nil {
			return err
		}
		if steps, err = d.compile(ws); err != nil {
			return fmt.Errorf("schema %s: %w", id, err)
		}
		d.known[id] = steps
	}
	d.last, d.steps = id, steps
	return nil
}

func (d *Decoder) read(s *step, value []byte, i int, into *instances.Instance) (int, error) {
	if s.skip {
		if i = s.node.Skip(value, i); i < 0 {
			return i, fmt.Errorf("field %s is cut off or not of its type", s.name)
		}
		return i, nil
	}
	fit, next := d.conv.Value(&d.value, s.node, value, i, s.typ, plainMS{})
	if next < 0 {
		return next, fmt.Errorf("field %s is cut off or not of its type", s.name)
	}
	if fit == avro.Unfit || fit == avro.BadText {
		return next, fmt.Errorf("field %s is %s, which is not %s", s.name, s.node.Kind, s.typ)
	}
	d.fill.Set(into, s.part, s.at, &d.value)
	return next, nil
}

// plainMS reads numbers as ms; instances have no other times.
type plainMS struct{}

func (plainMS) OfInt(n int64) (int64, bool)   { return n, true }
func (plainMS) OfFloat(float64) (int64, bool) { return 0, false }
func (plainMS) OfText([]byte) (int64, bool)   { return 0, false }
