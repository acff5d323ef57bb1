package joiner

import (
	"fmt"
	"math"
	"math/bits"

	mortise "github.com/mortise-dev/mortise"
)

// Task joins one partition of the streams. One goroutine uses it; it takes
// events and watermarks as they come and reads no clock.
//
// Add takes events in, Advance moves the watermark, Close emits what is due, a
// bounded number at a time. Commit makes the state durable.
type Task struct {
	opts  Options
	prog  Program
	store Store

	impressions, labelLog Log

	packs   packer
	labels  *labelIndex
	seen    *seenIndex
	pending *pendingIndex // only under Early

	classes     []probeClass
	maxBeforeMS []int64 // per source
	beforeMS    int64   // the largest of all

	watermarkMS int64
	cursor      Cursor // every impression before it is closed
	maxMainMS   int64
	tidiedMS    int64   // bucket of the cursor when state was last dropped
	silent      bool    // rebuilding: state only, no output, no account
	holdMS      int64   // impressions from here on stay open, whatever the watermark
	held        bool    // the last Close or Finish stopped there
	rebuilt     []int64 // meanwhile, per experiment: impressions that are pending

	ledgers []mortise.Ledger

	all     uint32 // a bit per experiment
	scratch scratch
}

// probeClass is the windows that one probe of the label index serves.
type probeClass struct {
	source, keySet     int
	keyIndex           int // position of the key among the label source's keys
	beforeMS, withinMS int64
	windows            []int
}

