package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/mortise-dev/mortise/experiments"
)

// GroupView is experiments.Group over an Admin.
type GroupView struct {
	Admin  *Admin
	Group  string
	Inputs []string // topics
}

var _ experiments.Group = (*GroupView)(nil)

// Ends implements experiments.Group.
func (v *GroupView) Ends(ctx context.Context) (map[experiments.TopicPartition]int64, error) {
	return v.Admin.Ends(ctx, v.Inputs...)
}

// Committed implements experiments.Group. A group that does not exist has
// committed nothing.
func (v *GroupView) Committed(ctx context.Context) (map[experiments.TopicPartition]experiments.CommittedOffset, error) {
	fetched, err := v.Admin.adm.FetchOffsets(ctx, v.Group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the offsets of consumer group %s: %w", v.Group, err)
	}
	committed := offsets{}
	for topic, byPartition := range fetched {
		for partition, o := range byPartition {
			if o.Err == nil {
				committed[experiments.TopicPartition{Topic: topic, Partition: partition}] = experiments.CommittedOffset{Next: o.At, Metadata: o.Metadata}
			}
		}
	}
	return committed, nil
}
