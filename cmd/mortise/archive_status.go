package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/archive"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/joiner"
)

// archiveState is what the brokers know of how far an experiment's rows are
// archived as Parquet.
type archiveState struct {
	Experiment string         `json:"experiment"`
	Path       string         `json:"path"`
	Topic      string         `json:"topic"` // the rows'
	Group      string         `json:"group"`
	State      string         `json:"group_state"`
	Members    int            `json:"members"`
	Partitions []archivedPart `json:"partitions"`
}

type archivedPart struct {
	Partition int32  `json:"partition"`
	Next      int64  `json:"next"` // the dataset has all rows before it
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"`
	MaxMS     *int64 `json:"max_ms,omitempty"` // greatest event time published
}

// addArchives asks for the groups that archive the pipeline's rows.
func (st *pipelineStatus) addArchives(ctx context.Context, admin *kafka.Admin, p *experiments.Pipeline) error {
	_, ways := p.Archived(st.Group)
	for _, way := range ways {
		g, err := admin.Group(ctx, way.Group)
		if err != nil {
			return err
		}
		s := archiveState{Experiment: way.Experiment.Name, Path: objectstore.Redact(way.Experiment.Output.ParquetOut.Path), Topic: way.Topic, Group: way.Group,
			State: g.State, Members: g.Members, Partitions: []archivedPart{}}
		for i := range g.Partitions {
			part := &g.Partitions[i]
			if part.Topic != way.Topic {
				continue // of a topic that the rows went to before
			}
			maxMS, err := archive.ParseMetadata(part.Metadata)
			if err != nil {
				return fmt.Errorf("group %s, %s[%d]: %w", way.Group, part.Topic, part.Partition, err)
			}
			a := archivedPart{Partition: part.Partition, Next: part.Next, End: part.End, Lag: part.Lag}
			if maxMS != joiner.NoTimeMS {
				a.MaxMS = &maxMS
			}
			s.Partitions = append(s.Partitions, a)
		}
		st.Archives = append(st.Archives, s)
	}
	return nil
}

func (c *console) printArchives(all []archiveState) {
	for i := range all {
		s := &all[i]
		fmt.Fprintf(c.out, "\n  %s is archived in %s: group %s, %s, %d members\n", s.Experiment, s.Path, s.Group, s.State, s.Members)
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "  topic\tpartition\tnext\tend\tlag\tevent time")
		for _, p := range s.Partitions {
			mark := ""
			if p.MaxMS != nil {
				mark = eventTime(*p.MaxMS)
			}
			fmt.Fprintf(w, "  %s\t%d\t%d\t%d\t%d\t%s\n", s.Topic, p.Partition, p.Next, p.End, p.Lag, mark)
		}
		_ = w.Flush() // to the console
	}
}
