package protobuf

import (
	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/internal/protobuf"
)

// NewDecoder makes a decoder of records that begin with their schema's id and
// message indexes; what came in a header stands in front of the value.
func NewDecoder(c *instances.Columns, schemas instances.Schemas) instances.Decoder {
	return instances.NewScanDecoder(c, protobuf.Format{}, path, schemas)
}

// NewPlainDecoder makes a decoder of records that are a message alone, all of one schema.
func NewPlainDecoder(c *instances.Columns, schema string) (instances.Decoder, error) {
	return instances.NewPlainScanDecoder(c, protobuf.Format{}, path, &mortise.WriterSchema{Type: "PROTOBUF", Text: schema})
}

func path(col mortise.Field) []string {
	if col.Type.Kind == mortise.List && col.Type.Nullable {
		return []string{Name(col.Name), "values"}
	}
	return []string{Name(col.Name)}
}
