package main

import (
	"context"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/dimensions"
)

// dimensions opens the tables that rows of the plan need.
func (c *console) dimensions(ctx context.Context, plan *experiments.Plan, o dimensions.Options) (*dimensions.Set, error) {
	o.Log = c.logger()
	return dimensions.Open(ctx, plan, o)
}
