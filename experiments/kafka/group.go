package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/mortise-dev/mortise/experiments"
)

// GroupStatus is where a consumer group stands.
type GroupStatus struct {
	Group      string
	State      string            // Stable, Empty, PreparingRebalance, …; Dead for a group that does not exist
	Members    int               // processes that are in it now
	Partitions []PartitionStatus // by topic and partition; those with an offset
}

// PartitionStatus is one partition of a group.
type PartitionStatus struct {
	experiments.TopicPartition
	experiments.CommittedOffset
	End int64 // last stable offset
	Lag int64 // records, and control records, between Next and End; never negative
}

// Group returns what group has committed and how far that is from the ends. A
// group that does not exist has no partitions.
func (a *Admin) Group(ctx context.Context, group string) (*GroupStatus, error) {
	status := &GroupStatus{Group: group, State: "Dead"}
	var described kadm.DescribedGroups
	err := retry(ctx, func() (err error) { // a coordinator may be changing, or on its first day
		if described, err = a.adm.DescribeGroups(ctx, group); err == nil {
			err = described[group].Err
		}
		return err
	})
	if err != nil && described[group].Err == nil {
		return nil, fmt.Errorf("describing consumer group %s: %w", group, err)
	}
	if d, ok := described[group]; ok && d.Err == nil {
		status.State, status.Members = d.State, len(d.Members)
	} else if ok && !errors.Is(d.Err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("describing consumer group %s: %w", group, d.Err)
	}
	offsets, err := a.adm.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return status, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the offsets of consumer group %s: %w", group, err)
	}
	var parts []experiments.TopicPartition
	for topic, byPartition := range offsets {
		for partition, o := range byPartition {
			if o.Err != nil {
				return nil, fmt.Errorf("reading the offset of %s/%d of consumer group %s: %w", topic, partition, group, o.Err)
			}
			tp := experiments.TopicPartition{Topic: topic, Partition: partition}
			parts = append(parts, tp)
			status.Partitions = append(status.Partitions, PartitionStatus{TopicPartition: tp,
				CommittedOffset: experiments.CommittedOffset{Next: o.At, Metadata: o.Metadata}})
		}
	}
	if len(parts) == 0 {
		return status, nil
	}
	ends, err := a.ends(ctx, parts)
	if err != nil {
		return nil, err
	}
	for i := range status.Partitions {
		p := &status.Partitions[i]
		p.End = ends[p.TopicPartition]
		p.Lag = max(p.End-p.Next, 0)
	}
	slices.SortFunc(status.Partitions, func(x, y PartitionStatus) int {
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	return status, nil
}

// Groups returns the names of all consumer groups, sorted.
func (a *Admin) Groups(ctx context.Context) ([]string, error) {
	listed, err := a.adm.ListGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing consumer groups: %w", err)
	}
	names := listed.Groups()
	slices.Sort(names)
	return names, nil
}
