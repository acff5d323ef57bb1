package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/internal/objectstore"
)

type backfillFlags struct {
	load    loadFlags
	cluster clusterFlags

	inputs    []string
	out       string
	letters   string
	from, to  string
	workers   int
	splits    int
	shard     string
	scratch   string
	memory    string
	resume    bool
	overwrite bool
	acceptGap bool
	dryRun    bool
	margin    time.Duration
	lateness  time.Duration
	json      bool
	report    string

	changes []input             // of dimensions
	used    *backfill.Directory // in scratch; nil until it is needed
}

func newBackfill(c *console) *cobra.Command {
	var f backfillFlags
	cmd := &cobra.Command{
		Use: "backfill FILE --input NAME=GLOB --out DIR", Short: "Run an experiment over recorded data as a batch: files in, Parquet out", Args: exactly(1, "one experiment file"),
		Long: `Run an experiment over recorded data as a batch: the rows are those that run makes
of the same data, written as Parquet, sorted by nothing but what they need, on as
many processors as there are, within --memory.

What is stopped or fails goes on where it was when the same command is given again.
With --from and --to the impressions of that range of event time become instances,
with all their labels: the inputs must reach as far as the windows do. With --shard
several machines share the work; the last of them to end marks the hours complete.`,
		Example: `  mortise backfill feed.yaml --input impressions='imps/*.jsonl.gz' --input clicks='clicks/*.jsonl.gz' --out ./out/feed-ctr
  mortise backfill feed.yaml --input impressions='s3://lake/imps/*' --input clicks='s3://lake/clicks/*' --out s3://lake/feed-ctr --from 2026-01-01 --to 2026-01-02`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.backfill(cmd.Context(), &f, args) },
	}
	f.load.register(cmd)
	f.cluster.registerReader(cmd)
	fs := cmd.Flags()
	fs.StringArrayVar(&f.inputs, "input", nil, "SOURCE=FILES: recorded files, by glob, folder or URL; may be repeated")
	fs.StringVar(&f.out, "out", "", "folder of the dataset: a directory, s3://, gs:// or azblob://")
	fs.StringVar(&f.letters, "letters", "", "folder of the dead letters (default: _mortise/backfill/letters in --out)")
	fs.StringVar(&f.from, "from", "", "event time of the first impressions, such as 2026-01-01 or 2026-01-01T12 (default: all)")
	fs.StringVar(&f.to, "to", "", "event time at which the impressions end, exclusive (default: all)")
	fs.IntVar(&f.workers, "workers", runtime.GOMAXPROCS(0), "how many files, and then splits, are worked on at once")
	fs.IntVar(&f.splits, "splits", 0, "how many splits the records are divided into by their key (default: by the size of the inputs)")
	fs.StringVar(&f.shard, "shard", "", "I/N: do the I-th of N parts of the work, counted from 0")
	fs.StringVar(&f.scratch, "scratch", "mortise-scratch", "directory for what is sorted and not joined yet: about a third of the inputs, uncompressed")
	fs.StringVar(&f.memory, "memory", "1GB", "about how much memory to take")
	fs.BoolVar(&f.resume, "resume", true, "go on where an earlier run of the same command ended")
	fs.BoolVar(&f.overwrite, "overwrite", false, "first remove the dataset that is in --out")
	fs.BoolVar(&f.acceptGap, "accept-gap", false, "go on where labels end before the windows of the last impressions do")
	fs.DurationVar(&f.margin, "margin", time.Hour, "with --from, of topics: how much earlier than its event time a record may be stamped")
	fs.DurationVar(&f.lateness, "lateness", 0, "with --to, of topics: how much later than its event time a record may be stamped (default: topics are read to their ends)")
	fs.BoolVar(&f.dryRun, "dry-run", false, "say what there is to do and what it takes, by a trial in memory; write nothing")
	fs.BoolVar(&f.json, "json", false, "print the summary as one JSON object")
	fs.StringVar(&f.report, "report", "", "write an HTML page about the dataset's rows to this file: label rates, delays, the ledger, every column")
	return cmd
}

