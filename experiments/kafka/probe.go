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
	return a.firstWanted(ctx, tp, from, func(*kgo.Record) bool { return true })
}

// firstWanted is firstVisible for readers who want some of the records only.
func (a *Admin) firstWanted(ctx context.Context, tp experiments.TopicPartition, from int64, wanted func(*kgo.Record) bool) (int64, error) {
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
		for _, r := range read.Records {
			if wanted(r) {
				return r.Offset, read.Err
			}
		}
		if read.Err != nil || next <= from {
			return from, read.Err
		}
		from = next
	}
}

// NextRecord returns the offset of the first committed record of a partition from
// an offset on, markers of shuffles apart; where there is none, the partition's
// end (last stable). An offset before the partition's first record counts as that.
func (a *Admin) NextRecord(ctx context.Context, tp experiments.TopicPartition, from int64) (int64, error) {
	starts, err := listParts(ctx, a.adm.ListStartOffsets, []experiments.TopicPartition{tp})
	if err != nil {
		return from, fmt.Errorf("looking for records of %s/%d: %w", tp.Topic, tp.Partition, err)
	}
	ends, err := a.ends(ctx, []experiments.TopicPartition{tp})
	if err != nil {
		return from, err
	}
	if from = max(from, starts[tp]); from >= ends[tp] {
		return from, nil
	}
	return a.firstWanted(ctx, tp, from, func(r *kgo.Record) bool {
		return len(r.Headers) == 0 || r.Headers[0].Key != experiments.ClocksHeader
	})
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
