package main

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/joiner/recorded"
)

type replayFlags struct {
	load    loadFlags
	cluster clusterFlags
	inputs  []string
	speed   string
	json    bool
}

func newReplay(c *console) *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use: "replay FILE… --input NAME=GLOB", Short: "Publish recorded files to the experiment's topics", Args: someFiles,
		Long: `Publish recorded files (JSON lines, CSV, Parquet; here or in an object store) to
the topics of the experiment's sources, as JSON: merged by event time, keyed by
partition_by, with the event time as timestamp. Records that cannot be read are
published too, without a key: the pipeline sends them to dead letters.`,
		Example: "  mortise replay feed.yaml --input impressions='imps-*.jsonl.gz' --input clicks=clicks.jsonl.gz --speed 60x",
		RunE:    func(cmd *cobra.Command, args []string) error { return c.replay(cmd.Context(), &f, args) },
	}
	f.load.register(cmd)
	f.cluster.register(cmd)
	cmd.Flags().StringArrayVar(&f.inputs, "input", nil, "SOURCE=FILES: recorded files, by glob, folder or URL; may be repeated")
	cmd.Flags().StringVar(&f.speed, "speed", "max", "how fast recorded time passes: 1x, 60x, or max")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the counts as JSON")
	return cmd
}

func (c *console) replay(ctx context.Context, f *replayFlags, args []string) error {
	speed, err := recorded.ParseSpeed(f.speed)
	if err != nil {
		return usageError{fmt.Errorf("--speed: %w", err)}
	}
	inputs, err := parseInputs(f.inputs)
	if err != nil {
		return err
	}
	if len(inputs) == 0 {
		return usageError{fmt.Errorf("replay needs --input SOURCE=FILES")}
	}
	plan, err := c.mustLoad(&f.load, args)
	if err != nil {
		return err
	}
	rec, err := openInputs(ctx, plan, inputs)
	if err != nil {
		return err
	}
	defer rec.merged.Close()
	cl, err := f.cluster.open(c, &plan.Pipelines[0].Experiments[0].Kafka)
	if err != nil {
		return err
	}
	defer func() { _ = cl.close() }()
	if err := cl.prepare(ctx, plan, f.cluster.partitions, true); err != nil {
		return err
	}
	if err := cl.useRegistry(ctx, c, plan); err != nil {
		return err
	}
	stop := c.watchBytes("publishing", rec)
	counts, err := rec.publish(ctx, cl.Connection, speed)
	stop()
	c.tellMisfits(rec)
	if err != nil {
		return err
	}
	if cl.broker != nil {
		if err := cl.close(); err != nil {
			return fmt.Errorf("closing the embedded broker: %w", err)
		}
	}
	if f.json {
		return c.printJSON(map[string]any{"published": counts})
	}
	var topics []string
	for t := range counts {
		topics = append(topics, t)
	}
	sort.Strings(topics)
	for _, t := range topics {
		fmt.Fprintf(c.out, "%s: %s records\n", t, thousands(counts[t]))
	}
	return nil
}

// watchBytes draws a bar of how much of the files has been read, until the
// function it returns is called.
func (c *console) watchBytes(what string, rec *recording) (stop func()) {
	_, total := rec.merged.Progress()
	bar := c.progress(what, total, inBytes)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				read, _ := rec.merged.Progress()
				if total > 0 {
					read = min(read, total-1) // it reads ahead; a full bar is taken for done
				}
				bar.set(read)
				bar.describe(fmt.Sprintf("%s %s records", what, thousands(rec.lines.Load())))
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		bar.done()
	}
}
