package main

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// loadFlags are how experiment files are read, the same for every verb.
type loadFlags struct {
	set           []string
	noEnvironment bool
	files         int // how many were read
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
	f.files = len(files)
	var all []*spec.Experiment
	var found spec.Diagnostics
	for _, name := range files {
		e, diags := spec.Load(name, spec.LoadOptions{Set: f.set, CleanFuncs: clean.Registered(), NoEnvironment: f.noEnvironment})
		found = append(found, diags...)
		if e != nil {
			all = append(all, e)
		}
	}
	if found = append(found, clashes(all)...); found.HasErrors() {
		return nil, found, nil
	}
	plan, err := experiments.NewPlan(all)
	if err != nil {
		return nil, append(found, finding(all[0], spec.Conflict, strings.TrimPrefix(err.Error(), all[0].Path+": "), "")), nil
	}
	if found = append(found, copiedTwice(plan)...); found.HasErrors() {
		return nil, found, nil
	}
	return plan, found, nil
}

// copiedTwice finds experiments that share a state and have it copied differently.
func copiedTwice(plan *experiments.Plan) (found spec.Diagnostics) {
	for _, p := range plan.Pipelines {
		var first *spec.Experiment // that says so
		for _, e := range p.Experiments {
			switch {
			case e.Checkpoint.Path == "":
			case first == nil:
				first = e
			case e.Checkpoint != first.Checkpoint:
				found = append(found, finding(e, spec.Conflict, fmt.Sprintf("`checkpoint` is not that of the experiment `%s` in %s, with which this one shares its state", first.Name, first.Path),
					"one state has one place for its copies: make the blocks alike, leave all but one out, or run the files apart"))
			}
		}
	}
	return found
}

// clashes finds what keeps files that are each sound from running together.
func clashes(all []*spec.Experiment) (found spec.Diagnostics) {
	for i, e := range all {
		for _, other := range all[:i] {
			if e.Name == other.Name {
				found = append(found, finding(e, spec.NameClash, fmt.Sprintf("the experiment `%s` is already defined by %s", e.Name, other.Path),
					"give one of them another name: names are unique in a run"))
				break
			}
		}
		for _, other := range all[:i] {
			if e.Output.Parquet && other.Output.Parquet && spec.Overlap(e.Output.ParquetOut.Path, other.Output.ParquetOut.Path) {
				found = append(found, finding(e, spec.Conflict, fmt.Sprintf("output.parquet.path is the folder of the experiment `%s` in %s too", other.Name, other.Path),
					"give each experiment a folder of its own, none inside another's"))
			}
		}
		if first := all[0]; !reflect.DeepEqual(e.Kafka, first.Kafka) {
			found = append(found, finding(e, spec.Conflict, fmt.Sprintf("the `kafka` settings are not those of %s", first.Path),
				"experiments that run together share one connection: make the settings alike, or run the files apart"))
		}
	}
	return found
}

// finding is an error about a file as a whole.
func finding(e *spec.Experiment, code spec.Code, message, help string) spec.Diagnostic {
	return spec.Diagnostic{Path: e.Path, Line: 1, Col: 1, Len: 1, Severity: spec.SeverityError, Code: code, Message: message, Help: help}
}

// mustLoad loads for a verb that goes on to use the plan: findings go to
// stderr, errors end the command.
func (c *console) mustLoad(f *loadFlags, args []string) (*experiments.Plan, error) {
	plan, found, err := f.load(args)
	for i := range found {
		c.printFinding(c.err, &found[i])
	}
	if err == nil && found.HasErrors() {
		return nil, lintError{countErrors(found)}
	}
	return plan, err
}

// count writes a number of things: 1 error, 2 errors.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func countErrors(found spec.Diagnostics) (n int) {
	for i := range found {
		if found[i].Severity == spec.SeverityError {
			n++
		}
	}
	return n
}
