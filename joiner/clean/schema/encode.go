package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/avro"
	"github.com/mortise-dev/mortise/internal/fields"
	"github.com/mortise-dev/mortise/internal/protobuf"
)

// Target is what lines are to become records of.
type Target struct {
	Schema  *mortise.WriterSchema
	Message string           // of a Protobuf schema; empty for its first or only one
	ID      mortise.SchemaID // in front of every record, if Framed
	Framed  bool
	// TimePath and TimeUnit are those of the event time, whose numbers are in its
	// unit: s, ms, us, ns or rfc3339. Other times are ms, or RFC 3339 text.
	TimePath []string
	TimeUnit string
}

// Encoder writes JSON lines as Avro or Protobuf records. What the schema does not
// have is left out; what a line lacks has its default, or is null if it can be.
// One goroutine uses it.
type Encoder struct {
	frame  []byte
	encode func(dst []byte, object map[string]any) ([]byte, error)
}

// NewEncoder makes an encoder.
func NewEncoder(to Target) (*Encoder, error) {
	e := &Encoder{}
	if to.Framed {
		e.frame = to.ID.Append(nil)
	}
	units := fields.Units{Path: to.TimePath, Unit: to.TimeUnit}
	if to.Schema.Type == "AVRO" {
		s, err := avro.Parse(to.Schema)
		if err != nil {
			return nil, err
		}
		e.encode = s.Encoder(units).Append
		return e, nil
	}
	s, err := protobuf.Parse(to.Schema)
	if err != nil {
		return nil, err
	}
	m, err := s.MessageAt([]int{0})
	if to.Message != "" || !to.Framed {
		m, err = s.Message(to.Message)
	}
	if err != nil {
		return nil, err
	}
	if to.Framed {
		e.frame = append(e.frame, 0) // the first message
	}
	e.encode = protobuf.NewEncoder(m, units).Append
	return e, nil
}

// Append appends a line as a record. The error says how it does not fit the schema.
func (e *Encoder) Append(dst, line []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return dst, fmt.Errorf("it is no JSON object: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || object == nil {
		return dst, errors.New("it is no JSON object, or more than one")
	}
	return e.encode(append(dst, e.frame...), object)
}
