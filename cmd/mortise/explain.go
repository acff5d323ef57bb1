package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/internal/objectstore"
)

func newExplain(c *console) *cobra.Command {
	var f loadFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use: "explain FILE…", Short: "Show the plan: stages, what is shared, keys, state, columns, the batch", Args: someFiles,
		Long: `Show what run would do with the files: which experiments share a pipeline (one
read, one state, one close), which do not and why, what is held for how long,
and the columns of each instance. And what backfill would do: how records are
divided, what it reads beyond --from and --to, how the dataset is laid out.`,
		RunE: func(_ *cobra.Command, args []string) error {
			plan, err := c.mustLoad(&f, args)
			if err != nil {
				return err
			}
			described := plan.Describe()
			for i := range described.Pipelines {
				for j := range described.Pipelines[i].Instances {
					e := &described.Pipelines[i].Instances[j]
					e.Parquet = objectstore.Redact(e.Parquet)
				}
			}
			batch, err := describeBatch(plan)
			if err != nil {
				return err
			}
			if asJSON {
				return c.printJSON(struct {
					experiments.PlanDescription
					Batch []batchDescription `json:"batch"`
				}{described, batch})
			}
			c.explain(described, batch)
			return nil
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (c *console) explain(plan experiments.PlanDescription, batch []batchDescription) {
	for i, p := range plan.Pipelines {
		if i > 0 {
			fmt.Fprintln(c.out)
		}
		n := len(p.Experiments)
		c.explainPipeline(i+1, len(plan.Pipelines), &p, batch[:n])
		for j := range batch[:n] {
			c.explainBatch(&batch[j])
		}
		batch = batch[n:]
	}
}

func (c *console) explainPipeline(n, of int, p *experiments.PipelineDescription, batch []batchDescription) {
	fmt.Fprintf(c.out, "pipeline %d of %d: %s\n", n, of, strings.Join(p.Experiments, ", "))
	if len(p.Experiments) > 1 {
		fmt.Fprintf(c.out, "  shared by %d experiments: one read, one state, one close\n", len(p.Experiments))
	}
	for _, why := range p.Apart {
		fmt.Fprintf(c.out, "  not shared with %s: %s\n", why.With, why.Why)
	}
	fmt.Fprintf(c.out, "\n  read\n")
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, s := range p.Sources {
		fmt.Fprintf(w, "    %s\t%s\tevent time %s (%s)\tout of order ≤ %s\tidle after %s\n", s.Topic, s.Role, s.EventTime, s.Unit, s.OutOfOrderness, s.IdleAfter)
	}
	w.Flush()
	for _, s := range p.Sources {
		if s.Shuffled != "" {
			fmt.Fprintf(c.out, "    %s is shuffled by %s, through an internal topic GROUP.repartition.SOURCE\n", s.Topic, s.Shuffled)
		}
	}
	fmt.Fprintf(c.out, "\n  join\n    key %s, partitioned by %s\n", strings.Join(p.Key, ", "), strings.Join(p.PartitionBy, ", "))
	fmt.Fprintf(c.out, "    held %s, then closed in order of event time; late: %s", p.Delay, p.Late)
	if p.Dedup {
		fmt.Fprintf(c.out, "; duplicates within %s dropped", p.Delay)
	}
	fmt.Fprintln(c.out)
	for _, l := range p.Windows {
		fmt.Fprintf(c.out, "    %s: [t-%s, t+%s) on %s\n", l.Topic, l.Before, l.Within, l.On)
	}
	fmt.Fprintf(c.out, "\n  state of a task (a partition)\n")
	for _, s := range p.State {
		fmt.Fprintf(c.out, "    %s: %s\n", s.What, s.Holds)
	}
	c.explainFeatures(p)
	c.explainDimensions(p)
	for i, e := range p.Instances {
		fmt.Fprintf(c.out, "\n  instance %s v%d → %s (%s)\n", e.Experiment, e.Version, destination(&e), e.Emit)
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "    column\ttype\tin Parquet")
		for at, col := range e.Columns {
			fmt.Fprintf(w, "    %s\t%s\t%s\n", col.Name, col.Type, batch[i].Parquet[at])
		}
		w.Flush()
		if e.Negatives < 1 {
			fmt.Fprintf(c.out, "    negatives kept: %g by %s, weight %g\n", e.Negatives, e.SampleBy, 1/e.Negatives)
		}
	}
}

// destination says where an experiment's rows go.
func destination(e *experiments.InstanceDescription) string {
	var all []string
	if e.Topic != "" {
		all = append(all, fmt.Sprintf("topic %s (%s)", e.Topic, e.Format))
	}
	if e.Parquet != "" {
		all = append(all, "Parquet in "+e.Parquet)
	}
	return strings.Join(all, ", ")
}

func (c *console) explainFeatures(p *experiments.PipelineDescription) {
	if len(p.Features)+len(p.Computed) == 0 {
		return
	}
	fmt.Fprintf(c.out, "\n  features, as of the start of the tile that the impression lies in\n")
	for _, g := range p.Features {
		fmt.Fprintf(c.out, "    of %s per %s: tiles of %s, kept for %s, %s each; a read takes %d tiles at most\n", g.Topic, strings.Join(g.Entity, ", "),
			strings.Join(g.Tiles, ", "), g.Keeps, count(g.Columns, "aggregate"), g.Reads)
		switch entity := strings.Join(g.Entity, ", "); {
		case g.Shuffled:
			fmt.Fprintf(c.out, "      %s is shuffled by %s, through an internal topic PREFIX.features.ID.repartition.%s-by-%s\n", g.Topic, entity, g.Source, strings.Join(g.Entity, "-"))
		case g.Shared:
			fmt.Fprintf(c.out, "      %s is keyed by %s, so it is not shuffled\n", g.Topic, entity)
		}
		var takes []string
		for _, b := range g.Bytes {
			takes = append(takes, fmt.Sprintf("%s with %s events a day", size(b.Bytes), thousands(int64(b.EventsPerDay))))
		}
		fmt.Fprintf(c.out, "      an entity takes about %s\n", strings.Join(takes, ", "))
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		for _, f := range g.Features {
			where := ""
			if f.Where != "" {
				where = "where " + f.Where
			}
			fmt.Fprintf(w, "      %s\t%s\tover %s\t%s\t%s\n", f.Name, f.Is, f.Window, f.Type, where)
		}
		w.Flush()
	}
	for _, f := range p.Computed {
		fmt.Fprintf(c.out, "    %s = %s (%s)\n", f.Name, f.Is, f.Type)
	}
}

func (c *console) explainDimensions(p *experiments.PipelineDescription) {
	if len(p.Dimensions) == 0 {
		return
	}
	fmt.Fprintf(c.out, "\n  dimensions, each read once for all rows of a batch\n")
	for _, d := range p.Dimensions {
		fmt.Fprintf(c.out, "    %s by %s, as of %s: %s\n      in %s\n", d.Name, strings.Join(d.Key, ", "), d.AsOf, strings.Join(d.Fields, ", "), d.Store)
		cache := "not cached"
		if d.Cache != "" {
			cache = "cached in " + d.Cache
		}
		fmt.Fprintf(c.out, "      %s; rows wait %s for the store; missing: %s\n", cache, d.Timeout, d.Missing)
		for _, line := range []string{d.Wait, d.Correct} {
			if line != "" {
				fmt.Fprintf(c.out, "      %s\n", line)
			}
		}
		if len(d.Experiments) > 1 {
			fmt.Fprintf(c.out, "      shared by %s\n", strings.Join(d.Experiments, ", "))
		}
	}
}
