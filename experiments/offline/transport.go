// Package offline runs pipelines over recorded files, without a broker: a
// Transport of one partition a topic whose output goes to a function. It stands
// at both ends of stage 6, as experiments/kafka does; `mortise debug` uses it.
package offline

import (
	"context"
	"errors"
	"io"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// Transport reads merged files as if their lines came from topics. One
// goroutine uses it.
type Transport struct {
	merged  *recorded.Merged
	streams []string // topic per stream of merged
	topics  []string // all that the pipeline reads
	produce func(*experiments.Output) error

	next    map[string]int64
	byTopic map[string]int // index in batch
	batch   []experiments.Fetched
	arena   []byte
	fresh   bool
	done    chan struct{}
	ended   bool

	assigned bool
	started  bool // nothing is read before: there is nobody yet to take it
}

// New makes a transport: streams names the topic of each stream of merged,
// topics all that the pipeline reads, produce takes what it puts out.
func New(merged *recorded.Merged, streams, topics []string, produce func(*experiments.Output) error) *Transport {
	return &Transport{merged: merged, streams: streams, topics: topics, produce: produce,
		next: map[string]int64{}, byTopic: map[string]int{}, done: make(chan struct{}), fresh: true}
}

// InputDone is closed when the files have been read to their end.
func (t *Transport) InputDone() <-chan struct{} { return t.done }

// Assigned implements experiments.Transport: partition 0 of every topic, nothing
// committed, once.
func (t *Transport) Assigned() (experiments.Assignment, error) {
	if t.assigned {
		return experiments.Assignment{}, nil
	}
	t.assigned = true
	owned := map[experiments.TopicPartition]experiments.CommittedOffset{}
	for _, name := range t.topics {
		owned[experiments.TopicPartition{Topic: name}] = experiments.CommittedOffset{Next: -1}
	}
	return experiments.Assignment{Gained: owned}, nil
}

// Start implements experiments.Transport; files are read from their beginning.
func (t *Transport) Start(map[experiments.TopicPartition]int64) error {
	t.started = true
	return nil
}

// Release implements experiments.Transport; nothing is ever revoked.
func (t *Transport) Release([]experiments.TopicPartition) error { return nil }

// Abort implements experiments.Transport. What was put out cannot be taken back.
func (t *Transport) Abort(context.Context) error {
	return errors.New("a run over files cannot begin again in the middle: run it anew")
}

// Poll implements experiments.Transport.
func (t *Transport) Poll(ctx context.Context, maxRecords int, wait time.Duration) ([]experiments.Fetched, error) {
	if !t.started {
		return nil, ctx.Err()
	}
	if t.ended {
		Rest(ctx, wait)
	}
	t.batch, t.arena = t.batch[:0], t.arena[:0]
	clear(t.byTopic)
	if t.fresh {
		for _, name := range t.topics {
			t.of(name)
		}
		t.fresh = false
	}
	for n := 0; n < maxRecords && !t.ended; n++ {
		ev, err := t.merged.Next()
		if errors.Is(err, io.EOF) {
			t.ended = true
			close(t.done)
			break
		}
		if err != nil {
			return nil, err
		}
		t.add(t.streams[ev.Stream], ev.Data)
	}
	for i := range t.batch {
		f := &t.batch[i]
		f.Next = t.next[f.Topic]
		f.HighWatermark = f.Next
		if !t.ended {
			f.HighWatermark++ // more may come
		}
	}
	return t.batch, ctx.Err()
}

func (t *Transport) of(topic string) *experiments.Fetched {
	i, ok := t.byTopic[topic]
	if !ok {
		i = len(t.batch)
		t.byTopic[topic] = i
		t.batch = append(t.batch, experiments.Fetched{TopicPartition: experiments.TopicPartition{Topic: topic}})
	}
	return &t.batch[i]
}

func (t *Transport) add(topic string, line []byte) {
	f := t.of(topic)
	from := len(t.arena)
	t.arena = append(t.arena, line...)
	f.Records = append(f.Records, mortise.Record{Topic: topic, Offset: t.next[topic], Value: t.arena[from:len(t.arena):len(t.arena)]})
	t.next[topic]++
}

// Ends implements experiments.Transport.
func (t *Transport) Ends(_ context.Context, parts []experiments.TopicPartition) (map[experiments.TopicPartition]int64, error) {
	ends := map[experiments.TopicPartition]int64{}
	for _, tp := range parts {
		ends[tp] = t.next[tp.Topic]
	}
	return ends, nil
}

// SetPaused implements experiments.Transport; merged files do not run ahead of one another.
func (t *Transport) SetPaused([]experiments.TopicPartition) {}

// Produce implements experiments.Transport.
func (t *Transport) Produce(out *experiments.Output) error { return t.produce(out) }

// Commit implements experiments.Transport: nothing outlives the run.
func (t *Transport) Commit(context.Context, map[experiments.TopicPartition]experiments.CommittedOffset) error {
	return nil
}

// Close implements experiments.Transport.
func (t *Transport) Close() error { return nil }
