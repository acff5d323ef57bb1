package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
)

// mustNotBeginAnew refuses to run an experiment that has been running in another
// consumer group, as when a file is added to a run, or changed so that it shares
// no longer: in its new group it would begin at the first record, and all its
// rows would come a second time. With --group that is what was asked for.
func (f *runFlags) mustNotBeginAnew(ctx context.Context, cl *cluster, plan *experiments.Plan) error {
	if f.group != "" {
		return nil
	}
	admin, err := kafka.OpenAdmin(ctx, cl.Connection)
	if err != nil {
		return err
	}
	defer admin.Close()
	groups, err := admin.Groups(ctx)
	if err != nil {
		return err
	}
	for _, p := range plan.Pipelines {
		own := f.groupOf(plan, p)
		if slices.Contains(groups, own) {
			continue
		}
		prefix := strings.TrimSuffix(own, p.Name())
		for _, other := range groups {
			if _, shuffles := experiments.IsShuffleGroup(other); shuffles {
				continue
			}
			name := sharedExperiment(p, prefix, other)
			if name == "" {
				continue
			}
			g, err := admin.Group(ctx, other)
			if err != nil {
				return err
			}
			if len(g.Partitions) > 0 {
				return fmt.Errorf("experiment %s has been running in the consumer group %s; with these files it would begin anew in the group %s, and all its rows would come again: "+
					"run those that run together as before, the others by a command of their own, or begin anew with --group NAME and another output topic", name, other, own)
			}
		}
	}
	return nil
}

// sharedExperiment returns an experiment of p's that group is named after; empty
// when there is none.
func sharedExperiment(p *experiments.Pipeline, prefix, group string) string {
	names, ok := strings.CutPrefix(group, prefix)
	if !ok {
		return ""
	}
	for _, e := range p.Experiments {
		if slices.Contains(strings.Split(names, "+"), e.Name) {
			return e.Name
		}
	}
	return ""
}
