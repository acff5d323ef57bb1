package main

import (
	"context"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/registry"
)

// useRegistry opens the schema registry of the brokers in use, where records or
// rows of the plan name their schemas.
func (cl *cluster) useRegistry(ctx context.Context, c *console, plan *experiments.Plan) error {
	needed := false
	for _, p := range plan.Pipelines {
		needed = needed || p.NeedsRegistry()
	}
	if !needed {
		return nil
	}
	r, err := cl.openRegistry(ctx, c)
	if err != nil {
		return err
	}
	plan.UseRegistry(r)
	return nil
}

// openRegistry opens the schema registry of the brokers in use.
func (cl *cluster) openRegistry(ctx context.Context, c *console) (*registry.Registry, error) {
	r, err := registry.Open(ctx, registry.Options{SchemaRegistry: cl.SchemaRegistry, Log: c.logger()})
	if err == nil {
		cl.registry = r
	}
	return r, err
}
