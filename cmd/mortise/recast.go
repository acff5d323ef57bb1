package main

import (
	"context"
	"sync/atomic"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// misfits are lines that do not fit the schema of their topic. They are published
// as they are: the pipeline sends them to dead letters.
type misfits struct {
	lines atomic.Int64
	first atomic.Pointer[string]
}

// encoders makes what turns lines into records of their topic's format, per
// stream; nil where that is JSON.
func (rec *recording) encoders(ctx context.Context) ([]*experiments.LineEncoder, error) {
	all := make([]*experiments.LineEncoder, len(rec.topics))
	for i, s := range rec.reads {
		if s == nil {
			continue
		}
		e, err := rec.plan.NewLineEncoder(ctx, s)
		if err != nil {
			return nil, err
		}
		all[i] = e
	}
	return all, nil
}

// encode returns a line as its topic has it.
func (rec *recording) encode(e *experiments.LineEncoder, ev *recorded.Event) []byte {
	if e == nil {
		return ev.Data
	}
	value, err := e.Encode(ev.Data)
	if err == nil {
		return value
	}
	if rec.misfit.lines.Add(1) == 1 {
		first := ev.Where() + ": " + err.Error()
		rec.misfit.first.Store(&first)
	}
	return ev.Data
}

// tellMisfits says how many lines did not fit, and why the first one did not.
func (c *console) tellMisfits(rec *recording) {
	if rec == nil {
		return
	}
	if n := rec.misfit.lines.Load(); n > 0 {
		c.logger().Warn("lines do not fit the schema of their topic and are published as they are: they will be dead letters", "lines", n, "first", *rec.misfit.first.Load())
	}
}
