package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments"
)

type runFlags struct {
	load    loadFlags
	cluster clusterFlags

	inputs      []string
	state       string
	group       string
	untilEnd    bool
	http        string
	json        bool
	report      string
	republish   bool
	commitEvery time.Duration
	closeRows   int
	acceptGap   bool

	checkpoint      string
	checkpointEvery time.Duration
}

func newRun(c *console) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use: "run FILE…", Short: "Run experiments: streams in, labelled instances out", Args: someFiles,
		Long: `Run experiments. Those with the same sources, key and label windows share one
read, one state and one close.

Without --brokers an embedded Kafka-protocol broker keeps its log in a directory
and serves ordinary clients on loopback. --input publishes recorded files first.
--until-end stops when all input that is there has been consumed and every window
is closed, and prints a summary; without it run goes on until it is interrupted,
then commits what is done and ends.`,
		Example: `  mortise run feed.yaml --input impressions=imps.jsonl.gz --input clicks=clicks.jsonl.gz --until-end
  mortise run feed.yaml ads.yaml --brokers kafka-1:9092,kafka-2:9092 --state /var/lib/mortise --http :8080`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), &f, args) },
	}
	f.load.register(cmd)
	f.cluster.register(cmd)
	fs := cmd.Flags()
	fs.StringArrayVar(&f.inputs, "input", nil, "SOURCE=FILES: recorded files to publish first, by glob, folder or URL; may be repeated")
	fs.BoolVar(&f.republish, "republish", false, "publish --input again although the embedded broker has these files already")
	fs.StringVar(&f.state, "state", "", "directory of local state (default: state in the embedded broker's, else ./mortise-state)")
	fs.StringVar(&f.group, "group", "", "consumer group (default: the file's consumer_group, else mortise.EXPERIMENT)")
	fs.BoolVar(&f.untilEnd, "until-end", false, "stop when all input present is consumed and every window is closed")
	fs.StringVar(&f.http, "http", "", "address for /metrics, /healthz, /ready, /status and pprof, such as :8080")
	fs.BoolVar(&f.json, "json", false, "print the summary as one JSON object")
	fs.StringVar(&f.report, "report", "", "write an HTML page about the rows of this run to this file: label rates, delays, the ledger, every column")
	fs.DurationVar(&f.commitEvery, "commit-every", 500*time.Millisecond, "how often outputs and offsets are committed")
	fs.IntVar(&f.closeRows, "close-rows", 50_000, "impressions that are closed in one go, between intakes, over all tasks")
	fs.StringVar(&f.checkpoint, "checkpoint", "", "where copies of the state go: a directory, s3://, gs:// or azblob:// (default: the file's checkpoint.path)")
	fs.DurationVar(&f.checkpointEvery, "checkpoint-every", 0, "how often each task's state is copied (default: the file's checkpoint.every, else 1m)")
	fs.BoolVar(&f.acceptGap, "accept-gap", false, "go on where a topic no longer holds what must be read again, and count what is lost")
	return cmd
}

func (c *console) run(ctx context.Context, f *runFlags, args []string) error {
	if err := mustTakeReport(f.report); err != nil {
		return err
	}
	began := time.Now()
	sum, err := c.pipeline(ctx, f, args)
	if err != nil {
		return err
	}
	if f.report != "" {
		if err := writeReport(f.report, sum.report(time.Since(began))); err != nil {
			return err
		}
	}
	if f.json {
		return c.printJSON(sum)
	}
	c.printSummary(sum, args)
	return nil
}

// openInputs opens --input; nil when there is none.
func (f *runFlags) openInputs(ctx context.Context, plan *experiments.Plan) (*recording, error) {
	inputs, err := parseInputs(f.inputs)
	if err != nil || len(inputs) == 0 {
		return nil, err
	}
	return openInputs(ctx, plan, inputs)
}
