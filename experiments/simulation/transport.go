package simulation

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
)

// Transport is one process's connection to a Broker. It does whatever the
// contract of experiments.Transport allows, as inconveniently as it allows it.
type Transport struct {
	broker   *Broker
	process  *Process
	producer string // its transactional id
	instance string

	member  *member
	lost    bool // until Abort
	changed bool // there is something for Assigned to tell
	next    map[experiments.TopicPartition]int64
	fresh   map[experiments.TopicPartition]bool // the next Poll reports them
	paused  map[experiments.TopicPartition]bool
	lent    [][]byte // what the last Poll lent

	txn *transaction
	out []experiments.Output // without transactions: produced and not flushed
}

var _ experiments.Transport = (*Transport)(nil)

// Connect makes a connection that joins the group. What an earlier holder of the
// producer's name left open is aborted; an instance's earlier holder is replaced.
func (b *Broker) Connect(p *Process, producer, instance string) *Transport {
	t := &Transport{broker: b, process: p, producer: producer, instance: instance}
	t.reset()
	if left := b.txns[producer]; left != nil {
		b.end(left, aborted)
	}
	t.member = b.group.join(t, instance)
	t.changed = true
	return t
}

func (t *Transport) reset() {
	t.next, t.fresh, t.paused = map[experiments.TopicPartition]int64{}, map[experiments.TopicPartition]bool{}, map[experiments.TopicPartition]bool{}
}

// call is a request to the broker. It may find out that all is lost.
func (t *Transport) call(what string) error {
	if err := t.process.Request(what); err != nil {
		return err
	}
	return t.check()
}

// check reports that the assignment is lost, or makes it so.
func (t *Transport) check() error {
	if t.process.Dead() {
		return ErrKilled
	}
	if !t.lost && (t.member.gone || t.broker.schedule.Chance(t.broker.opts.FaultEvery)) {
		t.lost = true
		t.broker.schedule.Tracef("%s hears that all is lost", t.process.Name)
	}
	if t.lost {
		return experiments.ErrRebalanced
	}
	return nil
}

// Assigned implements experiments.Transport.
func (t *Transport) Assigned() (experiments.Assignment, error) {
	if err := t.process.Turn("assigned", 0); err != nil {
		return experiments.Assignment{}, err
	}
	if t.lost || t.member.gone {
		t.lost = true
		return experiments.Assignment{}, experiments.ErrRebalanced
	}
	if !t.changed || t.broker.schedule.Chance(4) {
		return experiments.Assignment{}, nil
	}
	a, complete := t.broker.group.changes(t.member)
	t.changed = !complete
	return a, nil
}

// Start implements experiments.Transport.
func (t *Transport) Start(offsets map[experiments.TopicPartition]int64) error {
	if err := t.call("start"); err != nil {
		return err
	}
	gaps := &experiments.GapError{}
	at := map[experiments.TopicPartition]int64{}
	for _, tp := range sortedParts(maps.Keys(offsets)) {
		if own := t.member.parts[tp.Partition]; own == nil || !own.told {
			t.broker.breach("%s starts %s[%d], which is not its own", t.process.Name, tp.Topic, tp.Partition)
		}
		l, off := t.broker.topics[tp.Topic][tp.Partition], offsets[tp]
		switch {
		case off == experiments.OffsetEarliest:
			off = l.first
		case off == experiments.OffsetLatest:
			off = l.stable
		case off < l.first:
			gaps.Gaps = append(gaps.Gaps, experiments.Gap{TopicPartition: tp, Need: off, First: l.first})
		case off > l.end:
			gaps.Gaps = append(gaps.Gaps, experiments.Gap{TopicPartition: tp, Need: off, First: l.first, Recreate: true})
		}
		at[tp] = off
	}
	if len(gaps.Gaps) > 0 {
		return gaps
	}
	for tp, off := range at {
		t.next[tp], t.fresh[tp] = off, true
	}
	return nil
}

// Release implements experiments.Transport.
func (t *Transport) Release(parts []experiments.TopicPartition) error {
	if err := t.call("release"); err != nil {
		return err
	}
	for _, tp := range parts {
		delete(t.next, tp)
		delete(t.fresh, tp)
		if tp.Topic != parts[0].Topic {
			continue // partitions of one number go together
		}
		if own := t.member.parts[tp.Partition]; own == nil || !own.toldBack {
			t.broker.breach("%s releases partition %d, which it was not asked for", t.process.Name, tp.Partition)
			continue
		}
		t.broker.schedule.Tracef("%s releases partition %d", t.process.Name, tp.Partition)
		t.broker.group.free(t.member, tp.Partition)
	}
	return nil
}

