package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/experiments/inputs"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// openInputs opens the files that --input names, and the topics of the other
// sources where there are brokers to read them from.
func (f *backfillFlags) openInputs(ctx context.Context, plan *experiments.Plan) (map[string]backfill.Input, error) {
	named, err := parseInputs(f.inputs)
	if err != nil {
		return nil, err
	}
	all := map[string]backfill.Input{}
	named, f.changes = splitChanges(plan, named)
	for _, in := range named {
		source := findSource(plan, in.name)
		if source == nil {
			return nil, usageError{fmt.Errorf("--input %s: the experiment has no source of that name; it has %s", in.name, strings.Join(inputNames(plan), ", "))}
		}
		files, err := inputs.Open(ctx, readersOf(plan, source.Topic), in.patterns...)
		if err != nil {
			return nil, fmt.Errorf("--input %s: %w", in.name, err)
		}
		all[in.name] = backfill.Files{Files: files}
	}
	return all, nil
}

// openTopics reads from topics what --input names no files of.
func (f *backfillFlags) openTopics(ctx context.Context, c *console, plan *experiments.Plan, job *backfill.Job) (*cluster, error) {
	if !f.fromTopics() {
		return nil, nil
	}
	p := plan.Pipelines[0]
	e := p.Experiments[0]
	cl, err := f.cluster.open(c, &e.Kafka)
	if err != nil {
		return nil, err
	}
	if err := cl.useRegistry(ctx, c, plan); err != nil {
		return cl, err
	}
	reads, filed := backfill.Reads(p, job.Range), map[string]bool{}
	for name := range job.Inputs {
		filed[findSource(plan, name).Topic] = true
	}
	for i := range e.Sources {
		s := &e.Sources[i]
		if filed[s.Topic] {
			continue
		}
		in, err := openTopic(ctx, cl, s.Topic)
		if err == nil {
			err = in.narrow(ctx, reads[s.Name], f)
		}
		if err != nil {
			return cl, err
		}
		job.Inputs[s.Name] = in
	}
	return cl, nil
}

// fromTopics reports whether there are brokers to read topics from.
func (f *backfillFlags) fromTopics() bool { return f.cluster.set || len(f.cluster.brokers) > 0 }

func findSource(plan *experiments.Plan, name string) *spec.Source {
	for _, p := range plan.Pipelines {
		for _, e := range p.Experiments {
			for i := range e.Sources {
				if e.Sources[i].Name == name {
					return &e.Sources[i]
				}
			}
		}
	}
	return nil
}
