package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/dimensions"
	"github.com/mortise-dev/mortise/experiments/dimensions/loading"
	"github.com/mortise-dev/mortise/experiments/inputs"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

type storeFlags struct {
	load    loadFlags
	inputs  []string
	state   string
	version string
	restart bool
	pause   time.Duration
	skipBad int64
	dryRun  bool
	json    bool
}

func newLoad(c *console) *cobra.Command {
	var f storeFlags
	cmd := &cobra.Command{
		Use: "load FILE DIMENSION --input FILE", Short: "Fill the store of a dimension", Args: exactly(2, "an experiment file and the name of one of its dimensions"),
		Long: `Fill the store of a dimension out of files of its rows: JSON lines, CSV or Parquet,
here or in an object store, with columns named as the dimension's key and fields,
and the two of its history if it has one. The last row of a key (and time) wins.

Readers see the old rows until all of the new ones are there, then the new ones,
never some of each; then the old ones are dropped. Of two stores (ab) the first is
filled, and after --pause, in which its caches warm up, the second.

A load that was cut short goes on where it was when the same command runs again;
one that is done does nothing.`,
		Example: `  mortise load feed.yaml item --input items.parquet
  mortise load feed.yaml item --input 'items-*.csv.gz' --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.loadStore(cmd.Context(), &f, args) },
	}
	f.load.register(cmd)
	fs := cmd.Flags()
	fs.StringArrayVar(&f.inputs, "input", nil, "files of rows, by glob, folder or URL; may be repeated")
	fs.StringVar(&f.state, "state", "mortise-state", "directory where it is noted how far the load is, for stores that do not keep that themselves")
	fs.StringVar(&f.version, "version", "", "name of what is loaded; by default it follows from the files' names, sizes and times")
	fs.BoolVar(&f.restart, "restart", false, "begin again what was cut short")
	fs.DurationVar(&f.pause, "pause", 0, "with two stores, how long the first serves the new rows before the second is filled, such as 30s")
	fs.Int64Var(&f.skipBad, "skip-bad", 0, "how many rows may be left out because they do not fit")
	fs.BoolVar(&f.dryRun, "dry-run", false, "read and check every row, and write none")
	fs.BoolVar(&f.json, "json", false, "print what was done as JSON")
	return cmd
}

func (c *console) loadStore(ctx context.Context, f *storeFlags, args []string) (err error) {
	if len(f.inputs) == 0 {
		return usageError{errors.New("load needs --input FILES, the rows")}
	}
	if f.skipBad < 0 {
		return usageError{fmt.Errorf("--skip-bad %d: at least 0", f.skipBad)}
	}
	plan, err := c.mustLoad(&f.load, args[:1])
	if err != nil {
		return err
	}
	d, err := declaredDimension(plan, args[1])
	if err != nil {
		return err
	}
	job, err := f.job(ctx, c, d)
	if err != nil {
		return err
	}
	run := loading.Check
	if !f.dryRun {
		run = loading.Run
		if job.Targets, err = dimensions.OpenTargets(ctx, &d.Definition); err != nil {
			return fmt.Errorf("dimension %s: %w", d.Name, err)
		}
		defer func() {
			for i := range job.Targets {
				err = errors.Join(err, job.Targets[i].Close())
			}
		}()
	}
	began := time.Now()
	stop := c.watchLoad(job)
	report, err := run(ctx, job)
	stop()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return errors.New("stopped before the end: readers see the old rows, and the same command goes on from here")
	}
	if err != nil {
		return err
	}
	return c.printLoad(report, f, time.Since(began))
}

// declaredDimension finds a dimension that an experiment declares, used or not.
func declaredDimension(plan *experiments.Plan, name string) (*spec.Dimension, error) {
	e := plan.Pipelines[0].Experiments[0]
	var names []string
	for i := range e.Dimensions {
		if e.Dimensions[i].Name == name {
			return &e.Dimensions[i], nil
		}
		names = append(names, e.Dimensions[i].Name)
	}
	if len(names) == 0 {
		return nil, usageError{fmt.Errorf("%s has no dimensions", e.Path)}
	}
	return nil, usageError{fmt.Errorf("%s has no dimension %s; it has %s", e.Path, name, strings.Join(names, ", "))}
}

// job opens the files, to see that they are there.
func (f *storeFlags) job(ctx context.Context, c *console, d *spec.Dimension) (*loading.Job, error) {
	source := &spec.Source{Name: d.Name, Fields: loading.Columns(&d.Definition)}
	job := &loading.Job{Definition: &d.Definition, Version: f.version, Restart: f.restart, Pause: f.pause, SkipBad: f.skipBad, Marks: filepath.Join(f.state, "loads")}
	job.Open = func(ctx context.Context) (*recorded.Files, error) {
		return inputs.Open(ctx, []*spec.Source{source}, f.inputs...)
	}
	job.Bad = func(err error) { c.logger().Warn("a row is left out", "err", err) }
	job.Say = func(text string) { c.say("%s", text) }
	files, err := job.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("--input: %w", err)
	}
	if files.FromStdin() {
		return nil, usageError{errors.New("--input -: a load may have to read its rows again: name a file")}
	}
	if job.Version == "" {
		job.Version = loading.VersionOf(&d.Definition, files)
	}
	return job, files.Close()
}

// watchLoad draws a bar of how much of the files has been read.
func (c *console) watchLoad(job *loading.Job) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		var bar *progress
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		var of *recorded.Files
		for {
			select {
			case <-done:
				if bar != nil {
					bar.done()
				}
				return
			case <-tick.C:
			}
			files := job.Progress.Files.Load()
			if files == nil {
				continue
			}
			read, total := files.Progress()
			if files != of { // a pass begins
				of, bar = files, c.progress("loading "+job.Definition.Name, total, inBytes)
			}
			if total > 0 {
				read = min(read, total-1) // it reads ahead; a full bar is taken for done
			}
			bar.set(read)
			bar.describe(fmt.Sprintf("loading %s, %s rows", job.Definition.Name, thousands(job.Progress.Rows.Load())))
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func (c *console) printLoad(r *loading.Report, f *storeFlags, took time.Duration) error {
	if f.json {
		return c.printJSON(r)
	}
	if f.dryRun {
		fmt.Fprintf(c.out, "%s: %s rows can be loaded, %s cannot\n", r.Dimension, thousands(r.Rows), thousands(r.Bad))
		return nil
	}
	for _, w := range r.Written {
		switch {
		case w.AlreadyIn:
			fmt.Fprintf(c.out, "%s, store %s: these files are loaded already (version %s)\n", r.Dimension, w.Store, r.Version)
			continue
		case w.Resumed > 0:
			fmt.Fprintf(c.out, "%s, store %s: %s rows written, after the %s that an earlier load had done", r.Dimension, w.Store, thousands(w.Rows), thousands(w.Resumed))
		default:
			fmt.Fprintf(c.out, "%s, store %s: %s rows written", r.Dimension, w.Store, thousands(w.Rows))
		}
		fmt.Fprintf(c.out, ", %s left out; readers see version %s\n", thousands(r.Bad), r.Version)
	}
	if seconds := took.Seconds(); seconds >= 1 {
		c.say("%s rows a second", thousands(int64(float64(r.Rows)/seconds)))
	}
	return nil
}
