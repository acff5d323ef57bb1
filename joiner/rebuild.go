package joiner

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	mortise "github.com/mortise-dev/mortise"
)

// ErrLost says that the rebuilt state does not hold what was pending: the topics
// no longer have it, or other records in its place. To go on would write wrong
// rows. The way out is topics that reach back far enough, or to accept the loss.
var ErrLost = errors.New("what was pending cannot be rebuilt")

// BeginRebuild makes the task take events in for the sake of its state alone:
// nothing is emitted, rejected or counted, for their fate is committed already.
func (t *Task) BeginRebuild() {
	t.silent = true
	t.rebuilt = make([]int64, len(t.ledgers))
	for exp := range t.ledgers {
		t.rebuilt[exp] = t.ledgers[exp].Impressions.Pending
	}
}

// countRebuilt keeps count of pending impressions while the account stands still.
func (t *Task) countRebuilt(e *Entry, by int64) {
	if !t.silent {
		return
	}
	for mask := e.Accept & t.all; mask != 0; mask &= mask - 1 {
		t.rebuilt[bits.TrailingZeros32(mask)] += by
	}
}

// FinishRebuild closes, silently, what had been closed where at stands, takes
// over at's clock and account, and goes live.
//
// Pending impressions and labels that at counts and the rebuilt state does not
// hold are an error wrapping ErrLost, after which the task is of no use; with
// acceptLost they are moved to dropped{lost}. Of labels, those that are lost
// cannot be told from those that had come too late for their impression, so
// that no more are lost than labels are missing in all.
func (t *Task) FinishRebuild(at *Snapshot, acceptLost bool) error {
	if err := t.closeRebuilt(at.Cursor); err != nil {
		return err
	}
	if t.cursor.Less(at.Cursor) {
		t.cursor = at.Cursor
	}
	if err := t.impressions.Seek(t.cursor); err != nil {
		return err
	}
	if err := t.tidy(0); err != nil {
		return err
	}
	if at.HoldsNothing() { // the end of input settles labels of any time
		if err := t.tidy(math.MaxInt64); err != nil {
			return err
		}
	}
	if err := t.checkRebuilt(at, acceptLost); err != nil {
		return err
	}
	t.silent = false
	t.watermarkMS, t.maxMainMS = max(t.watermarkMS, at.WatermarkMS), max(t.maxMainMS, at.MaxMainMS)
	copy(t.ledgers, at.Ledgers)
	if err := t.overstateRows(); err != nil {
		return err
	}
	return t.reconcile(at)
}

// overstateRows takes the most provisional rows that can have been written of
// each pending impression for written: one on arrival, and one for each window
// that has turned positive. How many it were is not known, for labels that are
// read again come in another order than the first time; and another worker, that
// rebuilt from less, may have taken more for written than this one knows of. So a
// revision may be left out, but none comes twice.
func (t *Task) overstateRows() error {
	if t.pending == nil {
		return nil
	}
	return t.pending.all(func(p *pendingEntry) error {
		most := uint16(bits.OnesCount64(p.windows))
		if p.duplicate || p.arrivedNegative && p.positives >= most {
			return nil
		}
		p.positives, p.arrivedNegative = max(p.positives, most), true
		return t.markRows(p)
	})
}

// CountLost counts n records of a source that no one will ever read, for the log
// no longer holds them.
func (t *Task) CountLost(source int, n int64) {
	for exp := range t.ledgers {
		l := &t.ledgers[exp]
		in, dropped := &l.Labels.In, &l.Labels.Dropped
		if source == t.opts.Main {
			in, dropped = &l.Impressions.In, &l.Impressions.Dropped
		}
		*in += n
		dropped[mortise.ReasonLost] += n
	}
}

// HoldsNothing reports whether nothing is pending and no label held, as after the
// end of input.
func (s *Snapshot) HoldsNothing() bool {
	pending := int64(0)
	for i := range s.Ledgers {
		pending += s.Ledgers[i].Impressions.Pending
	}
	return s.Labels == 0 && pending == 0
}

