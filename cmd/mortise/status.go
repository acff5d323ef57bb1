package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner"
)

type statusFlags struct {
	load    loadFlags
	cluster clusterFlags
	group   string
	http    string
	json    bool
}

// pipelineStatus is what the brokers know of a pipeline: the group's offsets and
// the snapshots that were committed with them.
type pipelineStatus struct {
	Pipeline    string            `json:"pipeline"`
	Group       string            `json:"group"`
	State       string            `json:"group_state"`
	Members     int               `json:"members"`
	Experiments []experimentState `json:"experiments"`
	Partitions  []partitionState  `json:"partitions"`
	Shuffles    []shuffleState    `json:"shuffles,omitempty"` // of its topics
	Archives    []archiveState    `json:"archives,omitempty"` // of its experiments
}

type experimentState struct {
	Name   string         `json:"name"`
	Ledger mortise.Ledger `json:"ledger"`
	AddsUp bool           `json:"adds_up"`
}

type partitionState struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Next        int64  `json:"next"`
	End         int64  `json:"end"`
	Lag         int64  `json:"lag"`
	WatermarkMS *int64 `json:"watermark_ms,omitempty"`
	ClosedToMS  *int64 `json:"closed_to_ms,omitempty"`
}

func newStatus(c *console) *cobra.Command {
	var f statusFlags
	cmd := &cobra.Command{
		Use: "status [FILE…]", Short: "Show where experiments stand: offsets, lag, watermark, ledger",
		Long: `Show where experiments stand, as their consumer groups have committed it: the lag
of every partition, the watermark, the ledger, and how far the rows are archived as
Parquet. It works whether they run or
not, from anywhere that reaches the brokers. Without a file it shows every group
on the brokers that mortise has committed for.`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.status(cmd.Context(), &f, args) },
	}
	f.load.register(cmd)
	f.cluster.registerReader(cmd)
	cmd.Flags().StringVar(&f.group, "group", "", "consumer group, when run was given one")
	cmd.Flags().StringVar(&f.http, "http", "", "a running worker's address, as its --http says: show how far its features are and how it reads dimensions too")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return cmd
}

func (c *console) status(ctx context.Context, f *statusFlags, args []string) error {
	var plan *experiments.Plan
	var from *spec.Kafka
	if len(args) > 0 {
		var err error
		if plan, err = c.mustLoad(&f.load, args); err != nil {
			return err
		}
		from = &plan.Pipelines[0].Experiments[0].Kafka
	}
	cl, err := f.cluster.open(c, from)
	if err != nil {
		return err
	}
	defer func() { _ = cl.close() }()
	admin, err := kafka.OpenAdmin(ctx, cl.Connection)
	if err != nil {
		return err
	}
	defer admin.Close()
	all, err := f.collect(ctx, admin, plan)
	if err != nil {
		return err
	}
	var shuffles []shuffleState
	if plan != nil {
		if shuffles, err = featureShuffles(ctx, admin, plan); err != nil {
			return err
		}
	}
	var idle []idleTopic
	if plan == nil && f.group == "" {
		if idle, err = idleTopics(ctx, admin); err != nil {
			return err
		}
	}
	var worker *workerStatus
	if f.http != "" {
		if worker, err = askWorker(ctx, f.http); err != nil {
			return err
		}
	}
	if f.json {
		report := map[string]any{"pipelines": all}
		if f.http != "" {
			report["features"], report["dimensions"] = worker.features, worker.dimensions
			report["parking"], report["corrections"] = worker.parking, worker.corrections
		}
		if shuffles != nil {
			report["feature_shuffles"] = shuffles
		}
		if idle != nil {
			report["idle_topics"] = idle
		}
		return c.printJSON(report)
	}
	if len(all) == 0 {
		c.say("nothing has been committed on %s", cl.address())
	}
	for i := range all {
		c.printStatus(&all[i])
	}
	if len(shuffles) > 0 {
		fmt.Fprint(c.out, "features")
		c.printShuffles(shuffles)
		fmt.Fprintln(c.out)
	}
	if f.http != "" {
		c.printFeatures(worker.features)
		c.printDimensions(worker.dimensions)
		c.printParking(worker.parking)
		c.printCorrections(worker.corrections)
	}
	for i, t := range idle {
		if i == 0 {
			fmt.Fprintln(c.out, "internal topics of groups that are not running; mortise forget deletes those of one that will not run again")
		}
		fmt.Fprintf(c.out, "  %s, of group %s\n", t.Topic, t.Group)
	}
	return nil
}

