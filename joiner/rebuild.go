package joiner

import (
	"math"
	"math/bits"
)

// BeginRebuild makes the task take events in for the sake of its state alone:
// nothing is emitted, rejected or counted, for their fate is committed already.
func (t *Task) BeginRebuild() { t.silent = true }

// FinishRebuild closes, silently, what had been closed where at stands, takes
// over at's clock and account, and goes live.
func (t *Task) FinishRebuild(at *Snapshot) error {
	e := &t.scratch.out
	for at.Cursor.TimeMS > NoTimeMS {
		ok, err := t.impressions.Next(min(at.Cursor.TimeMS, math.MaxInt64-1)+1, e)
		if err != nil {
			return err
		}
		if !ok || !e.Position().Less(at.Cursor) {
			break
		}
		if err := t.close(e, false); err != nil {
			return err
		}
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
	t.silent = false
	t.watermarkMS, t.maxMainMS = max(t.watermarkMS, at.WatermarkMS), max(t.maxMainMS, at.MaxMainMS)
	copy(t.ledgers, at.Ledgers)
	t.reconcile()
	return nil
}

// reconcile makes the account's pending labels those that the index holds. The
// two differ only by labels that had come too late for their impression: read
// again, they may lie before its close.
func (t *Task) reconcile() {
	var pending [MaxExperiments]int64
	t.labels.each(func(n *labelNode) {
		for mask := n.accept &^ n.attached; mask != 0; mask &= mask - 1 {
			pending[bits.TrailingZeros32(mask)]++
		}
	})
	for exp := range t.ledgers {
		l := &t.ledgers[exp].Labels
		l.Late += l.Pending - pending[exp]
		l.Pending = pending[exp]
	}
}
