// Package schema reads records that are written with a schema: Avro and Protobuf.
// It is a leaf of stage 1, joiner/clean. Records either name their schema, by the
// id that a registry gave it, or are all of one that is given.
//
// A record's id stands in front of its value or in its header
// mortise.SchemaIDHeader; the header counts where both are there. What a task
// keeps of a record has the id in front in any case: it must be readable without
// its headers.
//
// Records are read by the schema that they were written with, field by field, as
// the types that the source declares. What becomes what stands at
// internal/avro's converter and internal/protobuf's convert. A field that the
// record's schema does not have is null, and breaks the record where it is
// declared without ?; fields that nobody declares are passed over.
package schema

import (
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/avro"
	"github.com/mortise-dev/mortise/internal/fields"
	"github.com/mortise-dev/mortise/internal/protobuf"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// Schemas finds schemas by their ids. It is asked once for each id by each
// reader, from several goroutines, and may take its time.
type Schemas interface {
	// Schema returns the schema that id names. An error that is a
	// *mortise.RecordError is about the id, and makes records that have it dead
	// letters; any other one stops the task that reads them.
	Schema(id mortise.SchemaID) (*mortise.WriterSchema, error)
}

// lifted begins a kept value whose id came in a header: the header's length and
// the header follow, then the record's value.
const lifted = 2

// Registered is the clean.Format of records that name their schema.
type Registered struct {
	format  fields.Format
	schemas Schemas
}

var _ clean.Format = (*Registered)(nil)

// NewRegistered makes a format, "avro" or "protobuf", whose schemas are found by schemas.
func NewRegistered(format string, schemas Schemas) (*Registered, error) {
	f, err := formatOf(format)
	return &Registered{f, schemas}, err
}

func formatOf(format string) (fields.Format, error) {
	switch format {
	case "avro":
		return avro.Format{}, nil
	case "protobuf":
		return protobuf.Format{}, nil
	}
	return nil, fmt.Errorf("no format %q is read by a schema: write avro or protobuf", format)
}

// Keep implements clean.Format.
func (*Registered) Keep(rec *mortise.Record, dst []byte) []byte {
	header := mortise.SchemaHeader(rec.Headers)
	if len(header) > 255 || header == nil && (len(rec.Value) == 0 || rec.Value[0] != lifted) {
		return rec.Value
	}
	return append(append(append(dst, lifted, byte(len(header))), header...), rec.Value...)
}

// Raw implements clean.Format.
func (*Registered) Raw(kept []byte) []byte { return Raw(kept) }

// Raw returns a record's value out of what Registered.Keep made of it.
func Raw(kept []byte) []byte {
	if len(kept) < 2 || kept[0] != lifted || len(kept) < 2+int(kept[1]) {
		return kept
	}
	return kept[2+int(kept[1]):]
}

// Opener implements clean.Format.
func (r *Registered) Opener(wants []fields.Want) func(kept []byte) (fields.Scanner, []byte, error) {
	framed := fields.NewFramed(r.format, wants, r.schemas.Schema)
	return func(kept []byte) (fields.Scanner, []byte, error) {
		if len(kept) >= 2 && kept[0] == lifted {
			kept = kept[2:] // the header's id and what follows it are those of a value
		}
		return framed.Open(kept)
	}
}

// ID returns the id of a record's schema; false when it has none.
func ID(rec *mortise.Record) (mortise.SchemaID, bool) {
	framed := rec.Value
	if header := mortise.SchemaHeader(rec.Headers); header != nil {
		framed = header
	}
	id, _, ok := mortise.CutSchemaID(framed)
	return id, ok
}

// Plain is the clean.Format of records without an id, all of one schema.
type Plain struct {
	compile func(wants []fields.Want) fields.Scanner
}

var _ clean.Format = (*Plain)(nil)

// NewPlain makes a format, "avro" or "protobuf", of a schema's text. Of a Protobuf
// schema with several messages one is named.
func NewPlain(format string, text, message string) (*Plain, error) {
	switch format {
	case "avro":
		s, err := avro.Parse(&mortise.WriterSchema{Type: "AVRO", Text: text})
		if err != nil {
			return nil, err
		}
		return &Plain{func(wants []fields.Want) fields.Scanner { return s.Scanner(wants) }}, nil
	case "protobuf":
		s, err := protobuf.Parse(&mortise.WriterSchema{Type: "PROTOBUF", Text: text})
		if err != nil {
			return nil, err
		}
		m, err := s.Message(message)
		if err != nil {
			return nil, err
		}
		return &Plain{func(wants []fields.Want) fields.Scanner { return protobuf.NewScanner(m, wants) }}, nil
	}
	_, err := formatOf(format)
	return nil, err
}

// Find says what the schema has in place of a field that is declared otherwise;
// nothing where it fits, or may.
func (p *Plain) Find(f mortise.Field, path []string) string {
	if len(path) == 0 {
		path = []string{f.Name}
	}
	s := p.compile([]fields.Want{{Path: path, Type: f.Type, Times: fields.Millis{}}})
	if found := s.Found(0); found == noField && !f.Type.Nullable {
		return found
	}
	return ""
}

// noField is what a scanner finds for a field that its schema does not have.
const noField = "no such field"

// Keep implements clean.Format.
func (*Plain) Keep(rec *mortise.Record, _ []byte) []byte { return rec.Value }

// Raw implements clean.Format.
func (*Plain) Raw(kept []byte) []byte { return kept }

// Opener implements clean.Format.
func (p *Plain) Opener(wants []fields.Want) func(kept []byte) (fields.Scanner, []byte, error) {
	s := p.compile(wants)
	return func(kept []byte) (fields.Scanner, []byte, error) { return s, kept, nil }
}
