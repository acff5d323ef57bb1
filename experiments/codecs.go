package experiments

import (
	"context"
	"fmt"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/avro"
	"github.com/mortise-dev/mortise/instances/protobuf"
	"github.com/mortise-dev/mortise/instances/tfexample"
	"github.com/mortise-dev/mortise/joiner/clean"
	"github.com/mortise-dev/mortise/joiner/clean/schema"
)

// Registry is a schema registry. experiments/registry has one.
type Registry interface {
	// Schema returns the schema that id names; it waits for a registry that does not
	// answer. An error that is a *mortise.RecordError is about the id, any other one
	// says that the registry cannot be asked. Several goroutines call it.
	Schema(id mortise.SchemaID) (*mortise.WriterSchema, error)
	// Knows reports whether Schema would answer at once.
	Knows(id mortise.SchemaID) bool
	// Latest returns the latest schema of a subject and its number; nil where it has
	// none.
	Latest(ctx context.Context, subject string) (ws *mortise.WriterSchema, number mortise.SchemaID, err error)
	// Place finds the schema's ids under a subject, after registering it there if
	// that is asked for. guid is the zero value where the registry has none.
	Place(ctx context.Context, subject string, ws *mortise.WriterSchema, register bool) (number, guid mortise.SchemaID, err error)
}

// RowSchema returns the schema of an experiment's rows; nil for the formats that
// have none.
func RowSchema(e *spec.Experiment, c *instances.Columns, format string) (*mortise.WriterSchema, error) {
	var text string
	var err error
	switch format {
	case "avro":
		text, err = avro.Schema(c, e.Name)
	case "protobuf":
		text, err = protobuf.Schema(c, e.Name)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Path, err)
	}
	return &mortise.WriterSchema{Type: schemaTypes[format], Text: text}, nil
}

// rowID is what rows say of their schema.
type rowID struct {
	frame  []byte // in front of each
	header []Header
	known  bool
}

// NeedsRegistry reports whether records or rows of the pipeline name schemas by id.
func (p *Pipeline) NeedsRegistry() bool {
	return slices.ContainsFunc(p.Sources, func(in Input) bool { return slices.ContainsFunc(in.Specs, namesSchema) }) ||
		slices.ContainsFunc(p.Experiments, func(e *spec.Experiment) bool { return e.Output.NamesSchema() || featuresNameSchemas(e) })
}

// featuresNameSchemas reports whether a feature is over records that carry the id of
// their schema.
func featuresNameSchemas(e *spec.Experiment) bool {
	return slices.ContainsFunc(e.Features, func(d features.Definition) bool { return !d.IsExpr() && namesSchema(source(e, d.Source)) })
}

// namesSchema reports whether a source's records carry the id of their schema.
func namesSchema(s *spec.Source) bool {
	return s.Format != "json" && s.SchemaFile == "" && s.Clean == ""
}

// UseRegistry makes r the registry of the pipelines, of which records' schemas are
// asked.
func (p *Plan) UseRegistry(r Registry) {
	for _, pipe := range p.Pipelines {
		pipe.registry = r
	}
}

// RegisterRows registers the schemas of rows that carry their schema's id, or finds
// them where the experiment says that they are registered. It comes before a
// pipeline is made into workers.
func (p *Plan) RegisterRows(ctx context.Context) error {
	for _, pipe := range p.Pipelines {
		pipe.rowIDs = make([]rowID, len(pipe.Experiments))
		for i, e := range pipe.Experiments {
			if !e.Output.NamesSchema() {
				continue
			}
			if pipe.registry == nil {
				return fmt.Errorf("%s: its rows carry the id of their schema: call Plan.UseRegistry first", e.Path)
			}
			id, err := placeRows(ctx, pipe.registry, e, pipe.columns[i])
			if err != nil {
				return fmt.Errorf("%s: output.topic: %w", e.Path, err)
			}
			pipe.rowIDs[i] = id
		}
	}
	return nil
}

func placeRows(ctx context.Context, r Registry, e *spec.Experiment, c *instances.Columns) (rowID, error) {
	ws, err := RowSchema(e, c, e.Output.Format)
	if err != nil {
		return rowID{}, err
	}
	number, guid, err := r.Place(ctx, e.Output.Subject, ws, e.Output.Register)
	if err != nil {
		return rowID{}, err
	}
	var message []byte
	if e.Output.Format == "protobuf" {
		message = protobuf.MessageIndexes
	}
	if e.Output.SchemaID != "header" {
		return rowID{frame: append(number.Append(nil), message...), known: true}, nil
	}
	if guid == (mortise.SchemaID{}) {
		return rowID{}, fmt.Errorf("the schema registry gives schemas no GUIDs, which headers carry: write schema_id: prefix")
	}
	return rowID{header: []Header{{Key: mortise.SchemaIDHeader, Value: append(guid.Append(nil), message...)}}, known: true}, nil
}

