package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/joiner"
)

// forgetReport is what a consumer group has on the brokers.
type forgetReport struct {
	Group   string   `json:"group"`
	Groups  []string `json:"groups"` // itself, and those that work for it
	Topics  []string `json:"topics"` // internal ones
	Deleted bool     `json:"deleted"`
}

func newForget(c *console) *cobra.Command {
	var cluster clusterFlags
	var yes, asJSON bool
	cmd := &cobra.Command{
		Use: "forget GROUP", Short: "Delete what a consumer group that will not run again has on the brokers", Args: exactly(1, "a consumer group"),
		Long: `Delete what a consumer group that will not run again has on the brokers: its
offsets and with them its ledger, the groups that shuffle its topics and archive
its rows, and its internal topics. Inputs, instances and dead letters stay, and so
do local state, checkpoints and Parquet. Without --yes it only shows what that is.

A group that is forgotten begins anew when it runs again: it writes all its rows a
second time. A group that has members is not forgotten.`,
		Example: `  mortise forget mortise.feed-ctr --brokers kafka-1:9092
  mortise forget mortise.feed-ctr --brokers kafka-1:9092 --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.forget(cmd.Context(), &cluster, args[0], yes, asJSON)
		},
	}
	cluster.registerReader(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "delete it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (c *console) forget(ctx context.Context, f *clusterFlags, group string, yes, asJSON bool) error {
	cl, err := f.open(c, nil)
	if err != nil {
		return err
	}
	defer func() { _ = cl.close() }()
	admin, err := kafka.OpenAdmin(ctx, cl.Connection)
	if err != nil {
		return err
	}
	defer admin.Close()
	r, err := remains(ctx, admin, group)
	if err != nil {
		return err
	}
	if yes {
		if err := admin.DeleteGroups(ctx, r.Groups...); err != nil {
			return err
		}
		if err := admin.DeleteTopics(ctx, r.Topics...); err != nil {
			return err
		}
		r.Deleted = true
	}
	if asJSON {
		return c.printJSON(r)
	}
	for _, name := range r.Groups {
		fmt.Fprintf(c.out, "group %s\n", name)
	}
	for _, name := range r.Topics {
		fmt.Fprintf(c.out, "topic %s\n", name)
	}
	if yes {
		c.say("deleted; state that workers have kept lies in their --state directories, and may be deleted too")
	} else {
		c.say("with --yes these are deleted; should the group run again, all its rows come a second time")
	}
	return nil
}

// remains finds what a group has on the brokers. It is an error when there is
// nothing, or when somebody uses it.
func remains(ctx context.Context, admin *kafka.Admin, group string) (*forgetReport, error) {
	groups, err := admin.Groups(ctx)
	if err != nil {
		return nil, err
	}
	topics, err := admin.Topics(ctx)
	if err != nil {
		return nil, err
	}
	r := &forgetReport{Group: group, Groups: []string{}, Topics: []string{}}
	for _, name := range groups {
		if name != group && !experiments.GroupBelongs(name, group) {
			continue
		}
		st, err := admin.Group(ctx, name)
		if err != nil {
			return nil, err
		}
		if st.Members > 0 {
			return nil, fmt.Errorf("group %s has %d members: stop the workers first", name, st.Members)
		}
		if name == group && isForeign(st) {
			return nil, fmt.Errorf("group %s is another program's: mortise has committed nothing for it", name)
		}
		r.Groups = append(r.Groups, name)
	}
	for _, name := range slices.Sorted(maps.Keys(topics)) {
		if experiments.TopicBelongs(name, group) {
			r.Topics = append(r.Topics, name)
		}
	}
	if len(r.Groups)+len(r.Topics) == 0 {
		return nil, fmt.Errorf("there is no consumer group %s, and nothing that belongs to it; there are: %s", group, strings.Join(groups, ", "))
	}
	return r, nil
}

// isForeign reports whether another program has committed a group's offsets.
func isForeign(g *kafka.GroupStatus) bool {
	for i := range g.Partitions {
		if _, err := joiner.ParseMetadata(g.Partitions[i].Metadata); err == nil {
			return false
		}
	}
	return len(g.Partitions) > 0
}

// idleTopic is an internal topic of a group that is not running.
type idleTopic struct {
	Topic string `json:"topic"`
	Group string `json:"group"`
}

// idleTopics finds the internal topics of groups that have no members, those of
// groups too that are not there any more.
func idleTopics(ctx context.Context, admin *kafka.Admin) ([]idleTopic, error) {
	topics, err := admin.Topics(ctx)
	if err != nil {
		return nil, err
	}
	groups, err := admin.Groups(ctx)
	if err != nil {
		return nil, err
	}
	idle := []idleTopic{}
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		owner := experiments.InternalTopicOf(topic, groups)
		if owner == "" {
			continue
		}
		members := 0
		for _, group := range groups { // those of features have none that is named as they are
			if group != owner && !experiments.GroupBelongs(group, owner) {
				continue
			}
			g, err := admin.Group(ctx, group)
			if err != nil {
				return nil, err
			}
			members += g.Members
		}
		if members == 0 {
			idle = append(idle, idleTopic{topic, owner})
		}
	}
	return idle, nil
}
