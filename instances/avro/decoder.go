package avro

import (
	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/internal/avro"
)

// NewDecoder makes a decoder of records that begin with their schema's id; one
// that came in a header stands in front of the value.
func NewDecoder(c *instances.Columns, schemas instances.Schemas) instances.Decoder {
	return instances.NewScanDecoder(c, avro.Format{}, path, schemas)
}

// NewPlainDecoder makes a decoder of records without an id, all of one schema.
func NewPlainDecoder(c *instances.Columns, schema string) (instances.Decoder, error) {
	return instances.NewPlainScanDecoder(c, avro.Format{}, path, &mortise.WriterSchema{Type: "AVRO", Text: schema})
}

func path(col mortise.Field) []string { return []string{Name(col.Name)} }
