package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
)

// Message is one committed record of a topic, with all that it carries. Its
// slices are valid until the callback that got it returns.
type Message struct {
	experiments.TopicPartition
	Offset      int64
	TimestampMS int64
	Key, Value  []byte // a nil Value is a tombstone
	Headers     []experiments.Header
}

// Tail calls fn for every committed record of topic from its beginning, in order
// within a partition, the partitions as they come. With untilEnd it returns once
// it has read up to where the topic ended when Tail was called; without, when
// ctx is done, with its error. An error of fn ends it and is returned as it is.
// Errors: *ConnectError, *MissingTopicError.
func Tail(ctx context.Context, c Connection, topic string, untilEnd bool, fn func(*Message) error) error {
	admin, err := OpenAdmin(ctx, c)
	if err != nil {
		return err
	}
	defer admin.Close()
	lanes, err := admin.wholeTopic(ctx, topic)
	if err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.Close()
	t := &tailing{admin: admin, in: newIntake(client, admin, 0), fn: fn}
	t.in.add(lanes)
	if untilEnd {
		for _, l := range lanes {
			t.stops = append(t.stops, l.end)
		}
	}
	return t.run(ctx)
}

// wholeTopic places a reader at the beginning of every partition.
func (a *Admin) wholeTopic(ctx context.Context, topic string) ([]*lane, error) {
	counts, err := a.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	from := map[experiments.TopicPartition]int64{}
	for p := range counts[topic] {
		from[experiments.TopicPartition{Topic: topic, Partition: p}] = experiments.OffsetEarliest
	}
	return a.lanes(ctx, from)
}

type tailing struct {
	admin *Admin
	in    *intake
	stops []int64 // the offset each lane stops at; nil to go on for ever
	fn    func(*Message) error
	idle  func() // called when nothing comes; may be nil
	msg   Message
}

func (t *tailing) run(ctx context.Context) error {
	for !t.done() {
		wait, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
		err := t.in.fill(wait)
		idle := wait.Err() != nil
		cancel()
		if err == nil {
			err = t.drain()
		}
		if err == nil && idle && t.idle != nil {
			t.idle()
		}
		if err == nil && idle {
			t.in.skipInvisible(t.admin)
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

func (t *tailing) done() bool {
	for i, stop := range t.stops {
		if t.in.lanes[i].next < stop {
			return false
		}
	}
	return t.stops != nil
}

// drain hands on what was fetched, of each lane up to where it stops.
func (t *tailing) drain() error {
	for i, l := range t.in.lanes {
		for _, records := range l.queue {
			for _, r := range records {
				if i < len(t.stops) && r.Offset >= t.stops[i] {
					l.next = t.stops[i] // whatever lay before it, this is behind it
					break
				}
				l.next = r.Offset + 1
				if r.Attrs.IsControl() {
					continue
				}
				if err := t.fn(t.message(l, r)); err != nil {
					return err
				}
			}
		}
		l.queue, l.count = nil, 0
	}
	return nil
}

func (t *tailing) message(l *lane, r *kgo.Record) *Message {
	t.msg = Message{TopicPartition: l.tp, Offset: r.Offset, TimestampMS: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value,
		Headers: t.msg.Headers[:0]}
	for _, h := range r.Headers {
		t.msg.Headers = append(t.msg.Headers, experiments.Header{Key: h.Key, Value: h.Value})
	}
	return &t.msg
}
