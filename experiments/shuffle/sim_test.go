package shuffle_test

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

// broker is one without network or time: logs of partitions, groups' offsets,
// and transactions that are all or nothing. One goroutine at a time uses it.
type broker struct {
	logs      map[string][][]mortise.Record // committed, by topic and partition
	committed map[string]map[experiments.TopicPartition]experiments.CommittedOffset
	held      map[experiments.TopicPartition]bool // not to be read for now
}

func newBroker() *broker {
	return &broker{logs: map[string][][]mortise.Record{}, committed: map[string]map[experiments.TopicPartition]experiments.CommittedOffset{}, held: map[experiments.TopicPartition]bool{}}
}

func (b *broker) create(topic string, partitions int) {
	if b.logs[topic] == nil {
		b.logs[topic] = make([][]mortise.Record, partitions)
	}
}

func (b *broker) append(topic string, partition int, rec mortise.Record) {
	log := b.logs[topic]
	rec.Topic, rec.Partition, rec.Offset = topic, int32(partition), int64(len(log[partition]))
	log[partition] = append(log[partition], rec)
}

// values returns the values of a topic's records, sorted.
func (b *broker) values(topic string) (all []string) {
	for _, log := range b.logs[topic] {
		for i := range log {
			all = append(all, string(log[i].Value))
		}
	}
	slices.Sort(all)
	return all
}

// done reports whether the group has read its topic to the end.
func (b *broker) done(group, topic string) bool {
	for p, log := range b.logs[topic] {
		if c, ok := b.committed[group][experiments.TopicPartition{Topic: topic, Partition: int32(p)}]; len(log) > 0 && (!ok || c.Next < int64(len(log))) {
			return false
		}
	}
	return true
}

// scheduler runs members one at a time: each from one poll to its next.
type scheduler struct {
	back chan struct{}
	now  time.Time
}

// member is something that runs over a transport.
type member struct {
	resume chan struct{}
	ended  bool
	err    error
}

func (s *scheduler) start(run func(m *member) error) *member {
	m := &member{resume: make(chan struct{})}
	go func() {
		<-m.resume
		m.err = run(m)
		m.ended = true
		s.back <- struct{}{}
	}()
	return m
}

// turn lets m run to its next poll, or its end.
func (s *scheduler) turn(m *member) {
	s.now = s.now.Add(20 * time.Millisecond)
	m.resume <- struct{}{}
	<-s.back
}

var errKilled = errors.New("killed by the simulation")

// transport is one member's connection, which owns the partitions for which
// owns says so.
type transport struct {
	*broker
	sched  *scheduler
	member *member
	rng    *rand.Rand
	group  string
	topics []string
	owns   func(partition int32) bool

	next     map[experiments.TopicPartition]int64
	paused   []experiments.TopicPartition
	fresh    map[experiments.TopicPartition]bool
	open     []experiments.Output
	assigned bool
	lose     bool // the assignment, at the next commit
	steps    int  // polls and commits left to live; negative: for ever
	unsure   bool // die after a commit took effect, before the member hears of it
}

func (t *transport) die() bool {
	t.steps--
	return t.steps == 0
}

func (t *transport) Assigned() (experiments.Assignment, error) {
	if t.assigned {
		return experiments.Assignment{}, nil
	}
	t.assigned = true
	t.next, t.fresh, t.open = map[experiments.TopicPartition]int64{}, map[experiments.TopicPartition]bool{}, nil
	got := map[experiments.TopicPartition]experiments.CommittedOffset{}
	for _, topic := range t.topics {
		for p := range t.logs[topic] {
			tp := experiments.TopicPartition{Topic: topic, Partition: int32(p)}
			c, ok := t.committed[t.group][tp]
			if !ok {
				c.Next = -1
			}
			if t.owns == nil || t.owns(int32(p)) {
				got[tp] = c
			}
		}
	}
	return experiments.Assignment{Gained: got}, nil
}

func (t *transport) Start(offsets map[experiments.TopicPartition]int64) error {
	for tp, off := range offsets {
		if off == experiments.OffsetLatest {
			off = int64(len(t.logs[tp.Topic][tp.Partition]))
		}
		t.next[tp], t.fresh[tp] = max(off, 0), true
	}
	return nil
}

func (t *transport) Release([]experiments.TopicPartition) error { return nil }

func (t *transport) Abort(context.Context) error {
	t.assigned = false
	return nil
}

func (t *transport) Poll(ctx context.Context, limit int, _ time.Duration) ([]experiments.Fetched, error) {
	t.sched.back <- struct{}{}
	<-t.member.resume
	if t.die() {
		return nil, errKilled
	}
	order := slices.SortedFunc(maps.Keys(t.next), func(a, b experiments.TopicPartition) int {
		if a.Topic != b.Topic {
			return map[bool]int{true: 1, false: -1}[a.Topic > b.Topic]
		}
		return int(a.Partition - b.Partition)
	})
	t.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	var out []experiments.Fetched
	for _, tp := range order {
		log, from := t.logs[tp.Topic][tp.Partition], t.next[tp]
		n := min(int64(t.rng.IntN(limit+1)), int64(len(log))-from)
		if t.held[tp] || slices.Contains(t.paused, tp) {
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

func (t *transport) Ends(_ context.Context, parts []experiments.TopicPartition) (map[experiments.TopicPartition]int64, error) {
	ends := map[experiments.TopicPartition]int64{}
	for _, tp := range parts {
		ends[tp] = int64(len(t.logs[tp.Topic][tp.Partition]))
	}
	return ends, nil
}

func (t *transport) SetPaused(parts []experiments.TopicPartition) { t.paused = slices.Clone(parts) }

func (t *transport) Produce(o *experiments.Output) error {
	kept := *o
	kept.Key, kept.Value, kept.Headers = slices.Clone(o.Key), slices.Clone(o.Value), slices.Clone(o.Headers)
	for i := range kept.Headers {
		kept.Headers[i].Value = slices.Clone(kept.Headers[i].Value)
	}
	t.open = append(t.open, kept)
	return nil
}

func (t *transport) Commit(_ context.Context, offsets map[experiments.TopicPartition]experiments.CommittedOffset) error {
	if t.lose && t.rng.IntN(10) == 0 {
		return experiments.ErrRebalanced
	}
	dies := t.die()
	if dies && !t.unsure {
		return errKilled
	}
	for i := range t.open {
		o := &t.open[i]
		t.create(o.Topic, 1)
		p := experiments.PartitionOf(o.Key, len(t.logs[o.Topic]))
		t.append(o.Topic, p, mortise.Record{TimestampMS: o.TimestampMS, Key: o.Key, Value: o.Value, Headers: o.Headers})
	}
	t.open = nil
	if t.committed[t.group] == nil {
		t.committed[t.group] = map[experiments.TopicPartition]experiments.CommittedOffset{}
	}
	maps.Copy(t.committed[t.group], offsets)
	if dies {
		return errKilled
	}
	return nil
}

func (t *transport) Close() error { return nil }

// states keeps tasks' state over restarts of a worker, as a disk does.
type states struct {
	mu    sync.Mutex
	disks map[string]*memory.Disk
}

func (s *states) Open(task string, opts joiner.StoreOptions) (joiner.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.disks[task] == nil {
		s.disks[task] = memory.New()
	}
	return s.disks[task].Open(opts)
}

func (s *states) Reset(task string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.disks, task)
	return nil
}

func (s *states) Close() error { return nil }