// Poll implements experiments.Transport.
func (t *Transport) Poll(ctx context.Context, maxRecords int, wait time.Duration) ([]experiments.Fetched, error) {
	if err := t.call("poll"); err != nil {
		return nil, err
	}
	news := func() bool { return t.changed || t.hasNews() || ctx.Err() != nil }
	if wait > 0 && !news() {
		if err := t.process.Await("poll on", wait, news); err != nil {
			return nil, err
		}
		if err := t.check(); err != nil {
			return nil, err
		}
	}
	for _, lent := range t.lent {
		clear(lent) // who still looks at it sees nothing
	}
	t.lent = t.lent[:0]
	var all []experiments.Fetched
	order := sortedParts(maps.Keys(t.next))
	t.broker.schedule.Rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	for _, tp := range order {
		f := t.fetch(tp, maxRecords)
		maxRecords -= len(f.Records)
		if t.fresh[tp] || f.Next > t.next[tp] {
			t.next[tp] = f.Next
			all = append(all, f)
		}
	}
	clear(t.fresh)
	return all, ctx.Err()
}

// hasNews reports whether Poll has something to return.
func (t *Transport) hasNews() bool {
	for tp, next := range t.next {
		if t.fresh[tp] || !t.paused[tp] && next < t.broker.topics[tp.Topic][tp.Partition].stable {
			return true
		}
	}
	return false
}

// fetch reads some of what a partition has, maybe all, maybe nothing.
func (t *Transport) fetch(tp experiments.TopicPartition, limit int) experiments.Fetched {
	l, from := t.broker.topics[tp.Topic][tp.Partition], t.next[tp]
	f := experiments.Fetched{TopicPartition: tp, Next: from, HighWatermark: l.stable}
	if t.paused[tp] || limit == 0 || t.broker.schedule.Chance(5) {
		return f
	}
	i, _ := slices.BinarySearchFunc(l.records, from, func(r mortise.Record, off int64) int { return cmp.Compare(r.Offset, off) })
	n := 0
	for i+n < len(l.records) && l.records[i+n].Offset < l.stable && n < limit {
		n++
	}
	if all := n; t.broker.schedule.Chance(2) {
		n = t.broker.schedule.Rand.IntN(all + 1)
	}
	for _, rec := range l.records[i : i+n] {
		rec.Value = slices.Clone(rec.Value)
		t.lent = append(t.lent, rec.Value)
		f.Records = append(f.Records, rec)
		f.Next = rec.Offset + 1
	}
	if i+n == len(l.records) || l.records[i+n].Offset >= l.stable {
		f.Next = max(f.Next, l.stable)
	}
	return f
}

// Ends implements experiments.Transport.
func (t *Transport) Ends(_ context.Context, parts []experiments.TopicPartition) (map[experiments.TopicPartition]int64, error) {
	if err := t.call("ends"); err != nil {
		return nil, err
	}
	ends := map[experiments.TopicPartition]int64{}
	for _, tp := range parts {
		ends[tp] = t.broker.EndOf(tp)
	}
	return ends, nil
}

// SetPaused implements experiments.Transport.
func (t *Transport) SetPaused(parts []experiments.TopicPartition) {
	clear(t.paused)
	for _, tp := range parts {
		t.paused[tp] = true
	}
}

// Abort implements experiments.Transport. A member that was expelled joins again.
func (t *Transport) Abort(context.Context) error {
	if err := t.process.Request("abort"); err != nil {
		return err
	}
	t.discard()
	t.reset()
	t.lost = false
	if t.member.gone {
		t.member = t.broker.group.join(t, t.instance)
	} else {
		t.broker.group.forget(t.member)
	}
	t.changed = true
	return nil
}

// Close implements experiments.Transport.
func (t *Transport) Close() error {
	if err := t.process.Request("close"); err != nil {
		return err
	}
	t.discard()
	if !t.member.gone {
		t.broker.group.remove(t.member, "leaves")
	}
	return nil
}

func sortedParts(seq func(func(experiments.TopicPartition) bool)) []experiments.TopicPartition {
	return slices.SortedFunc(seq, func(a, b experiments.TopicPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}