// collect asks for the groups of the plan's pipelines; without a plan for all
// groups that have committed a snapshot.
func (f *statusFlags) collect(ctx context.Context, admin *kafka.Admin, plan *experiments.Plan) ([]pipelineStatus, error) {
	all := []pipelineStatus{}
	if plan != nil {
		names := runFlags{group: f.group}
		for _, p := range plan.Pipelines {
			group, err := admin.Group(ctx, names.groupOf(plan, p))
			if err != nil {
				return nil, err
			}
			st, err := describeGroup(p.Name(), p.Experiments, group)
			if err != nil {
				return nil, err
			}
			if err := st.addShuffles(ctx, admin, p); err != nil {
				return nil, err
			}
			if err := st.addArchives(ctx, admin, p); err != nil {
				return nil, err
			}
			all = append(all, st)
		}
		return all, nil
	}
	names := []string{f.group}
	if f.group == "" {
		var err error
		if names, err = admin.Groups(ctx); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		group, err := admin.Group(ctx, name)
		if err != nil {
			return nil, err
		}
		if st, err := describeGroup(name, nil, group); err == nil && len(st.Experiments) > 0 {
			all = append(all, st)
		}
	}
	return all, nil
}

// nameExperiments finds the names of n experiments: those given, else what the
// group's default name tells, else numbers.
func nameExperiments(known []*spec.Experiment, group string, n int) (names []string) {
	for _, e := range known {
		names = append(names, e.Name)
	}
	if told := strings.Split(strings.TrimPrefix(group, "mortise."), "+"); len(names) == 0 && len(told) == n {
		return told
	}
	for len(names) < n {
		names = append(names, fmt.Sprintf("experiment %d", len(names)+1))
	}
	return names
}

// describeGroup adds up the snapshots that were committed beside the main
// stream's offsets.
func describeGroup(name string, known []*spec.Experiment, g *kafka.GroupStatus) (pipelineStatus, error) {
	st := pipelineStatus{Pipeline: name, Group: g.Group, State: g.State, Members: g.Members, Experiments: []experimentState{}, Partitions: []partitionState{}}
	var ledgers []mortise.Ledger
	for range known {
		ledgers = append(ledgers, mortise.Ledger{})
	}
	for _, part := range g.Partitions {
		ps := partitionState{Topic: part.Topic, Partition: part.Partition, Next: part.Next, End: part.End, Lag: part.Lag}
		if part.Metadata != "" {
			at, err := joiner.ParseMetadata(part.Metadata)
			if err != nil {
				return st, fmt.Errorf("group %s, %s[%d]: %w", g.Group, part.Topic, part.Partition, err)
			}
			for i := range at.Ledgers {
				if i == len(ledgers) {
					ledgers = append(ledgers, mortise.Ledger{})
				}
				ledgers[i].Add(&at.Ledgers[i])
			}
			if at.WatermarkMS != joiner.NoTimeMS {
				ps.WatermarkMS = &at.WatermarkMS
			}
			if at.Cursor.TimeMS != joiner.NoTimeMS {
				ps.ClosedToMS = &at.Cursor.TimeMS
			}
		}
		st.Partitions = append(st.Partitions, ps)
	}
	for i, name := range nameExperiments(known, g.Group, len(ledgers)) {
		st.Experiments = append(st.Experiments, experimentState{name, ledgers[i], ledgers[i].Check() == nil})
	}
	return st, nil
}

func (c *console) printStatus(st *pipelineStatus) {
	fmt.Fprintf(c.out, "%s: group %s, %s, %d members\n", st.Pipeline, st.Group, st.State, st.Members)
	if len(st.Partitions) == 0 {
		fmt.Fprint(c.out, "  nothing has been committed yet\n\n")
		return
	}
	for _, e := range st.Experiments {
		i, b := &e.Ledger.Impressions, &e.Ledger.Labels
		fmt.Fprintf(c.out, "\n  %s: %s instances, %s positive\n", e.Name, thousands(e.Ledger.Instances), thousands(e.Ledger.Positives))
		fmt.Fprintf(c.out, "    impressions in %s = emitted %s + pending %s + dropped %s%s\n", thousands(i.In), thousands(i.Emitted), pendingText(i), thousands(i.Dropped.Total()), reasons(&i.Dropped))
		fmt.Fprintf(c.out, "    labels in %s = attached %s + unmatched %s + late %s + pending %s + dropped %s%s\n", thousands(b.In), thousands(b.Attached), thousands(b.Unmatched),
			thousands(b.Late), thousands(b.Pending), thousands(b.Dropped.Total()), reasons(&b.Dropped))
		if !e.AddsUp {
			fmt.Fprintln(c.out, "    the ledger does not add up: please report this")
		}
	}
	fmt.Fprintln(c.out)
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  topic\tpartition\tnext\tend\tlag\twatermark")
	for _, p := range st.Partitions {
		mark := ""
		if p.WatermarkMS != nil {
			mark = eventTime(*p.WatermarkMS)
		}
		fmt.Fprintf(w, "  %s\t%d\t%d\t%d\t%d\t%s\n", p.Topic, p.Partition, p.Next, p.End, p.Lag, mark)
	}
	_ = w.Flush() // to the console
	c.printShuffles(st.Shuffles)
	c.printArchives(st.Archives)
	fmt.Fprintln(c.out)
}
