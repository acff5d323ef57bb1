package avro

import (
	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/fields"
)

// Format is fields.Format for Avro, whose schemas describe one type.
type Format struct{}

var _ fields.Format = Format{}

// CutMessage implements fields.Format: nothing stands in front of a value.
func (Format) CutMessage(value []byte) (message, rest []byte, ok bool) { return nil, value, true }

// Compile implements fields.Format.
func (Format) Compile(ws *mortise.WriterSchema, _ []byte, wants []fields.Want) (fields.Scanner, error) {
	s, err := Parse(ws)
	if err != nil {
		return nil, err
	}
	return s.Scanner(wants), nil
}
