package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/offline"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/memory"
)

type debugFlags struct {
	load   loadFlags
	inputs []string
	key    string
	limit  int
	json   bool
}

func newDebug(c *console) *cobra.Command {
	var f debugFlags
	cmd := &cobra.Command{
		Use: "debug FILE --input NAME=GLOB", Short: "Run on a sample and tell what became of each event, and why", Args: exactly(1, "one experiment file"),
		Long: `Run an experiment on recorded files, in memory and without a broker, and tell the
story of each event: taken in, attached to what, dropped for which reason, emitted
as which row. With --key only those of one join key, and of which tiles each feature
of its rows is made.`,
		Example: "  mortise debug feed.yaml --input impressions=imps.jsonl --input clicks=clicks.jsonl --key bts-men-190",
		RunE:    func(cmd *cobra.Command, args []string) error { return c.debug(cmd.Context(), &f, args) },
	}
	f.load.register(cmd)
	cmd.Flags().StringArrayVar(&f.inputs, "input", nil, "SOURCE=FILES: recorded files, by glob, folder or URL; may be repeated")
	cmd.Flags().StringVar(&f.key, "key", "", "tell only of events with this join key")
	cmd.Flags().IntVarP(&f.limit, "limit", "n", 100, "tell of at most this many events; 0 is all")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object an event")
	return cmd
}

func (c *console) debug(ctx context.Context, f *debugFlags, args []string) (err error) {
	inputs, err := parseInputs(f.inputs)
	if err != nil {
		return err
	}
	if len(inputs) == 0 {
		return usageError{fmt.Errorf("debug needs --input SOURCE=FILES")}
	}
	plan, err := c.mustLoad(&f.load, args)
	if err != nil {
		return err
	}
	inputs, changes := splitChanges(plan, inputs)
	rec, err := openInputs(ctx, plan, inputs)
	if err != nil {
		return err
	}
	defer rec.merged.Close()
	p := plan.Pipelines[0].FromFiles(func(string) bool { return true }).RowsAsJSON()
	stories, err := experiments.NewStories(p)
	if err != nil {
		return err
	}
	tiles, err := sampleFeatures(ctx, plan, p, inputs)
	if err != nil {
		return err
	}
	var enrichment experiments.Enrichment // nil where there are no features
	if tiles != nil {
		enrichment = tiles
	}
	dims, err := c.recordedDimensions(ctx, plan, os.TempDir(), changes, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dims.close()) }()
	t := offline.New(rec.merged, rec.topics, p.Inputs(), func(o *experiments.Output) error {
		stories.Produced(o)
		return nil
	})
	w, err := experiments.NewWorker(p, t, memoryStates{}, "debug", experiments.WorkerOptions{
		UntilEnd: true, InputDone: t.InputDone(), Parallel: 1, Trace: stories.Trace, Log: c.logger(), Enrichment: enrichment, Dimensions: dims.set.For(p), Recorded: true, LookedUp: stories.LookedUp,
		Letters: func(string, []byte) error { return nil },
	})
	if err != nil {
		return err
	}
	if err := w.Run(ctx); err != nil {
		return err
	}
	all := stories.All()
	for _, story := range all {
		if f.key == "" || story.Key != f.key {
			continue
		}
		err := stories.ExplainRows(story, func(feature int, entity []byte, asOfMS int64) (*features.Explanation, error) {
			return tiles.Explain(ctx, feature, entity, asOfMS)
		})
		if err == nil {
			err = stories.ExplainVersions(story, func(id string, l *dimjoin.Lookup) error { return dims.set.Explain(ctx, id, l) })
		}
		if err != nil {
			return err
		}
	}
	return c.tell(all, f)
}

// memoryStates keeps a sample's state in memory.
type memoryStates struct{}

func (memoryStates) Open(_ string, opts joiner.StoreOptions) (joiner.Store, error) {
	return memory.New().Open(opts)
}
func (memoryStates) Reset(string) error { return nil }
func (memoryStates) Close() error       { return nil }

func (c *console) tell(all []*experiments.Story, f *debugFlags) error {
	told, left := 0, 0
	for _, s := range all {
		if f.key != "" && s.Key != f.key {
			continue
		}
		if f.limit > 0 && told == f.limit {
			left++
			continue
		}
		told++
		if f.json {
			if err := c.printJSON(s); err != nil {
				return err
			}
			continue
		}
		c.tellOne(s)
	}
	switch {
	case told == 0 && f.key != "":
		return fmt.Errorf("no event has the join key %q; keys of several fields are joined by |", f.key)
	case left > 0:
		c.say("%d more events; --limit 0 tells of all, --key of one", left)
	}
	c.tellBatch(all)
	return nil
}

// tellBatch says what a backfill of the same files would write.
func (c *console) tellBatch(all []*experiments.Story) {
	rows, provisional, folders := 0, 0, map[string]bool{}
	for _, s := range all {
		for i := range s.Steps {
			switch s.Steps[i].What {
			case "emitted":
				rows++
			case "provisional":
				provisional++
			default:
				continue
			}
			folders[s.Steps[i].Folder] = true
		}
	}
	more := ""
	if provisional > 0 {
		more = fmt.Sprintf(" and %s provisional ones", thousands(int64(provisional)))
	}
	c.say("a backfill of these files writes %s rows%s, in %s", thousands(int64(rows)), more, count(len(folders), "folder"))
}

func (c *console) tellOne(s *experiments.Story) {
	fmt.Fprintf(c.out, "%s@%d", s.Source, s.Offset)
	if s.Key != "" {
		fmt.Fprintf(c.out, "  key %s", s.Key)
	}
	if s.TimeMS != 0 {
		fmt.Fprintf(c.out, "  %s", time.UnixMilli(s.TimeMS).UTC().Format(time.RFC3339Nano))
	}
	fmt.Fprintf(c.out, "\n  %s\n", s.Raw)
	for _, st := range s.Steps {
		fmt.Fprintf(c.out, "  → %s", st.What)
		if st.Experiment != "" {
			fmt.Fprintf(c.out, " [%s]", st.Experiment)
		}
		if st.With != "" {
			fmt.Fprintf(c.out, " %s", st.With)
		}
		if st.Why != "" {
			fmt.Fprintf(c.out, ": %s", st.Why)
		}
		fmt.Fprintln(c.out)
		if st.Row != nil {
			fmt.Fprintf(c.out, "      %s\n", st.Row)
		}
		if st.Folder != "" {
			fmt.Fprintf(c.out, "      as Parquet in %s\n", st.Folder)
		}
		c.tellDimensions(st.Dimensions)
		c.tellFeatures(st.Features)
	}
	fmt.Fprintln(c.out)
}
