package main

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// loadFlags are how experiment files are read, the same for every verb.
type loadFlags struct {
	set           []string
	noEnvironment bool
}

func (f *loadFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "override a value of the file, such as join.delay=5m; may be repeated")
}

// expand resolves globs among the arguments; a name without one stands for itself.
func expand(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		found, err := filepath.Glob(arg)
		if err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", arg, err)}
		}
		if len(found) == 0 {
			found = []string{arg} // loading it says what is wrong
		}
		for _, name := range found {
			if !slices.Contains(files, name) {
				files = append(files, name)
			}
		}
	}
	return files, nil
}

// load reads the experiment files and plans their pipelines, with all that is
// wrong: it is the one way that every verb goes.
func (f *loadFlags) load(args []string) (*experiments.Plan, spec.Diagnostics, error) {
	files, err := expand(args)
	if err != nil {
		return nil, nil, err
	}
	var all []*spec.Experiment
	var found spec.Diagnostics
	for _, name := range files {
		e, diags := spec.Load(name, spec.LoadOptions{Set: f.set, CleanFuncs: clean.Registered(), NoEnvironment: f.noEnvironment})
		found = append(found, diags...)
		if e != nil {
			all = append(all, e)
		}
	}
	if found.HasErrors() {
		return nil, found, nil
	}
	plan, err := experiments.NewPlan(all)
	return plan, found, err
}

// mustLoad loads for a verb that goes on to use the plan: findings go to
// stderr, errors end the command.
func (c *console) mustLoad(f *loadFlags, args []string) (*experiments.Plan, error) {
	plan, found, err := f.load(args)
	for i := range found {
		fmt.Fprint(c.err, found[i].String())
	}
	if err == nil && found.HasErrors() {
		return nil, lintError{countErrors(found)}
	}
	return plan, err
}

func countErrors(found spec.Diagnostics) (n int) {
	for i := range found {
		if found[i].Severity == spec.SeverityError {
			n++
		}
	}
	return n
}
