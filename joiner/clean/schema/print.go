package schema

import (
	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/avro"
	"github.com/mortise-dev/mortise/internal/fields"
	"github.com/mortise-dev/mortise/internal/protobuf"
)

// Printer writes records that name their schema as JSON, for people to read. One
// goroutine uses it.
type Printer struct {
	schemas Schemas
	known   map[string]func(dst, body []byte) ([]byte, error)
	buf     []byte
}

// NewPrinter makes a printer.
func NewPrinter(schemas Schemas) *Printer {
	return &Printer{schemas: schemas, known: map[string]func(dst, body []byte) ([]byte, error){}}
}

// NewPlainPrinter makes a printer of records without an id, all of one schema. Of a
// Protobuf schema with several messages one is named.
func NewPlainPrinter(format, text, message string) (func(dst, value []byte) ([]byte, error), error) {
	if format == "avro" {
		s, err := avro.Parse(&mortise.WriterSchema{Type: "AVRO", Text: text})
		if err != nil {
			return nil, err
		}
		return s.AppendJSON, nil
	}
	s, err := protobuf.Parse(&mortise.WriterSchema{Type: "PROTOBUF", Text: text})
	if err != nil {
		return nil, err
	}
	m, err := s.Message(message)
	if err != nil {
		return nil, err
	}
	return func(dst, value []byte) ([]byte, error) { return protobuf.AppendJSON(dst, m, value) }, nil
}

// Print returns a record as one line of JSON, valid until the next call; false for
// one that names no schema.
func (p *Printer) Print(headers []mortise.Header, value []byte) (line []byte, ok bool, err error) {
	framed := value
	if header := mortise.SchemaHeader(headers); header != nil {
		framed = append(append([]byte(nil), header...), value...)
	}
	id, body, ok := mortise.CutSchemaID(framed)
	if !ok {
		return nil, false, nil
	}
	ws, err := p.schemas.Schema(id)
	if err != nil {
		return nil, true, err
	}
	var message []byte
	if ws.Type == "PROTOBUF" {
		if message, body, ok = fields.CutIndexes(body); !ok {
			return nil, false, nil
		}
	}
	key := id.String() + " " + string(message)
	write := p.known[key]
	if write == nil {
		if write, err = printerOf(ws, message); err != nil {
			return nil, true, err
		}
		p.known[key] = write
	}
	p.buf, err = write(p.buf[:0], body)
	return p.buf, true, err
}

func printerOf(ws *mortise.WriterSchema, message []byte) (func(dst, body []byte) ([]byte, error), error) {
	switch ws.Type {
	case "AVRO":
		s, err := avro.Parse(ws)
		if err != nil {
			return nil, err
		}
		return s.AppendJSON, nil
	case "PROTOBUF":
		s, err := protobuf.Parse(ws)
		if err != nil {
			return nil, err
		}
		m, err := s.MessageAt(fields.Indexes(message))
		if err != nil {
			return nil, err
		}
		return func(dst, body []byte) ([]byte, error) { return protobuf.AppendJSON(dst, m, body) }, nil
	}
	return func(dst, body []byte) ([]byte, error) { return append(dst, body...), nil }, nil // JSON itself
}
