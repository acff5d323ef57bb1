package main

import (
	"context"
	"fmt"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka"
)

// parkedTopic describes the topic in which a group keeps rows that wait for
// dimensions. It is compacted: what is left of it is about what waits.
func (cl *cluster) parkedTopic(name string, partitions int32) kafka.TopicSpec {
	t := cl.topic(name, partitions)
	delete(t.Configs, "retention.ms")
	t.Configs["cleanup.policy"] = "compact"
	t.Configs["segment.ms"] = "600000"
	t.Configs["min.cleanable.dirty.ratio"] = "0.1"
	t.Configs["max.message.bytes"] = fmt.Sprint(kafka.MaxRecordBytes + 1<<20)
	return t
}

// parks has a pipeline's worker keep rows that wait, if any may.
func (cl *cluster) parks(ctx context.Context, p *experiments.Pipeline, group string, tasks int32, admin *kafka.Admin, opts *kafka.Options, wo *experiments.WorkerOptions) error {
	if !p.Parks() {
		return nil
	}
	topic := experiments.ParkedTopic(group)
	if _, err := admin.EnsureTopics(ctx, []kafka.TopicSpec{cl.parkedTopic(topic, tasks)}); err != nil {
		return err
	}
	opts.Outputs, opts.Placed = append(opts.Outputs, topic), []string{topic}
	wo.Parked = &kafka.ParkedTopic{Connection: cl.Connection, Admin: admin, Topic: topic}
	return nil
}
