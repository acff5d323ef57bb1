package experiments_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/memory"
)

// simBroker is a broker without network or time: topics, a group's offsets, and
// transactions that are all or nothing.
type simBroker struct {
	topics     map[string][][]mortise.Record // by partition
	committed  map[experiments.TopicPartition]experiments.CommittedOffset
	output     map[string][]simOutput // committed
	partitions int
}

type simOutput struct {
	key, value string
	timeMS     int64
	headers    []experiments.Header
}

func newSimBroker(partitions int) *simBroker {
	return &simBroker{topics: map[string][][]mortise.Record{}, committed: map[experiments.TopicPartition]experiments.CommittedOffset{},
		output: map[string][]simOutput{}, partitions: partitions}
}

func (b *simBroker) topic(name string) [][]mortise.Record {
	if b.topics[name] == nil {
		b.topics[name] = make([][]mortise.Record, b.partitions)
	}
	return b.topics[name]
}

// publish appends one record; partition is what its key hashes to.
func (b *simBroker) publish(topic string, partition int, value string) {
	log := b.topic(topic)
	log[partition] = append(log[partition], mortise.Record{Topic: topic, Partition: int32(partition), Offset: int64(len(log[partition])), Value: []byte(value)})
}

// simTransport is one worker's connection. errKilled comes out of the step at
// which it is told to die, when nothing of the open transaction survives.
type simTransport struct {
	broker *simBroker
	rng    *rand.Rand
	topics []string
	next   map[experiments.TopicPartition]int64
	paused map[experiments.TopicPartition]bool
	fresh  map[experiments.TopicPartition]bool // the next Poll reports them
	open   map[string][]simOutput

	assigned bool
	steps    int  // polls and commits left to live; negative: for ever
	unsure   bool // die after a commit took effect, before the worker hears of it
}

func newSimTransport(b *simBroker, rng *rand.Rand, topics []string) *simTransport {
	return &simTransport{broker: b, rng: rng, topics: topics, steps: -1, unsure: rng.IntN(2) == 0, next: map[experiments.TopicPartition]int64{},
		fresh: map[experiments.TopicPartition]bool{}, open: map[string][]simOutput{}}
}

var errKilled = errors.New("killed by the simulation")

func (t *simTransport) die() bool {
	t.steps--
	return t.steps == 0
}

func (t *simTransport) Assigned() (experiments.Assignment, error) {
	if t.assigned {
		return experiments.Assignment{}, nil
	}
	t.assigned = true
	got := map[experiments.TopicPartition]experiments.CommittedOffset{}
	for _, name := range t.topics {
		for p := range t.broker.topic(name) {
			tp := experiments.TopicPartition{Topic: name, Partition: int32(p)}
			c, ok := t.broker.committed[tp]
			if !ok {
				c.Next = -1
			}
			got[tp] = c
		}
	}
	return experiments.Assignment{Gained: got}, nil
}

func (t *simTransport) Start(offsets map[experiments.TopicPartition]int64) error {
	for tp, off := range offsets {
		t.next[tp], t.fresh[tp] = max(off, 0), true
	}
	return nil
}

func (t *simTransport) Release([]experiments.TopicPartition) error { return nil }

func (t *simTransport) Abort(context.Context) error {
	t.assigned = false
	clear(t.next)
	clear(t.fresh)
	clear(t.open)
	return nil
}

func (t *simTransport) Poll(ctx context.Context, limit int, _ time.Duration) ([]experiments.Fetched, error) {
	if t.die() {
		return nil, errKilled
	}
	var out []experiments.Fetched
	order := slices.SortedFunc(maps.Keys(t.next), func(a, b experiments.TopicPartition) int {
		return int(a.Partition-b.Partition)*2 + map[bool]int{true: 1, false: -1}[a.Topic > b.Topic]
	})
	t.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, tp := range order {
		log := t.broker.topics[tp.Topic][tp.Partition]
		from := t.next[tp]
		n := min(int64(t.rng.IntN(limit+1)), int64(len(log))-from)
		if t.paused[tp] {
			n = 0
		}
		if n == 0 && !t.fresh[tp] {
			continue
		}
		t.next[tp] = from + n
		out = append(out, experiments.Fetched{TopicPartition: tp, Records: slices.Clone(log[from : from+n]), Next: from + n, HighWatermark: int64(len(log))})
	}
	clear(t.fresh)
	return out, ctx.Err()
}

func (t *simTransport) Ends(_ context.Context, parts []experiments.TopicPartition) (map[experiments.TopicPartition]int64, error) {
	ends := map[experiments.TopicPartition]int64{}
	for _, tp := range parts {
		ends[tp] = int64(len(t.broker.topics[tp.Topic][tp.Partition]))
	}
	return ends, nil
}

func (t *simTransport) SetPaused(parts []experiments.TopicPartition) {
	t.paused = map[experiments.TopicPartition]bool{}
	for _, tp := range parts {
		t.paused[tp] = true
	}
}

func (t *simTransport) Produce(o *experiments.Output) error {
	t.open[o.Topic] = append(t.open[o.Topic], simOutput{string(o.Key), string(o.Value), o.TimestampMS, o.Headers})
	return nil
}

func (t *simTransport) Commit(_ context.Context, offsets map[experiments.TopicPartition]experiments.CommittedOffset) error {
	dies := t.die()
	if dies && !t.unsure {
		return errKilled
	}
	for name, rows := range t.open {
		t.broker.output[name] = append(t.broker.output[name], rows...)
	}
	maps.Copy(t.broker.committed, offsets)
	t.open = map[string][]simOutput{}
	if dies {
		return errKilled
	}
	return nil
}

func (t *simTransport) Close() error { return nil }

// simStates keeps tasks' state over restarts of a worker, as a disk does.
type simStates struct {
	mu    sync.Mutex
	disks map[string]*memory.Disk
}

func (s *simStates) Open(task string, opts joiner.StoreOptions) (joiner.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.disks[task] == nil {
		s.disks[task] = memory.New()
	}
	return s.disks[task].Open(opts)
}

func (s *simStates) Reset(task string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.disks, task)
	return nil
}

func (s *simStates) Close() error { return nil }
