package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/checkpoint"
)

// checkpointFlags are those of all that is done with checkpoints.
type checkpointFlags struct {
	load loadFlags
	task string
	json bool
}

func newCheckpoint(c *console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "checkpoint", Short: "List, verify and restore checkpoints",
		Long: `List, verify and restore the checkpoints that run makes: copies of the state of
tasks, in a directory or an object store.

PLACE is that directory, its URL (s3://, gs://, azblob://, file://), or an
experiment file whose checkpoint.path names it; then only checkpoints of this
definition of the experiment are restored.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownVerb(cmd, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCheckpointLs(c), newCheckpointVerify(c), newCheckpointRestore(c))
	return cmd
}

func (f *checkpointFlags) register(cmd *cobra.Command) {
	f.load.register(cmd)
	cmd.Flags().StringVar(&f.task, "task", "", "one task, such as mortise.feed-ctr/0 (default: all)")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
}

const onePlace = "a directory, a URL or an experiment file"

// checkpointPlace is an opened place of checkpoints.
type checkpointPlace struct {
	*checkpoint.Checkpoints
	bucket *objectstore.Bucket
	tasks  []string
	plan   *experiments.Plan // of the experiment file that named the place; nil when none did
	file   string
}

// open opens what the argument names, and finds the tasks that are meant.
func (f *checkpointFlags) open(ctx context.Context, c *console, arg string) (_ *checkpointPlace, err error) {
	p := &checkpointPlace{}
	place := arg
	if info, serr := os.Stat(arg); serr == nil && info.Mode().IsRegular() {
		if p.plan, err = c.mustLoad(&f.load, []string{arg}); err != nil {
			return nil, err
		}
		p.file, place = arg, p.plan.Pipelines[0].Experiments[0].Checkpoint.Path
		if place == "" {
			return nil, fmt.Errorf("%s has no checkpoint.path: add it, or name the directory or URL itself", arg)
		}
	} else if serr != nil && !strings.Contains(arg, "://") {
		return nil, fmt.Errorf("there is no directory and no file %s: checkpoint needs %s", arg, onePlace)
	}
	if p.bucket, err = objectstore.Open(ctx, place); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = p.bucket.Close()
		}
	}()
	p.Checkpoints = checkpoint.New(p.bucket, checkpoint.Options{Writer: "command", Log: c.logger()})
	if p.tasks, err = p.Tasks(ctx); err != nil {
		return nil, err
	}
	if f.task == "" {
		return p, nil
	}
	if !slices.Contains(p.tasks, f.task) {
		return nil, fmt.Errorf("task %q has no checkpoints in %s; there are those of %s", f.task, p.bucket, orNone(p.tasks))
	}
	p.tasks = []string{f.task}
	return p, nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// close is for defer: all that matters is read.
func (p *checkpointPlace) close() { _ = p.bucket.Close() }

// accepts reports whether a snapshot is of the experiment file's definition, if
// the place was named by one.
func (p *checkpointPlace) accepts(meta []byte) bool {
	if p.plan == nil {
		return true
	}
	s, err := joiner.ParseSnapshot(meta)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(p.plan.Pipelines, func(pl *experiments.Pipeline) bool { return pl.Fingerprint() == s.Plan })
}

// whyUnreadable says in few words what is wrong with a checkpoint.
func whyUnreadable(err error) string {
	switch {
	case errors.Is(err, checkpoint.ErrNewer):
		return "of a newer version"
	case errors.Is(err, checkpoint.ErrDamaged):
		return "damaged"
	}
	return "unreadable"
}
