package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/shuffle"
	"github.com/mortise-dev/mortise/joiner"
)

// shuffleState is what the brokers know of a shuffled topic of a pipeline.
type shuffleState struct {
	Source     string        `json:"source"`
	Group      string        `json:"group"`
	State      string        `json:"group_state"`
	Members    int           `json:"members"`
	Topic      string        `json:"topic"` // the internal one
	Partitions []originState `json:"partitions"`
}

// originState is one partition of the topic that is shuffled.
type originState struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Next      int64  `json:"next"`
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"`
	MaxMS     *int64 `json:"max_ms,omitempty"` // greatest event time that was shuffled
	Idle      bool   `json:"idle"`
}

// addShuffles asks for the groups that shuffle the pipeline's topics.
func (st *pipelineStatus) addShuffles(ctx context.Context, admin *kafka.Admin, p *experiments.Pipeline) error {
	_, ways := p.Shuffled(st.Group)
	for _, way := range ways {
		s, err := shuffleOf(ctx, admin, way.Group)
		if err != nil {
			return err
		}
		s.Source, s.Topic = way.Source, way.Topic
		st.Shuffles = append(st.Shuffles, s)
	}
	return nil
}

// shuffleOf is what the brokers know of one shuffle.
func shuffleOf(ctx context.Context, admin *kafka.Admin, group string) (shuffleState, error) {
	g, err := admin.Group(ctx, group)
	if err != nil {
		return shuffleState{}, err
	}
	s := shuffleState{Group: group, State: g.State, Members: g.Members, Partitions: []originState{}}
	for i := range g.Partitions {
		part := &g.Partitions[i]
		maxMS, idle, err := shuffle.ParseMetadata(part.Metadata)
		if err != nil {
			return s, fmt.Errorf("group %s, %s[%d]: %w", group, part.Topic, part.Partition, err)
		}
		o := originState{Topic: part.Topic, Partition: part.Partition, Next: part.Next, End: part.End, Lag: part.Lag, Idle: idle}
		if maxMS != joiner.NoTimeMS {
			o.MaxMS = &maxMS
		}
		s.Partitions = append(s.Partitions, o)
	}
	return s, nil
}

// featureShuffles asks for the groups that shuffle the sources of features, by the
// names that workers who share the tiles give them.
func featureShuffles(ctx context.Context, admin *kafka.Admin, plan *experiments.Plan) (all []shuffleState, err error) {
	if len(plan.Features()) == 0 {
		return nil, nil
	}
	where, err := featureStoreOf(plan)
	if err != nil || !where.IsShared() {
		return nil, err
	}
	groups, err := admin.Groups(ctx)
	if err != nil {
		return nil, err
	}
	for _, group := range groups {
		source, topic, ok := experiments.ParseFeatureShuffle(sharedBase(where), group)
		if !ok {
			continue
		}
		s, err := shuffleOf(ctx, admin, group)
		if err != nil {
			return nil, err
		}
		s.Source, s.Topic = source, topic
		all = append(all, s)
	}
	return all, nil
}

func (c *console) printShuffles(all []shuffleState) {
	for i := range all {
		s := &all[i]
		fmt.Fprintf(c.out, "\n  %s is shuffled into %s: group %s, %s, %d members\n", s.Source, s.Topic, s.Group, s.State, s.Members)
		w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "  topic\tpartition\tnext\tend\tlag\tevent time")
		for _, p := range s.Partitions {
			mark := ""
			if p.MaxMS != nil {
				mark = eventTime(*p.MaxMS)
			}
			if p.Idle {
				mark += " idle"
			}
			fmt.Fprintf(w, "  %s\t%d\t%d\t%d\t%d\t%s\n", p.Topic, p.Partition, p.Next, p.End, p.Lag, mark)
		}
		_ = w.Flush() // to the console
	}
}
