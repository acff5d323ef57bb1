package simulation

import (
	"fmt"
	"maps"
	"slices"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
)

// Options say how a broker behaves. Durations without a value are none.
type Options struct {
	Partitions  int32
	Inputs      []string
	ExactlyOnce bool
	// SessionTimeout is when the group gives up a silent member, RebalanceTimeout
	// how long it waits for partitions that it wants back.
	SessionTimeout, RebalanceTimeout time.Duration
	// TransactionTimeout is when an open transaction is aborted.
	TransactionTimeout time.Duration
	// MarkerDelay is how long the end of a transaction may take to show.
	MarkerDelay time.Duration
	// FaultEvery makes one call in so many fail with ErrRebalanced, with the
	// commit done or not; 0 none.
	FaultEvery int
	// LargestLetter is how many bytes a topic in Letters takes; 0 any.
	LargestLetter int
	Letters       []string
	// Sticky rebalances move no more than they must; others deal partitions anew.
	Sticky bool
}

// Broker is a broker with one consumer group. It belongs to whoever has the turn.
type Broker struct {
	// OnCommit, where set, sees what becomes readable, as it does.
	OnCommit func(*Committed)

	schedule  *Schedule
	opts      Options
	topics    map[string][]*log
	committed map[experiments.TopicPartition]experiments.CommittedOffset
	output    map[string][]experiments.Output
	txns      map[string]*transaction // per producer: open, or ended and not shown yet
	group     group
	broken    []error
}

// Committed is what one transaction, or without transactions one flush, made readable.
type Committed struct {
	By      string
	Rows    []experiments.Output
	Offsets map[experiments.TopicPartition]experiments.CommittedOffset
}

// log is one partition of an input.
type log struct {
	first, end int64 // offsets
	stable     int64 // what readers see ends here
	records    []mortise.Record
}

// NewBroker makes a broker with empty inputs.
func (s *Schedule) NewBroker(o Options) *Broker {
	b := &Broker{schedule: s, opts: o, topics: map[string][]*log{}, committed: map[experiments.TopicPartition]experiments.CommittedOffset{},
		output: map[string][]experiments.Output{}, txns: map[string]*transaction{}}
	b.group.init(b)
	for _, name := range o.Inputs {
		for range o.Partitions {
			b.topics[name] = append(b.topics[name], &log{})
		}
	}
	return b
}

// Publish appends a record, readable once Show is called for its partition.
func (b *Broker) Publish(topic string, partition int32, value []byte, headers ...mortise.Header) (offset int64) {
	l := b.topics[topic][partition]
	l.records = append(l.records, mortise.Record{Topic: topic, Partition: partition, Offset: l.end, Value: value, Headers: headers})
	l.end++
	return l.end - 1
}

// Skip uses offsets up without records, as markers, aborted transactions and
// compaction do.
func (b *Broker) Skip(topic string, partition int32, offsets int64) {
	b.topics[topic][partition].end += offsets
}

// Show lets readers see all that was published to a partition so far.
func (b *Broker) Show(topic string, partition int32) {
	l := b.topics[topic][partition]
	l.stable = l.end
}

// Truncate removes the records of a partition before an offset.
func (b *Broker) Truncate(topic string, partition int32, first int64) {
	l := b.topics[topic][partition]
	l.first = max(l.first, min(first, l.stable))
	i, _ := slices.BinarySearchFunc(l.records, l.first, func(r mortise.Record, off int64) int { return int(r.Offset - off) })
	l.records = slices.Delete(l.records, 0, i)
}

// EndOf is the offset behind the last record of a partition that readers see.
func (b *Broker) EndOf(tp experiments.TopicPartition) int64 {
	return b.topics[tp.Topic][tp.Partition].stable
}

// WrittenEnd is where a partition ends, what readers do not see yet included.
func (b *Broker) WrittenEnd(tp experiments.TopicPartition) int64 {
	return b.topics[tp.Topic][tp.Partition].end
}

// NextRecord returns the offset of the first record that readers see of a
// partition from an offset on, or where it ends for them.
func (b *Broker) NextRecord(tp experiments.TopicPartition, from int64) int64 {
	l := b.topics[tp.Topic][tp.Partition]
	for i := range l.records {
		if off := l.records[i].Offset; off >= from && off < l.stable {
			return off
		}
	}
	return max(from, l.stable)
}

// Output returns the committed records of a topic in the order they became readable.
func (b *Broker) Output(topic string) []experiments.Output { return b.output[topic] }

// CommittedOffset returns what the group has committed, Next -1 when nothing.
func (b *Broker) CommittedOffset(tp experiments.TopicPartition) experiments.CommittedOffset {
	if c, ok := b.committed[tp]; ok {
		return c
	}
	return experiments.CommittedOffset{Next: -1}
}

// Idle reports whether the group has no members, not even dead ones that it
// still waits for, and every transaction's end shows.
func (b *Broker) Idle() bool { return len(b.group.members) == 0 && len(b.txns) == 0 }

// Broken returns how workers broke the rules that a broker can see.
func (b *Broker) Broken() []error { return b.broken }

func (b *Broker) breach(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	b.schedule.Tracef("breach: %v", err)
	b.broken = append(b.broken, err)
}

// transaction is one producer's, from its first record to its markers.
type transaction struct {
	id      string
	state   state
	rows    []experiments.Output
	offsets map[experiments.TopicPartition]experiments.CommittedOffset
}

type state uint8

const (
	open state = iota
	committed
	aborted
)

// begin opens a producer's transaction, which must have none.
func (b *Broker) begin(id string) *transaction {
	t := &transaction{id: id}
	b.txns[id] = t
	b.schedule.Plan(b.opts.TransactionTimeout, "", func() {
		if t.state == open {
			b.schedule.Tracef("the transaction of %s has timed out", id)
			b.end(t, aborted)
		}
	})
	return t
}

// end decides a transaction. It shows when its markers are written.
func (b *Broker) end(t *transaction, as state) {
	if t.state != open {
		return
	}
	t.state = as
	show := func() {
		delete(b.txns, t.id)
		if as == committed {
			b.show(t.id, t.rows, t.offsets)
		}
	}
	if b.opts.MarkerDelay == 0 || b.schedule.Rand.IntN(3) > 0 {
		show()
		return
	}
	b.schedule.Plan(b.schedule.Between(0, b.opts.MarkerDelay), "markers of "+t.id, show)
}

// show makes records readable and offsets the group's.
func (b *Broker) show(by string, rows []experiments.Output, offsets map[experiments.TopicPartition]experiments.CommittedOffset) {
	for i := range rows {
		b.output[rows[i].Topic] = append(b.output[rows[i].Topic], rows[i])
	}
	for tp, c := range offsets {
		if was, ok := b.committed[tp]; ok && c.Next < was.Next {
			b.breach("%s commits offset %d of %s[%d], where %d was", by, c.Next, tp.Topic, tp.Partition, was.Next)
		}
	}
	maps.Copy(b.committed, offsets)
	if b.OnCommit != nil {
		b.OnCommit(&Committed{by, rows, offsets})
	}
}

// isStable reports whether no transaction that may yet commit holds offsets of a
// partition number.
func (b *Broker) isStable(partition int32) bool {
	for _, t := range b.txns {
		for tp := range t.offsets {
			if tp.Partition == partition && t.state != aborted {
				return false
			}
		}
	}
	return true
}
