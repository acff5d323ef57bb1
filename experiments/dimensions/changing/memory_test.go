package changing

import (
	"context"
	"errors"
	"math"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
)

var errFault = errors.New("injected")

// memory is a table with history that may fail.
type memory struct {
	rows     map[string]map[int64]mortise.Row
	notes    map[string][]byte
	position map[string][]byte
	faults   func() (before, after bool) // of a write

	applied int // changes of versions
}

func newMemory() *memory {
	return &memory{rows: map[string]map[int64]mortise.Row{}, notes: map[string][]byte{}, position: map[string][]byte{}}
}

func (m *memory) Read(_ context.Context, lookups []dimjoin.Lookup) error {
	for i := range lookups {
		l := &lookups[i]
		l.FromMS, l.ToMS = math.MinInt64, math.MaxInt64
		for from, row := range m.rows[string(l.Key)] {
			if from <= l.AsOfMS && from >= l.FromMS {
				l.FromMS, l.Row = from, row
			}
			if from > l.AsOfMS {
				l.ToMS = min(l.ToMS, from)
			}
		}
	}
	return nil
}

func (m *memory) Notes(_ context.Context, keys [][]byte) ([][]byte, error) {
	out := make([][]byte, len(keys))
	for i, k := range keys {
		out[i] = m.notes[string(k)]
	}
	return out, nil
}

func (m *memory) Position(_ context.Context, name string) ([]byte, error) {
	return m.position[name], nil
}

func (m *memory) Apply(_ context.Context, c *dimjoin.Commit) error {
	before, after := false, false
	if m.faults != nil {
		before, after = m.faults()
	}
	if before {
		return errFault
	}
	m.put(c.Records)
	for _, n := range c.Notes {
		m.notes[string(n.Key)] = n.Value
	}
	m.position[c.Name] = c.Position
	if after {
		return errFault
	}
	return nil
}

func (m *memory) put(records []dimjoin.Record) {
	for _, r := range records {
		if m.rows[string(r.Key)] == nil {
			m.rows[string(r.Key)] = map[int64]mortise.Row{}
		}
		m.rows[string(r.Key)][r.FromMS] = r.Row
		m.applied++
	}
}

func (m *memory) Close() error { return nil }

// latest is a table of the latest rows that may fail.
type latest struct {
	rows   map[string]mortise.Row
	faults func() bool
}

func (l *latest) Read(_ context.Context, lookups []dimjoin.Lookup) error {
	if l.faults != nil && l.faults() {
		return errFault
	}
	for i := range lookups {
		lookups[i].Row = l.rows[string(lookups[i].Key)]
	}
	return nil
}

func (l *latest) Write(_ context.Context, records []dimjoin.Record) error {
	for _, r := range records {
		if l.faults != nil && l.faults() {
			return errFault
		}
		l.rows[string(r.Key)] = r.Row
	}
	return nil
}

func (l *latest) Close() error { return nil }

// topic is a topic in memory, and a Log and a Transport over it.
type topic struct {
	name  string
	parts [][]mortise.Record
	next  map[int32]int64
	ended func() // called once everything has been read

	first     int64
	committed map[int32]int64
	assigned  bool
	fail      func() error // of Poll
}

func newTopic(name string, partitions int) *topic {
	return &topic{name: name, parts: make([][]mortise.Record, partitions), committed: map[int32]int64{}}
}

func (t *topic) add(partition int, key, value string) {
	p := &t.parts[partition]
	rec := mortise.Record{Topic: t.name, Partition: int32(partition), Offset: int64(len(*p)), Value: []byte(value)}
	if key != "" {
		rec.Key = []byte(key)
	}
	*p = append(*p, rec)
}

func (t *topic) Partitions() (all []experiments.TopicPartition) {
	for p := range t.parts {
		all = append(all, experiments.TopicPartition{Topic: t.name, Partition: int32(p)})
	}
	return all
}

func (t *topic) Starts(context.Context) (map[experiments.TopicPartition]int64, error) {
	out := map[experiments.TopicPartition]int64{}
	for _, tp := range t.Partitions() {
		out[tp] = t.first
	}
	return out, nil
}

func (t *topic) Start(offsets map[experiments.TopicPartition]int64) error {
	t.next = map[int32]int64{}
	for tp, next := range offsets {
		if next >= 0 && next < t.first {
			return &experiments.GapError{Gaps: []experiments.Gap{{TopicPartition: tp, Need: next, First: t.first}}}
		}
		t.next[tp.Partition] = max(next, t.first)
	}
	return nil
}

func (t *topic) Ends(context.Context) (map[experiments.TopicPartition]int64, error) {
	out := map[experiments.TopicPartition]int64{}
	for _, tp := range t.Partitions() {
		out[tp] = int64(len(t.parts[tp.Partition]))
	}
	return out, nil
}

func (t *topic) Poll(ctx context.Context, most int, _ time.Duration) (out []experiments.Fetched, err error) {
	if t.fail != nil {
		if err := t.fail(); err != nil {
			return nil, err
		}
	}
	all := true
	for _, tp := range t.Partitions() {
		next, ok := t.next[tp.Partition]
		if !ok {
			continue
		}
		p := t.parts[tp.Partition]
		end := min(next+int64(most), int64(len(p)))
		f := experiments.Fetched{TopicPartition: tp, Next: end, HighWatermark: int64(len(p))}
		f.Records = append(f.Records, p[next:end]...)
		t.next[tp.Partition] = end
		all = all && end == int64(len(p))
		out = append(out, f)
	}
	if all && t.ended != nil {
		t.ended()
	}
	return out, ctx.Err()
}

// What follows makes it a Transport with one member.

func (t *topic) Assigned() (experiments.Assignment, error) {
	if t.assigned {
		return experiments.Assignment{}, nil
	}
	t.assigned = true
	gained := map[experiments.TopicPartition]experiments.CommittedOffset{}
	for _, tp := range t.Partitions() {
		next, ok := t.committed[tp.Partition]
		if !ok {
			next = -1
		}
		gained[tp] = experiments.CommittedOffset{Next: next}
	}
	return experiments.Assignment{Gained: gained}, nil
}

func (t *topic) Commit(_ context.Context, offsets map[experiments.TopicPartition]experiments.CommittedOffset) error {
	for tp, at := range offsets {
		t.committed[tp.Partition] = at.Next
	}
	return nil
}

func (t *topic) isCommitted() bool {
	for p := range t.parts {
		if t.committed[int32(p)] != int64(len(t.parts[p])) {
			return false
		}
	}
	return true
}

func (t *topic) Abort(context.Context) error {
	t.assigned = false
	return nil
}

// transport is the topic as a Transport, whose Ends takes partitions.
type transport struct{ *topic }

func (t transport) Ends(ctx context.Context, _ []experiments.TopicPartition) (map[experiments.TopicPartition]int64, error) {
	return t.topic.Ends(ctx)
}
func (t transport) Release([]experiments.TopicPartition) error   { return nil }
func (t transport) SetPaused(parts []experiments.TopicPartition) {}
func (t transport) Produce(*experiments.Output) error            { return nil }
func (t transport) Close() error                                 { return nil }
