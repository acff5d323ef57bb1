package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mortise-dev/mortise/experiments"
)

// A partition can end in offsets that no reader ever sees: records that
// compaction removed, or an aborted transaction whose marker is missing. The
// client passes over them without a word, so a reader that waits for the end
// would wait for ever. When a wait brought nothing, such a partition is fetched
// once by hand, and what it shows to be empty is counted as read.

const probeTimeout = 5 * time.Second

// skipInvisible advances the lanes that are not at their end although nothing
// comes.
func (in *intake) skipInvisible(admin *Admin) {
	for _, l := range in.lanes {
		if l.paused || l.count > 0 || l.next >= l.end {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
		next, err := admin.firstVisible(ctx, l.tp, l.next)
		cancel()
		if err != nil {
			continue // a broker that is away now; the client deals with that
		}
		if next > l.next {
			l.next, l.due = next, true
		}
	}
}

// firstVisible returns the offset from which on there may be something to read:
// from itself when there is a committed record, or nothing at all, behind it.
func (a *Admin) firstVisible(ctx context.Context, tp experiments.TopicPartition, from int64) (int64, error) {
	found, err := a.describe(ctx, []string{tp.Topic})
	if err != nil {
		return from, err
	}
	topic := found[tp.Topic]
	leader := a.client.Broker(int(topic.Partitions[tp.Partition].Leader))
	for {
		resp, err := leader.RetriableRequest(ctx, fetchOnce(tp, topic.ID, from))
		if err != nil {
			return from, err
		}
		p, err := onlyPartition(resp.(*kmsg.FetchResponse))
		if err != nil {
			return from, fmt.Errorf("looking for records of %s/%d behind offset %d: %w", tp.Topic, tp.Partition, from, err)
		}
		read, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: from, IsolationLevel: kgo.ReadCommitted(),
			Topic: tp.Topic, Partition: tp.Partition}, p, kgo.DefaultDecompressor(), nil)
		if read.Err != nil || len(read.Records) > 0 || next <= from {
			return from, read.Err
		}
		from = next
	}
}

func fetchOnce(tp experiments.TopicPartition, id [16]byte, from int64) *kmsg.FetchRequest {
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = tp.Partition, from, 1<<20
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID, topic.Partitions = tp.Topic, id, []kmsg.FetchRequestTopicPartition{p}
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.IsolationLevel, req.Topics = 1<<20, 1, []kmsg.FetchRequestTopic{topic}
	return req
}

func onlyPartition(resp *kmsg.FetchResponse) (*kmsg.FetchResponseTopicPartition, error) {
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("the broker answered for %d topics, want 1", len(resp.Topics))
	}
	p := &resp.Topics[0].Partitions[0]
	return p, kerr.ErrorForCode(p.ErrorCode)
}