func (c *console) backfill(ctx context.Context, f *backfillFlags, args []string) (err error) { //nolint:funlen // the way of the data, in its order
	if err := mustTakeReport(f.report); err != nil {
		return err
	}
	began := time.Now()
	plan, err := c.mustLoad(&f.load, args)
	if err != nil {
		return err
	}
	job, err := f.job(c, plan.Pipelines[0])
	if err != nil {
		return err
	}
	job.Log = c.logger()
	if job.Inputs, err = f.openInputs(ctx, plan); err != nil {
		return err
	}
	brokers, err := f.openTopics(ctx, c, plan, job)
	if brokers != nil {
		defer func() { err = errors.Join(err, brokers.close()) }()
	}
	if err != nil {
		return err
	}
	out, err := objectstore.Open(ctx, f.out)
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	job.Out = out
	if job.Beside, err = changeFiles(ctx, f.changes); err != nil {
		return err
	}
	if f.dryRun {
		estimate, err := backfill.Look(ctx, *job)
		if err != nil {
			return err
		}
		return c.printEstimate(estimate, f)
	}
	if f.letters != "" {
		letters, err := objectstore.Open(ctx, f.letters)
		if err != nil {
			return fmt.Errorf("--letters: %w", err)
		}
		defer letters.Close()
		job.Letters = letters
	}
	if f.overwrite {
		if err := backfill.Empty(ctx, out); err != nil {
			return err
		}
	}
	debug.SetMemoryLimit(job.MemoryBytes)
	defer func() {
		if f.used != nil {
			err = errors.Join(err, f.used.Close())
			_ = os.Remove(f.scratch) // empty by now, unless others are at work there
		}
	}()
	stop := c.watchBackfill(job)
	var tiles scratchTiles
	defer func() { err = errors.Join(err, tiles.close()) }()
	var dims *recordedChanges
	defer func() { err = errors.Join(err, dims.close()) }()
	job.Before = func(ctx context.Context, job *backfill.Job) (err error) {
		if dims, err = c.recordedDimensions(ctx, plan, f.scratch, f.changes, brokers); err != nil {
			return err
		}
		job.Dimensions = dims.set.For(job.Pipeline)
		return tiles.fill(ctx, f.scratch, plan, job)
	}
	report, err := backfill.Run(ctx, *job)
	stop()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return errors.New("stopped before the end: the same command goes on from here")
	}
	if err != nil {
		return err
	}
	for _, w := range report.Warnings {
		c.say("warning: %s", w)
	}
	took := time.Since(began)
	if f.report != "" {
		page, err := c.backfillReport(ctx, f, plan.Pipelines[0], out, report, took)
		if err == nil {
			err = writeReport(f.report, page)
		}
		if err != nil {
			return err
		}
	}
	return c.printBackfill(report, f, took)
}

// job checks the flags.
func (f *backfillFlags) job(c *console, p *experiments.Pipeline) (*backfill.Job, error) {
	job := &backfill.Job{Pipeline: p, Splits: f.splits, Workers: f.workers, Fresh: !f.resume, AcceptGap: f.acceptGap, Range: backfill.Range{FromMS: math.MinInt64, ToMS: math.MaxInt64}, Progress: &backfill.Progress{}}
	switch {
	case len(f.inputs) == 0 && !f.fromTopics():
		return nil, usageError{errors.New("backfill needs --input SOURCE=FILES, or --brokers or --embedded to read the topics")}
	case f.out == "":
		return nil, usageError{errors.New("backfill needs --out, the folder of the dataset")}
	case f.workers < 1:
		return nil, usageError{fmt.Errorf("--workers %d: at least one is needed", f.workers)}
	case f.splits < 0:
		return nil, usageError{fmt.Errorf("--splits %d: at least one is needed", f.splits)}
	}
	var err error
	if job.MemoryBytes, err = spec.ParseSize(f.memory); err != nil {
		return nil, usageError{fmt.Errorf("--memory: %w", err)}
	}
	for _, end := range []struct {
		flag, text string
		ms         *int64
	}{{"--from", f.from, &job.Range.FromMS}, {"--to", f.to, &job.Range.ToMS}} {
		if end.text == "" {
			continue
		}
		if *end.ms, err = parseTime(end.text); err != nil {
			return nil, usageError{fmt.Errorf("%s: %w", end.flag, err)}
		}
	}
	if job.Shard, job.Shards, err = parseShard(f.shard); err != nil {
		return nil, err
	}
	if job.Shards > 1 && f.overwrite {
		return nil, usageError{errors.New("--overwrite would remove what the other shards have written: name a new folder with --out, or empty this one before the first shard starts")}
	}
	job.Scratch = func(name string) (_ backfill.FS, err error) {
		f.used, err = backfill.OpenDirectory(filepath.Join(f.scratch, name))
		return f.used, err
	}
	job.DiskStates = func(split int) (experiments.States, error) {
		return openSplitState(c, filepath.Join(f.used.String(), fmt.Sprintf("state-%d", split)))
	}
	job.TempDir = f.scratch
	return job, nil
}

// parseShard reads I/N.
func parseShard(text string) (i, n int, err error) {
	if text == "" {
		return 0, 1, nil
	}
	left, right, ok := strings.Cut(text, "/")
	i, errI := strconv.Atoi(left)
	n, errN := strconv.Atoi(right)
	if !ok || errI != nil || errN != nil || n < 1 || i < 0 || i >= n {
		return 0, 0, usageError{fmt.Errorf("--shard %q: write I/N with I from 0 to N-1, such as 0/4", text)}
	}
	return i, n, nil
}
