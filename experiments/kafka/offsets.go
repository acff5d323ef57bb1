package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mortise-dev/mortise/experiments"
)

// topicID is an input by name and by the id that newer requests want.
type topicID struct {
	name string
	id   [16]byte
}

// nameOf returns the name of a topic in a response, which has the one or the other.
func (t *Transport) nameOf(name string, id [16]byte) string {
	for i := range t.topics {
		if name == "" && t.topics[i].id == id {
			return t.topics[i].name
		}
	}
	return name
}

// awaitCommitted is membership.read. An offset that is part of a transaction
// which is not ended yet is waited for: its owner ends it, or is gone, and then
// it is ended here. Errors that waiting may mend are waited out; the others are
// returned.
func (t *Transport) awaitCommitted(ctx context.Context, tasks []int32, found func(int32, offsets)) error {
	left := slices.Clone(tasks)
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := t.endOrphans(ctx)
		if err == nil {
			left, err = t.readCommitted(ctx, left, found)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case isHopeless(err):
			return fmt.Errorf("reading the offsets of consumer group %s: %w", t.opts.Group, err)
		case err == nil && len(left) == 0:
			return nil
		}
		pause(ctx, wait)
	}
}

// readCommitted calls found for tasks all of whose offsets are stable and
// returns the others.
func (t *Transport) readCommitted(ctx context.Context, tasks []int32, found func(int32, offsets)) (unstable []int32, err error) {
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = t.opts.Group
	for _, topic := range t.topics {
		rt := kmsg.NewOffsetFetchRequestGroupTopic()
		rt.Topic, rt.TopicID, rt.Partitions = topic.name, topic.id, tasks
		group.Topics = append(group.Topics, rt)
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable, req.Groups = true, append(req.Groups, group)
	resp, err := req.RequestWith(ctx, t.admin.client)
	if err != nil {
		return tasks, err
	}
	if len(resp.Groups) != 1 {
		return tasks, fmt.Errorf("the broker answered for %d groups, want 1", len(resp.Groups))
	}
	if err := errors.Join(kerr.ErrorForCode(resp.ErrorCode), kerr.ErrorForCode(resp.Groups[0].ErrorCode)); err != nil {
		return tasks, err
	}
	byTask := map[int32]offsets{}
	for _, topic := range resp.Groups[0].Topics {
		name := t.nameOf(topic.Topic, topic.TopicID)
		for i := range topic.Partitions {
			p := &topic.Partitions[i]
			if err := kerr.ErrorForCode(p.ErrorCode); errors.Is(err, kerr.UnstableOffsetCommit) {
				continue
			} else if err != nil {
				return tasks, fmt.Errorf("%s/%d: %w", name, p.Partition, err)
			}
			if byTask[p.Partition] == nil {
				byTask[p.Partition] = offsets{}
			}
			c := experiments.CommittedOffset{Next: max(p.Offset, -1)}
			if p.Metadata != nil && p.Offset >= 0 {
				c.Metadata = *p.Metadata
			}
			byTask[p.Partition][experiments.TopicPartition{Topic: name, Partition: p.Partition}] = c
		}
	}
	for _, task := range tasks {
		if len(byTask[task]) < len(t.topics) {
			unstable = append(unstable, task)
			continue
		}
		found(task, byTask[task])
	}
	return unstable, nil
}
