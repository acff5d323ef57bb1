package kafka

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
)

// PublisherOptions makes a Publisher.
type PublisherOptions struct {
	Connection
	// Topics are those that are published to. They must exist.
	Topics []string
	// Progress, when set, is called from Publish and Flush, at most ten times a
	// second and once at the end of Flush, with the records published so far by
	// topic. The map is the callback's to read until it returns.
	Progress func(published map[string]int64)
	// Resume, when set, says by topic what its partitions hold already of what
	// is published, from the first record on: that much is passed over.
	Resume map[string][]Published
	// BufferBytes bounds what is published and not yet acknowledged. The default
	// is 16 MiB.
	BufferBytes int
}

const progressEvery = 100 * time.Millisecond

// Publisher writes recorded events to topics, as the producers that once made
// them would have: by Kafka's default partitioner, with the event time as
// timestamp where the topic takes it, each once and in order. One goroutine uses it.
type Publisher struct {
	client   *kgo.Client
	out      *outbox
	row      experiments.Output
	lanes    map[string]*outLane
	counts   map[string]int64
	progress func(map[string]int64)
	told     time.Time
	untold   int
}

// OpenPublisher connects. Errors: *ConnectError, *MissingTopicError.
func OpenPublisher(ctx context.Context, o PublisherOptions) (*Publisher, error) {
	setDefault(&o.BufferBytes, 16<<20)
	admin, err := OpenAdmin(ctx, o.Connection)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	found, err := admin.describe(ctx, o.Topics)
	if err != nil {
		return nil, err
	}
	lanes := make(map[string]*outLane, len(found))
	for topic, d := range found {
		there := o.Resume[topic]
		if there != nil && len(there) != len(d.Partitions) {
			return nil, fmt.Errorf("topic %s has %d partitions, and had %d when publishing to it began", topic, len(d.Partitions), len(there))
		}
		lanes[topic] = &outLane{partitions: len(d.Partitions), there: there, met: make([]Published, len(there))}
	}
	limits, err := admin.limits(ctx, o.Topics)
	if err != nil {
		return nil, err
	}
	opts, err := o.options(append(producerOptions(limits), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(10*time.Millisecond))...)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("configuring the Kafka client: %w", err)
	}
	return &Publisher{client: client, out: newOutbox(client, limits, o.BufferBytes), lanes: lanes, counts: map[string]int64{},
		progress: o.Progress, told: time.Now()}, nil
}

// Publish buffers one record; key and value are copied. A nil key spreads
// records over the partitions in turn. It waits while the buffer is full.
// Failures of earlier records surface in Flush. Errors: *TooLargeError, after
// which the record is left out and publishing can go on; ErrPublishedOther.
func (p *Publisher) Publish(topic string, key, value []byte, timeMS int64) error {
	p.row.Topic, p.row.Key, p.row.Value, p.row.TimestampMS = topic, key, value, timeMS
	if err := p.out.fits(&p.row); err != nil {
		return err
	}
	l := p.lanes[topic]
	partition := l.choose(key)
	there, err := l.passOver(partition, key, value)
	if err != nil {
		return fmt.Errorf("going on with topic %s, partition %d: %w", topic, partition, err)
	}
	if there {
		return nil
	}
	if err := p.out.send(&p.row, int32(partition)); err != nil {
		return err
	}
	p.counts[topic]++
	if p.untold++; p.untold >= 1024 {
		p.tell(false)
	}
	return nil
}

// Flush waits until everything published is acknowledged, and returns the first
// failure there was.
func (p *Publisher) Flush(ctx context.Context) error {
	if err := p.client.Flush(ctx); err != nil {
		return fmt.Errorf("waiting for the brokers to take what was published: %w", err)
	}
	p.tell(true)
	return p.out.takeErr()
}

// Resumed returns nil once all that Resume told of has been passed over.
func (p *Publisher) Resumed() error {
	for topic, l := range p.lanes {
		if !l.done() {
			return fmt.Errorf("going on with topic %s: %w", topic, ErrPublishedOther)
		}
	}
	return nil
}

// Counts returns how many records were published, by topic: those that were
// passed over do not count.
func (p *Publisher) Counts() map[string]int64 { return maps.Clone(p.counts) }

// Close disconnects. What is not flushed may be lost.
func (p *Publisher) Close() { p.client.Close() }

func (p *Publisher) tell(last bool) {
	p.untold = 0
	if p.progress == nil || !last && time.Since(p.told) < progressEvery {
		return
	}
	p.told = time.Now()
	p.progress(p.counts)
}