// closeRebuilt closes every impression before end.
func (t *Task) closeRebuilt(end Cursor) error {
	e := &t.scratch.out
	for end.TimeMS > NoTimeMS {
		ok, err := t.impressions.Next(min(end.TimeMS, math.MaxInt64-1)+1, e)
		if err != nil {
			return err
		}
		if !ok || !e.Position().Less(end) {
			return nil
		}
		if err := t.close(e, false); err != nil {
			return err
		}
	}
	return nil
}

// checkRebuilt compares what is held with what at says was. Impressions are
// pending exactly if they lie at or after the cursor, so any difference is a
// fault. Labels may be more than there were: some that came too late to be held
// are held when they are read again.
func (t *Task) checkRebuilt(at *Snapshot, acceptLost bool) error {
	for exp := range t.rebuilt {
		want, got := at.Ledgers[exp].Impressions.Pending, t.rebuilt[exp]
		if got > want || got < want && !acceptLost {
			return fmt.Errorf("experiment %d: %d impressions were pending when offsets %v were committed, and the topics from offsets %v on give %d: %w", exp, want, at.Offsets, at.Lows, got, ErrLost)
		}
	}
	if missing := t.missingLabels(at); missing > 0 && !acceptLost {
		return fmt.Errorf("%d labels were held when offsets %v were committed, and the topics from offsets %v on give %d fewer: %w", at.Labels, at.Offsets, at.Lows, missing, ErrLost)
	}
	return nil
}

func (t *Task) missingLabels(at *Snapshot) int64 {
	if at.Labels < 0 {
		return 0
	}
	return max(at.Labels-int64(t.labels.labels), 0)
}

// reconcile makes the account's pending records those that state holds.
func (t *Task) reconcile(at *Snapshot) error {
	missing := t.missingLabels(at)
	var pending [MaxExperiments]int64
	t.labels.each(func(n *labelNode) {
		for mask := n.accept &^ n.attached; mask != 0; mask &= mask - 1 {
			pending[bits.TrailingZeros32(mask)]++
		}
	})
	for exp := range t.ledgers {
		l := &t.ledgers[exp]
		lost := l.Impressions.Pending - t.rebuilt[exp]
		l.Impressions.Pending -= lost
		l.Impressions.Dropped[mortise.ReasonLost] += lost
		if surplus := pending[exp] - l.Labels.Pending; surplus > 0 {
			settled, err := t.settleAgain(exp, surplus)
			if err != nil {
				return err
			}
			pending[exp] -= settled
		}
		reconcileLabels(&l.Labels, pending[exp], missing)
	}
	return nil
}

// settleAgain takes at most n pending labels that no impression to come can
// reach off experiment exp's account, for they have been settled: they came too
// late to be held, or had attached to an impression that stands for nothing now.
func (t *Task) settleAgain(exp int, n int64) (settled int64, err error) {
	bit := uint32(1) << exp
	err = t.labels.eachInOrder(func(id uint32, node *labelNode) error {
		over := t.labels.timeMS(id)+t.beforeMS < t.cursor.TimeMS
		if !over || settled == n || node.accept&^node.attached&bit == 0 {
			return nil
		}
		settled++
		node.attached |= bit
		return t.markFate(math.MaxInt64, node, bit, 0)
	})
	return settled, err
}

// reconcileLabels brings an account to the labels that are pending, of those
// that were held so many being missing. The others that are not there had come
// too late for their impression: read again, they may lie before its close. More
// are there only when the impressions that they had attached to are lost.
func reconcileLabels(l *mortise.LabelLedger, pending, missing int64) {
	gone := l.Pending - pending
	l.Pending = pending
	if gone >= 0 {
		lost := min(gone, missing)
		l.Dropped[mortise.ReasonLost] += lost
		l.Late += gone - lost
		return
	}
	fromLate := min(-gone, l.Late)
	l.Late -= fromLate
	l.Attached -= -gone - fromLate
}