// rowEncoder makes an encoder of experiment exp's rows.
func (p *Pipeline) rowEncoder(exp int) (instances.Encoder, error) {
	e, c := p.Experiments[exp], p.columns[exp]
	var id rowID
	if exp < len(p.rowIDs) {
		id = p.rowIDs[exp]
	}
	if e.Output.NamesSchema() && !id.known {
		return nil, fmt.Errorf("%s: its rows carry the id of their schema: call Plan.RegisterRows first", e.Path)
	}
	switch e.Output.Format {
	case "avro":
		return avro.NewEncoder(c, id.frame), nil
	case "protobuf":
		return protobuf.NewEncoder(c, id.frame), nil
	case "tfexample":
		return tfexample.NewEncoder(c), nil
	}
	return instances.NewJSONEncoder(c), nil
}

// rowHeaders are the headers of every row of experiment exp.
func (p *Pipeline) rowHeaders(exp int) []Header {
	headers := recordHeaders(p.Experiments[exp])
	if exp < len(p.rowIDs) {
		headers = append(headers, p.rowIDs[exp].header...)
	}
	return headers
}

// NewRowDecoder makes a decoder of an experiment's rows, as its output topic has
// them. Where the id of a row's schema came in a header, FrameValue puts it in
// front of the value. r may be nil for formats without ids.
func NewRowDecoder(e *spec.Experiment, c *instances.Columns, r instances.Schemas) (instances.Decoder, error) {
	if e.Output.NamesSchema() && r == nil {
		return nil, fmt.Errorf("%s: its rows carry the id of their schema, which a schema registry knows: set kafka.schema_registry, or pass --registry", e.Path)
	}
	ws, err := RowSchema(e, c, e.Output.Format)
	switch {
	case err != nil:
		return nil, err
	case e.Output.Format == "tfexample":
		return tfexample.NewDecoder(c), nil
	case ws == nil:
		return instances.NewJSONDecoder(c), nil
	case e.Output.Format == "avro" && e.Output.NamesSchema():
		return avro.NewDecoder(c, r), nil
	case e.Output.Format == "avro":
		return avro.NewPlainDecoder(c, ws.Text)
	case e.Output.NamesSchema():
		return protobuf.NewDecoder(c, r), nil
	}
	return protobuf.NewPlainDecoder(c, ws.Text)
}

// FrameValue returns a record's value with the id of its schema in front: the value
// itself, or in buf behind the header that carries the id.
func FrameValue(buf *[]byte, headers []Header, value []byte) []byte {
	header := mortise.SchemaHeader(headers)
	if header == nil {
		return value
	}
	*buf = append(append((*buf)[:0], header...), value...)
	return *buf
}

// FromFiles returns the pipeline as it reads files in place of the topics of the
// named sources: JSON lines, whatever the topics' formats.
func (p *Pipeline) FromFiles(isFile func(source string) bool) *Pipeline {
	through := *p
	through.Sources = slices.Clone(p.Sources)
	for i := range through.Sources {
		in := &through.Sources[i]
		if !slices.ContainsFunc(in.Specs, func(s *spec.Source) bool { return isFile(s.Name) }) {
			continue
		}
		in.Specs = slices.Clone(in.Specs)
		for k, s := range in.Specs {
			in.Specs[k] = asLines(s)
		}
	}
	return &through
}

func asLines(s *spec.Source) *spec.Source {
	lines := *s
	lines.Format, lines.SchemaFile, lines.SchemaText, lines.Message = "json", "", "", ""
	return &lines
}

// RowsAsJSON returns the pipeline as it puts rows out for people to read.
func (p *Pipeline) RowsAsJSON() *Pipeline {
	through := *p
	through.Experiments = slices.Clone(p.Experiments)
	for i, e := range p.Experiments {
		own := *e
		own.Output.Format = "json"
		through.Experiments[i] = &own
	}
	return &through
}

// format makes what reads a source's records; nil for JSON.
func (p *Pipeline) format(s *spec.Source) (clean.Format, error) { return formatOf(s, p.registry) }

func formatOf(s *spec.Source, r Registry) (clean.Format, error) {
	switch {
	case s.Format == "json" || s.Clean != "":
		return nil, nil
	case s.SchemaFile != "":
		return schema.NewPlain(s.Format, s.SchemaText, s.Message)
	case r == nil:
		return nil, fmt.Errorf("its %s records name their schemas by id: call Plan.UseRegistry first", s.Format)
	}
	return schema.NewRegistered(s.Format, r)
}
