package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/mortise-dev/mortise/experiments"
)

// ParkedTopic is experiments.ParkedRows over a topic.
//
// A reader of committed records comes no further than the first transaction that is
// open; one that is committed may still lack its markers in this partition, when the
// group's offsets have theirs. So it reads to where the partition ends for those who
// read all, and waits for what is open until then: its owner ends it, or the brokers do.
type ParkedTopic struct {
	Connection Connection
	Admin      *Admin
	Topic      string
}

var _ experiments.ParkedRows = (*ParkedTopic)(nil)

// Read implements experiments.ParkedRows. Brokers that are away are waited for, as
// long as ctx allows.
func (p *ParkedTopic) Read(ctx context.Context, partition int32, fn func(key, value []byte) error) error {
	tp := experiments.TopicPartition{Topic: p.Topic, Partition: partition}
	for {
		err := p.read(ctx, tp, fn)
		if err == nil || !isAway(err) || ctx.Err() != nil {
			return err
		}
		pause(ctx, 200*time.Millisecond)
	}
}

func (p *ParkedTopic) read(ctx context.Context, tp experiments.TopicPartition, fn func(key, value []byte) error) error {
	parts := []experiments.TopicPartition{tp}
	written, err := listParts(ctx, p.Admin.adm.ListEndOffsets, parts)
	if err != nil {
		return fmt.Errorf("asking where topic %s ends: %w", p.Topic, err)
	}
	lanes, err := p.Admin.lanes(ctx, map[experiments.TopicPartition]int64{tp: experiments.OffsetEarliest})
	if err != nil || lanes[0].next >= written[tp] {
		return err
	}
	client, err := p.Connection.client()
	if err != nil {
		return err
	}
	defer client.Close()
	t := &tailing{admin: p.Admin, in: newIntake(client, p.Admin, 0), stops: []int64{written[tp]}, fn: func(m *Message) error { return fn(m.Key, m.Value) }}
	t.idle = func() {
		if ends, err := p.Admin.ends(ctx, parts); err == nil { // else it is asked again
			t.in.learnEnds(ends)
		}
	}
	t.in.add(lanes)
	return t.run(ctx)
}