// New opens a task on store, continuing from the store's last commit if it has one.
func New(opts Options, store Store, prog Program) (*Task, error) {
	opts.EnsureDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	t := &Task{
		opts: opts, prog: prog, store: store,
		impressions: store.Log(Impressions), labelLog: store.Log(Labels),
		packs:  packer{seen: store.Log(Seen), index: store.Log(Index), main: uint16(opts.Main), spanMS: coarseBuckets * opts.BucketMS, byTime: map[packTime]*pack{}},
		labels: newLabelIndex(), seen: newSeenIndex(opts.DelayMS),
		watermarkMS: NoTimeMS, maxMainMS: NoTimeMS, tidiedMS: NoTimeMS, holdMS: math.MaxInt64, cursor: Cursor{TimeMS: NoTimeMS},
		maxBeforeMS: make([]int64, len(opts.Sources)),
		ledgers:     make([]mortise.Ledger, opts.Experiments),
		all:         uint32(1<<opts.Experiments - 1),
	}
	if opts.Early {
		t.pending = newPendingIndex(len(opts.Sources[opts.Main].KeySets))
	}
	for w := range opts.Windows {
		t.addWindow(w)
	}
	if meta := store.Meta(); meta != nil {
		if err := t.restore(meta); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Task) addWindow(w int) {
	def := &t.opts.Windows[w]
	t.maxBeforeMS[def.Source] = max(t.maxBeforeMS[def.Source], def.BeforeMS)
	t.beforeMS = max(t.beforeMS, def.BeforeMS)
	for i := range t.classes {
		c := &t.classes[i]
		if c.source == def.Source && c.keySet == def.KeySet {
			c.beforeMS, c.withinMS = max(c.beforeMS, def.BeforeMS), max(c.withinMS, def.WithinMS)
			c.windows = append(c.windows, w)
			return
		}
	}
	t.classes = append(t.classes, probeClass{
		source: def.Source, keySet: def.KeySet, keyIndex: keyIndex(t.opts.Sources[def.Source].KeySets, def.KeySet),
		beforeMS: def.BeforeMS, withinMS: def.WithinMS, windows: []int{w},
	})
}

// flagBehind marks a label that came behind the watermark.
const flagBehind = 1

// Add takes one event in. A record that no experiment can use is only counted.
func (t *Task) Add(ev *Event) error {
	accept := ev.Accept & t.all
	t.countIn(ev, accept)
	if accept != 0 && t.opts.ToMS != 0 && ev.Source == t.opts.Main && ev.TimeMS >= t.opts.ToMS {
		t.drop(&Entry{TimeMS: ev.TimeMS, Partition: ev.Partition, Offset: ev.Offset, Source: uint16(ev.Source), Accept: accept, Value: ev.Value}, accept, mortise.ReasonOutOfRange)
		return nil
	}
	e := &t.scratch.in
	*e = Entry{TimeMS: ev.TimeMS, Partition: ev.Partition, Offset: ev.Offset, Source: uint16(ev.Source), Accept: accept, Value: ev.Value}
	if t.opts.Trace != nil {
		t.traceIn(ev, e)
	}
	switch {
	case accept == 0:
		return nil
	case ev.Source == t.opts.Main:
		return t.addImpression(e, ev.Keys)
	}
	return t.addLabel(e, ev.Keys)
}

// traceIn tells for whom a record was dropped on its way in.
func (t *Task) traceIn(ev *Event, e *Entry) {
	bad := ev.Bad & t.all
	if bad != 0 {
		t.trace(Trace{Fate: Dropped, Reason: ev.BadReason, Mask: bad, Event: e})
	}
	if filtered := t.all &^ bad &^ e.Accept; filtered != 0 {
		t.trace(Trace{Fate: Dropped, Reason: mortise.ReasonFiltered, Mask: filtered, Event: e})
	}
}

func (t *Task) countIn(ev *Event, accept uint32) {
	if t.silent {
		return
	}
	main := ev.Source == t.opts.Main
	for i := range t.ledgers {
		l, bit := &t.ledgers[i], uint32(1)<<i
		in, pending, dropped := &l.Labels.In, &l.Labels.Pending, &l.Labels.Dropped
		if main {
			in, pending, dropped = &l.Impressions.In, &l.Impressions.Pending, &l.Impressions.Dropped
		}
		*in++
		switch {
		case accept&bit != 0:
			*pending++
		case ev.Bad&bit != 0:
			dropped[ev.BadReason]++
		default:
			dropped[mortise.ReasonFiltered]++
		}
	}
}

func (t *Task) addImpression(e *Entry, keys [][]byte) error {
	t.maxMainMS = max(t.maxMainMS, e.TimeMS)
	if e.Position().Less(t.cursor) {
		return t.closeLate(e)
	}
	ref, err := t.impressions.Append(e)
	if err != nil {
		return err
	}
	t.countRebuilt(e, 1)
	t.trace(Trace{Fate: TakenIn, Mask: e.Accept, Event: e})
	if t.opts.Early {
		return t.arrive(e, ref, keys)
	}
	return nil
}

func (t *Task) addLabel(e *Entry, keys [][]byte) error {
	if e.TimeMS+t.maxBeforeMS[e.Source] < t.cursor.TimeMS {
		t.eachBit(e.Accept, func(l *mortise.Ledger) { l.Labels.Pending--; l.Labels.Late++ })
		t.trace(Trace{Fate: LateLabel, Mask: e.Accept, Event: e})
		return nil
	}
	sets := t.opts.Sources[e.Source].KeySets
	if len(keys) != len(sets) {
		return fmt.Errorf("join: label of source %d carries %d keys, its source declares %d", e.Source, len(keys), len(sets))
	}
	t.scratch.keys = appendKeys(t.scratch.keys[:0], keys)
	e.Key = t.scratch.keys
	behind := e.TimeMS < t.watermarkMS
	if behind {
		e.Flags = flagBehind
	}
	ref, err := t.labelLog.Append(e)
	if err != nil {
		return err
	}
	owner := noNode
	for i, key := range keys {
		if key == nil {
			continue // it has no such key
		}
		hash := hashLabel(key, int(e.Source), sets[i])
		id := t.labels.add(hash, e.TimeMS, t.packs.spanMS, ref, owner, e.Accept, behind)
		if err := t.markLabel(id, owner != noNode); err != nil {
			return err
		}
		if owner == noNode {
			owner = id
		}
	}
	t.trace(Trace{Fate: TakenIn, Mask: e.Accept, Event: e})
	if t.opts.Early {
		return t.labelArrived(e.TimeMS, int(e.Source), keys)
	}
	return nil
}

// Advance moves the watermark; it never goes back.
func (t *Task) Advance(watermarkMS int64) { t.watermarkMS = max(t.watermarkMS, watermarkMS) }

// HoldFrom keeps impressions of event time ms and later open, even those whose
// deadline has passed, until it is called again with a later time: what their
// rows need besides labels is not there yet. At first nothing is held.
func (t *Task) HoldFrom(ms int64) { t.holdMS = ms }

// Held reports whether impressions that the last Close or Finish would have
// closed are held open by HoldFrom.
func (t *Task) Held() bool { return t.held }

// WatermarkMS returns the task's watermark, NoTimeMS before the first.
func (t *Task) WatermarkMS() int64 { return t.watermarkMS }

// Cursor returns the position up to which impressions are closed.
func (t *Task) Cursor() Cursor { return t.cursor }

// Ledger returns experiment exp's account.
func (t *Task) Ledger(exp int) mortise.Ledger { return t.ledgers[exp] }

// Close emits at most limit due impressions and reports whether none is left
// that may be closed now.
func (t *Task) Close(limit int) (done bool, err error) {
	t.held = false
	if t.watermarkMS <= NoTimeMS+t.opts.DelayMS {
		return true, nil
	}
	return t.closeBefore(t.watermarkMS-t.opts.DelayMS+1, limit)
}

// Finish closes, at most limit at a time, every impression that is held, as if
// the input had ended, and then settles every label. An impression that comes
// later is late only if its time is not after all that were seen. While some are
// held open it is not done.
func (t *Task) Finish(limit int) (done bool, err error) {
	t.held = false
	if t.maxMainMS != NoTimeMS {
		if done, err = t.closeBefore(t.maxMainMS+1, limit); !done || t.held || err != nil {
			return false, err
		}
		t.Advance(t.maxMainMS)
	}
	return true, t.tidy(math.MaxInt64)
}

func (t *Task) closeBefore(beforeMS int64, limit int) (done bool, err error) {
	if t.held = t.holdMS < beforeMS; t.held {
		beforeMS = t.holdMS
	}
	e := &t.scratch.out
	for range limit {
		ok, err := t.impressions.Next(beforeMS, e)
		if err != nil {
			return false, err
		}
		if !ok {
			if end := (Cursor{TimeMS: beforeMS}); t.cursor.Less(end) {
				t.cursor = end
			}
			return true, t.tidy(0)
		}
		t.cursor = Cursor{e.TimeMS, e.Partition, e.Offset + 1}
		if err := t.close(e, false); err != nil {
			return false, err
		}
	}
	return false, t.tidy(0)
}

// marksDelays is how many delays back the marks of kept impressions reach, and
// with them a rebuild from nothing. One would do to know what is a duplicate of
// what, were it certain that the first record of a key read again had been
// kept. It is not when an earlier one stood for it, so one delay more is read.
// What remains: a key that has repeated in steps shorter than the delay, since
// before that, with all local state lost.
const marksDelays = 2

// tidy drops the state that no open impression can need any more. forceMS, when
// not 0, settles all labels before that time at once.
func (t *Task) tidy(forceMS int64) error {
	bucket := floorTo(t.cursor.TimeMS, t.opts.BucketMS)
	if forceMS == 0 && (t.cursor.TimeMS == NoTimeMS || bucket == t.tidiedMS) {
		return nil
	}
	t.tidiedMS = bucket
	// Counted from the bucket's start, so that what is dropped depends on the
	// cursor alone, not on when this was called.
	labelsMS := max(bucket-t.beforeMS-t.opts.LateGraceMS, forceMS)
	if err := t.impressions.DropBefore(bucket); err != nil {
		return err
	}
	if err := t.labels.expire(labelsMS, t.settle, func(b *labelBucket) { t.packs.forget(b.labels, b.fates) }); err != nil {
		return err
	}
	if err := t.labelLog.DropBefore(labelsMS); err != nil {
		return err
	}
	t.packs.forgetBefore(labelsMS, packPending, packRows)
	if err := t.packs.index.DropBefore(labelsMS); err != nil {
		return err
	}
	t.seen.dropBefore(bucket - t.opts.DelayMS)
	keptMS := bucket - marksDelays*t.opts.DelayMS
	t.packs.forgetBefore(keptMS, packKept)
	return t.packs.seen.DropBefore(keptMS)
}

// settle takes a label whose time is over off the account.
func (t *Task) settle(id uint32, n *labelNode) error {
	left := n.accept &^ n.attached
	if left == 0 || t.silent {
		return nil
	}
	fate := Unmatched
	if n.owner&behindBit != 0 {
		fate = LateLabel
	}
	t.eachBit(left, func(l *mortise.Ledger) {
		l.Labels.Pending--
		if fate == LateLabel {
			l.Labels.Late++
		} else {
			l.Labels.Unmatched++
		}
	})
	if t.opts.Trace == nil {
		return nil
	}
	var e Entry
	if err := t.labelLog.Read(t.labels.ref(id), &e); err != nil {
		return err
	}
	t.trace(Trace{Fate: fate, Mask: left, Event: &e})
	return nil
}

// Retract takes back one row that Emit has said to be written, with the Emission
// and the outcome that it was written with: experiment exp cannot write it after
// all, for what came in later than its labels is missing or broken.
func (t *Task) Retract(exp int, em Emission, positive bool, why mortise.Reason) {
	l := &t.ledgers[exp]
	if em.Provisional {
		l.Provisional--
		return
	}
	l.Impressions.Emitted--
	l.Impressions.Dropped[why]++
	l.Instances--
	if positive {
		l.Positives--
	}
	if em.Late {
		l.LateEmitted--
	}
}

// Park takes back one row that Emit has said to be written, as Retract does, for
// it waits for something; Unpark says that it is written after all. Labels that
// have attached stay so meanwhile.
func (t *Task) Park(exp int, em Emission, positive bool) { t.park(exp, em, positive, 1) }

// Unpark says that a row that waited is written now, with what Park was told.
func (t *Task) Unpark(exp int, em Emission, positive bool) { t.park(exp, em, positive, -1) }

// Remember adds to the instances whose rows may be corrected, or takes from them.
func (t *Task) Remember(exp int, by int64) { t.ledgers[exp].Remembered += by }

// Correct counts a further row of an instance.
func (t *Task) Correct(exp int) { t.ledgers[exp].Corrected++ }

func (t *Task) park(exp int, em Emission, positive bool, by int64) {
	l := &t.ledgers[exp]
	l.Impressions.Parked += by
	l.Impressions.Emitted -= by
	l.Instances -= by
	if positive {
		l.Positives -= by
	}
	if em.Late {
		l.LateEmitted -= by
	}
}

func (t *Task) eachBit(mask uint32, fn func(*mortise.Ledger)) {
	if t.silent {
		return
	}
	for ; mask != 0; mask &= mask - 1 {
		fn(&t.ledgers[bits.TrailingZeros32(mask)])
	}
}

func (t *Task) trace(tr Trace) {
	if t.opts.Trace != nil && !t.silent {
		t.opts.Trace(tr)
	}
}
