package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/inputs"
	"github.com/mortise-dev/mortise/experiments/serving"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// population is whom requests ask for: the entities of recorded impressions, as
// often as they occur there.
type population struct {
	experiment string
	names      []string // of features
	people     []map[string]any
	rng        *rand.Rand
}

// maxPeople bounds the impressions that requests are drawn from, and maxBodies the
// requests.
const (
	maxPeople = 100_000
	maxBodies = 1000
)

// readPopulation reads the main source of the first experiment that has features.
func readPopulation(ctx context.Context, plan *experiments.Plan, named []input) (*population, error) {
	if len(plan.Features()) == 0 {
		return nil, fmt.Errorf("%s: no experiment declares features: there is nothing to ask for", plan.Pipelines[0].Experiments[0].Path)
	}
	exp := plan.Features()[0].Experiment
	p := &population{experiment: exp.Name, rng: rand.New(rand.NewPCG(1, 1))}
	reads := map[string]bool{}
	for i := range exp.Features {
		def := &exp.Features[i]
		p.names = append(p.names, def.Name)
		fields := def.Entity
		if def.IsExpr() {
			fields = def.Expr.Fields()
		}
		for _, name := range fields {
			reads[name] = true
		}
	}
	for _, in := range named {
		if in.name != exp.Join.Main {
			continue
		}
		if err := p.read(ctx, plan, findSource(plan, in.name), in, reads); err != nil {
			return nil, fmt.Errorf("--input %s: %w", in.name, err)
		}
	}
	if len(p.people) == 0 {
		return nil, usageError{fmt.Errorf("--input %s=FILES is missing, or they hold no record that can be read: whom to ask for is drawn from them", exp.Join.Main)}
	}
	return p, nil
}

// read samples the main source's records, each as likely as any other.
func (p *population) read(ctx context.Context, plan *experiments.Plan, s *spec.Source, in input, reads map[string]bool) (err error) {
	source, err := clean.New(clean.Options{Name: s.Name, TimeField: s.TimeField, TimeUnit: s.TimeUnit, Experiments: []clean.Experiment{{Fields: s.Fields}}})
	if err != nil {
		return err
	}
	files, err := inputs.Open(ctx, readersOf(plan, s.Topic), in.patterns...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	reader, seen := source.NewReader(), 0
	for {
		line, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && seen%4096 == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		at := seen
		if seen++; at >= maxPeople {
			if at = p.rng.IntN(seen); at >= maxPeople {
				continue
			}
		}
		row, bad, err := reader.Decode(line.Data)
		if err != nil || bad != 0 {
			seen-- // a dead letter
			continue
		}
		one := map[string]any{}
		for _, f := range s.Fields {
			if v := plainValue(row[source.Slot(0, f.Name)]); reads[f.Name] && v != nil {
				one[f.Name] = v
			}
		}
		if at == len(p.people) {
			p.people = append(p.people, nil)
		}
		p.people[at] = one
	}
}

// plainValue is a scalar as encoders take it; nil for null.
func plainValue(v mortise.Value) any {
	switch v.Kind {
	case mortise.String:
		return string(v.Text())
	case mortise.Int, mortise.Timestamp:
		return v.Int()
	case mortise.Float:
		return v.Float()
	case mortise.Bool:
		return v.Bool()
	}
	return nil
}

// requests makes bodies that ask for n entities each.
func (p *population) requests(names []string, n int, asCBOR bool) (kind string, bodies [][]byte, err error) {
	for range min(maxBodies, max(len(p.people)/n, 1)) {
		req := serving.Request{Experiment: p.experiment, Features: slices.Clone(names)}
		for range n {
			req.Entities = append(req.Entities, p.people[p.rng.IntN(len(p.people))])
		}
		var body []byte
		if kind, body, err = req.Encode(asCBOR); err != nil {
			return "", nil, err
		}
		bodies = append(bodies, body)
	}
	return kind, bodies, nil
}
