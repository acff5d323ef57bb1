package main

import (
	"context"
	"errors"

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
	return registry.Open(ctx, registry.Options{SchemaRegistry: cl.SchemaRegistry, Log: c.logger()})
}

// isRegistryError reports whether it is the registry that is at fault.
func isRegistryError(err error) bool { return errors.As(err, new(*registry.Error)) }
