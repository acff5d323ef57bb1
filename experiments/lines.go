package experiments

import (
	"context"
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/clean/schema"
)

// LineEncoder makes records of a source's topic out of JSON lines. One goroutine
// uses it.
type LineEncoder struct {
	encoder *schema.Encoder
	buf     []byte
}

// NewLineEncoder makes one for a source whose topic is not JSON; nil for one whose
// is. Lines are written by the source's schema_file, else by the latest schema of
// the topic in the registry; where it has none, one is made of the declared
// fields and registered.
func (p *Plan) NewLineEncoder(ctx context.Context, s *spec.Source) (*LineEncoder, error) {
	if s.Format == "json" || s.Clean != "" { // what a clean function takes is its own affair
		return nil, nil
	}
	to := schema.Target{Message: s.Message, TimePath: []string{s.TimeField}, TimeUnit: s.TimeUnit}
	if from := s.From[s.TimeField]; from != nil {
		to.TimePath = from
	}
	if s.SchemaFile != "" {
		to.Schema = &mortise.WriterSchema{Type: schemaTypes[s.Format], Text: s.SchemaText}
	} else if err := p.topicSchema(ctx, s, &to); err != nil {
		return nil, fmt.Errorf("source %s: %w", s.Name, err)
	}
	e, err := schema.NewEncoder(to)
	if err != nil {
		return nil, fmt.Errorf("source %s: the schema of topic %s cannot be used: %w", s.Name, s.Topic, err)
	}
	return &LineEncoder{encoder: e}, nil
}

// topicSchema finds the schema that records of the source's topic are written by.
func (p *Plan) topicSchema(ctx context.Context, s *spec.Source, to *schema.Target) (err error) {
	r := p.Pipelines[0].registry
	if r == nil {
		return fmt.Errorf("its %s records name their schemas by id: call Plan.UseRegistry first", s.Format)
	}
	subject := s.Topic + "-value"
	to.Framed = true
	if to.Schema, to.ID, err = r.Latest(ctx, subject); err != nil {
		return err
	}
	if to.Schema != nil && !schema.IsDeclared(to.Schema) {
		if want := schemaTypes[s.Format]; to.Schema.Type != want {
			return fmt.Errorf("subject %s has a schema of type %s, and the source's format is %s", subject, to.Schema.Type, s.Format)
		}
		return nil
	}
	declared, from := p.declared(s)
	if to.Schema, err = schema.Declared(s.Format, s.Topic, declared, from); err != nil {
		return err
	}
	to.ID, _, err = r.Place(ctx, subject, to.Schema, true)
	return err
}

// declared is what all experiments declare of a source's topic.
func (p *Plan) declared(s *spec.Source) (all mortise.Schema, from map[string][]string) {
	from = map[string][]string{}
	for _, pipe := range p.Pipelines {
		for _, e := range pipe.Experiments {
			for i := range e.Sources {
				other := &e.Sources[i]
				if other.Topic != s.Topic {
					continue
				}
				for _, f := range other.Fields {
					if all.Index(f.Name) < 0 {
						all, from[f.Name] = append(all, f), other.From[f.Name]
					}
				}
			}
		}
	}
	return all, from
}

// schemaTypes are the formats' names in registries.
var schemaTypes = map[string]string{"avro": "AVRO", "protobuf": "PROTOBUF"}

// Encode returns a line as a record's value, which is valid until the next call.
// The error says how the line does not fit the topic's schema.
func (e *LineEncoder) Encode(line []byte) ([]byte, error) {
	value, err := e.encoder.Append(e.buf[:0], line)
	if err != nil {
		return nil, err
	}
	e.buf = value
	return value, nil
}
