package simulation

import (
	"bytes"
	"context"
	"slices"

	"github.com/mortise-dev/mortise/experiments"
)

// Produce implements experiments.Transport.
func (t *Transport) Produce(o *experiments.Output) error {
	if t.process.Dead() {
		return ErrKilled
	}
	b := t.broker
	if b.schedule.Chance(200) { // the buffer is full
		if err := t.call("produce"); err != nil {
			return err
		}
	}
	if t.lost {
		return experiments.ErrRebalanced
	}
	if b.opts.LargestLetter > 0 && len(o.Value) > b.opts.LargestLetter && slices.Contains(b.opts.Letters, o.Topic) {
		return experiments.ErrTooLarge
	}
	kept := *o
	kept.Key, kept.Value = bytes.Clone(o.Key), bytes.Clone(o.Value)
	if !b.opts.ExactlyOnce {
		t.out = append(t.out, kept)
		return nil
	}
	if err := t.open(); err != nil {
		return err
	}
	t.txn.rows = append(t.txn.rows, kept)
	return nil
}

// open begins a transaction if there is none, once the markers of the last one
// are written.
func (t *Transport) open() error {
	if t.txn != nil {
		return nil
	}
	if shown := func() bool { return t.broker.txns[t.producer] == nil }; !shown() {
		if err := t.process.Await("await markers", t.broker.opts.MarkerDelay, shown); err != nil {
			return err
		}
		if err := t.check(); err != nil {
			return err
		}
	}
	t.txn = t.broker.begin(t.producer)
	return nil
}

// Commit implements experiments.Transport.
func (t *Transport) Commit(_ context.Context, offsets map[experiments.TopicPartition]experiments.CommittedOffset) error {
	if err := t.call("commit"); err != nil {
		return err
	}
	for tp := range offsets {
		if t.member.parts[tp.Partition] == nil {
			t.broker.breach("%s commits %s[%d], which is not its own", t.process.Name, tp.Topic, tp.Partition)
		}
	}
	if !t.broker.opts.ExactlyOnce {
		return t.flushAndCommit(offsets)
	}
	if err := t.open(); err != nil {
		return err
	}
	b, txn := t.broker, t.txn
	txn.offsets = offsets
	if err := t.process.Request("end transaction"); err != nil {
		return err
	}
	// The broker no longer asks whether it is a member: the offsets are in.
	t.txn = nil
	fault := b.schedule.Chance(b.opts.FaultEvery)
	if txn.state != open || fault && b.schedule.Chance(2) {
		b.end(txn, aborted)
		t.lost = true
		b.schedule.Tracef("%s does not commit", t.process.Name)
		return experiments.ErrRebalanced
	}
	b.end(txn, committed)
	b.schedule.Tracef("%s commits %d records", t.process.Name, len(txn.rows))
	if fault {
		t.lost = true
		b.schedule.Tracef("%s does not hear of it", t.process.Name)
		return experiments.ErrRebalanced
	}
	return t.process.Request("committed")
}

// flushAndCommit writes what was produced, and then the offsets.
func (t *Transport) flushAndCommit(offsets map[experiments.TopicPartition]experiments.CommittedOffset) error {
	b := t.broker
	b.show(t.process.Name, t.out, nil)
	t.out = nil
	if err := t.call("commit offsets"); err != nil {
		return err
	}
	if b.schedule.Chance(b.opts.FaultEvery) {
		t.lost = true
		if b.schedule.Chance(2) {
			b.show(t.process.Name, nil, offsets)
		}
		return experiments.ErrRebalanced
	}
	b.show(t.process.Name, nil, offsets)
	return t.process.Request("committed")
}

// discard throws away what is not committed; without transactions some of it is
// out already.
func (t *Transport) discard() {
	b := t.broker
	if t.txn != nil {
		b.end(t.txn, aborted)
		t.txn = nil
	}
	if len(t.out) > 0 {
		b.show(t.process.Name, t.out[:b.schedule.Rand.IntN(len(t.out)+1)], nil)
		t.out = nil
	}
}
