// Command cleaning uses Mortise as a library: it brings a clean function of its
// own, which reads a log format that Mortise does not know, and runs an
// experiment that names it over recorded files.
//
//	go run ./examples/cleaning
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/offline"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/clean"
)

func init() { clean.Register("legacy_log", legacyLog) }

func main() {
	dir := "examples/cleaning"
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	if err := run(context.Background(), dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cleaning:", err)
		os.Exit(1)
	}
}

// run loads the experiment in dir, runs it over the files beside it and writes
// what comes out: a line for each instance and dead letter, then the ledger.
func run(ctx context.Context, dir string, out io.Writer) error {
	e, found := spec.Load(filepath.Join(dir, "experiment.yaml"), spec.LoadOptions{CleanFuncs: clean.Registered()})
	if found.HasErrors() {
		return errors.New(found.String())
	}
	plan, err := experiments.NewPlan([]*spec.Experiment{e})
	if err != nil {
		return err
	}
	status, err := offline.Run(ctx, plan.Pipelines[0], offline.Job{
		Inputs: map[string][]string{
			"impressions": {filepath.Join(dir, "testdata", "impressions.log")},
			"clicks":      {filepath.Join(dir, "testdata", "clicks.jsonl")},
		},
		Output: func(o *experiments.Output) error {
			_, err := fmt.Fprintf(out, "%s %s\n", o.Topic, o.Value)
			return err
		},
	})
	if err != nil {
		return err
	}
	for _, done := range status.Experiments {
		in := done.Ledger.Impressions
		if _, err := fmt.Fprintf(out, "%s: %d lines became %d instances, %d of them positive; %d were left out\n",
			done.Name, in.In, done.Ledger.Instances, done.Ledger.Positives, in.Dropped.Total()); err != nil {
			return err
		}
	}
	return nil
}
