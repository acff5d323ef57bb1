package main

import (
	"context"
	"errors"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// values shows records' values as JSON.
type values struct {
	printer *experiments.Printer
	c       *console
	hinted  bool
	faulty  bool
}

// values makes one for the brokers in use, and for the experiment's topics if
// there is a plan.
func (cl *cluster) values(ctx context.Context, c *console, plan *experiments.Plan) (*values, error) {
	v := &values{c: c}
	var r experiments.Registry
	if len(cl.SchemaRegistry.URLs) > 0 {
		opened, err := cl.openRegistry(ctx, c)
		if err != nil {
			return nil, err
		}
		r = opened
	}
	var err error
	v.printer, err = experiments.NewPrinter(r, plan)
	return v, err
}

// json returns a record's value as one line of JSON. What cannot be read as its
// schema says is shown as it is; a registry that cannot be asked is an error.
func (v *values) json(m *kafka.Message) ([]byte, error) {
	if m.Value == nil {
		return []byte("null"), nil
	}
	line, ok, err := v.printer.Print(m.Topic, m.Headers, m.Value)
	var fault *mortise.RecordError
	switch {
	case err == nil && ok:
		return line, nil
	case err != nil && ok && !errors.As(err, &fault) && isRegistryError(err):
		return nil, err
	case err != nil && !v.faulty:
		v.faulty = true
		v.c.say("%s[%d]@%d is shown as it is, as are others like it: %v", m.Topic, m.Partition, m.Offset, err)
	case err == nil:
		v.hint(m)
	}
	return jsonValue(m.Value), nil
}

// hint tells once that records name a schema, where no registry is known.
func (v *values) hint(m *kafka.Message) {
	framed := m.Value
	if header := mortise.SchemaHeader(m.Headers); header != nil {
		framed = header
	}
	if _, _, ok := mortise.CutSchemaID(framed); ok && !v.hinted {
		v.hinted = true
		v.c.say("records of %s name their schema: pass --registry http://HOST:8081 to see what they hold", m.Topic)
	}
}

// kafkaOf is how the brokers of a plan are reached; nil without one.
func kafkaOf(plan *experiments.Plan) *spec.Kafka {
	if plan == nil {
		return nil
	}
	return &plan.Pipelines[0].Experiments[0].Kafka
}
