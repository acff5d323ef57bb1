package joiner

import (
	"cmp"
	"encoding/binary"
	"slices"

	mortise "github.com/mortise-dev/mortise"
)

// scratch is what a task reuses from event to event.
type scratch struct {
	in, out, label, early Entry
	keys, values          []byte
	found                 []candidate
	hashes                []uint64
	places                []Cursor
}

// candidate is a label whose key equals the open impression's.
type candidate struct {
	id        uint32
	class     int
	timeMS    int64
	partition int32
	offset    int64
	from, to  int // its value in scratch.values
	source    uint16
}

// close decides the fate of one impression whose time has come and emits it.
func (t *Task) close(e *Entry, late bool) error {
	if !late {
		t.countRebuilt(e, -1)
	}
	sound := t.prog.Open(e) & e.Accept
	if bad := e.Accept &^ sound; bad != 0 {
		if err := t.refuse(e, bad); err != nil {
			return err
		}
	}
	var node *pendingEntry
	if t.opts.Early && !late {
		node = t.pending.take(e)
	}
	if sound == 0 {
		return nil
	}
	if t.opts.Dedup {
		var err error
		if sound, err = t.dedup(e, sound); sound == 0 || err != nil {
			return err
		}
	}
	if e.TimeMS < t.opts.FromMS {
		t.drop(e, sound, mortise.ReasonOutOfRange)
		return nil
	}
	if _, err := t.gather(e, sound, true); err != nil {
		return err
	}
	if t.silent {
		return nil
	}
	em := Emission{Accept: sound, Late: late}
	if node != nil {
		em.Positives, em.ArrivedNegative = int(node.positives), node.arrivedNegative
	}
	out, err := t.prog.Emit(em)
	if err != nil {
		return err
	}
	t.account(out, sound, late)
	t.trace(Trace{Fate: Emitted, Mask: out.Written, Event: e, Emission: em})
	if out.Sampled != 0 {
		t.trace(Trace{Fate: Dropped, Reason: mortise.ReasonSampled, Mask: out.Sampled, Event: e})
	}
	return nil
}

func (t *Task) account(out Outcome, sound uint32, late bool) {
	t.eachBit(sound, func(l *mortise.Ledger) { l.Impressions.Pending-- })
	t.eachBit(out.Written, func(l *mortise.Ledger) {
		l.Impressions.Emitted++
		l.Instances++
		if late {
			l.LateEmitted++
		}
	})
	t.eachBit(out.Sampled, func(l *mortise.Ledger) { l.Impressions.Dropped[mortise.ReasonSampled]++ })
	t.eachBit(out.Positive&out.Written, func(l *mortise.Ledger) { l.Positives++ })
}

func (t *Task) countProvisional(mask uint32) {
	t.eachBit(mask, func(l *mortise.Ledger) { l.Provisional++ })
}

// closeLate handles an impression that lies behind the scan.
func (t *Task) closeLate(e *Entry) error {
	if t.opts.Late == LateEmit {
		return t.close(e, true)
	}
	if t.silent {
		return nil
	}
	t.drop(e, e.Accept, mortise.ReasonLate)
	if t.opts.Late == LateDrop {
		return nil
	}
	return t.prog.Reject(e, e.Accept, &mortise.RecordError{Reason: mortise.ReasonLate, Detail: "its window had closed when it came"})
}

func (t *Task) drop(e *Entry, mask uint32, why mortise.Reason) {
	t.eachBit(mask, func(l *mortise.Ledger) { l.Impressions.Pending--; l.Impressions.Dropped[why]++ })
	t.trace(Trace{Fate: Dropped, Reason: why, Mask: mask, Event: e})
}

// refuse drops the open impression for the experiments that cannot read it.
func (t *Task) refuse(e *Entry, bad uint32) error {
	if t.silent {
		return nil
	}
	for exp := range t.ledgers {
		bit := uint32(1) << exp
		if bad&bit == 0 {
			continue
		}
		why := t.prog.Fault(exp)
		t.drop(e, bit, why.Reason)
		if err := t.prog.Reject(e, bit, why); err != nil {
			return err
		}
	}
	return nil
}

// dedup returns the experiments for which the open impression is the first of
// its key, and remembers it as kept for those.
func (t *Task) dedup(e *Entry, sound uint32) (uint32, error) {
	key := t.prog.Key(0)
	for class, mask := range t.opts.DedupClasses {
		mask &= sound
		if mask == 0 {
			continue
		}
		h := hashSeen(key, class)
		if t.seen.within(h, e.TimeMS, t.opts.DelayMS) {
			t.drop(e, mask, mortise.ReasonDuplicate)
			sound &^= mask
			continue
		}
		t.seen.put(h, e.TimeMS)
		if err := t.markKept(e, h); err != nil {
			return 0, err
		}
	}
	return sound, nil
}

// gather offers every label of the open impression to the program, and returns
// the windows, a bit each, in which some label of an experiment of accept
// counts. Only a final row attaches: a provisional one may turn out a duplicate's.
func (t *Task) gather(e *Entry, accept uint32, final bool) (windows uint64, err error) {
	s := &t.scratch
	s.found, s.values = s.found[:0], s.values[:0]
	for c := range t.classes {
		if err := t.probe(c, e.TimeMS); err != nil {
			return 0, err
		}
	}
	if len(s.found) > 1 {
		slices.SortFunc(s.found, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(a.timeMS, b.timeMS), cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
		})
	}
	for i := range s.found {
		f := &s.found[i]
		hit, err := t.offer(e, f, accept, final)
		if err != nil {
			return 0, err
		}
		windows |= hit
	}
	return windows, nil
}

// probe collects the labels of one class that lie in reach of timeMS.
func (t *Task) probe(class int, timeMS int64) error {
	c, s := &t.classes[class], &t.scratch
	key := t.prog.Key(c.keySet)
	hash := hashLabel(key, c.source, c.keySet)
	from, to := timeMS-c.beforeMS, timeMS+c.withinMS
	for id := t.labels.first(hash); id != noNode; id = t.labels.after(id, hash) {
		if at := t.labels.timeMS(id); at < from || at >= to {
			continue
		}
		l := &s.label
		if err := t.labelLog.Read(t.labels.ref(id), l); err != nil {
			return err
		}
		if own, ok := keyAt(l.Key, c.keyIndex, len(t.opts.Sources[c.source].KeySets)); !ok || string(own) != string(key) {
			continue // another key with the same hash
		}
		start := len(s.values)
		s.values = append(s.values, l.Value...)
		s.found = append(s.found, candidate{id, class, l.TimeMS, l.Partition, l.Offset, start, len(s.values), l.Source})
	}
	return nil
}

// offer shows one candidate to every window it fits and keeps its account.
func (t *Task) offer(e *Entry, f *candidate, accept uint32, final bool) (windows uint64, err error) {
	s := &t.scratch
	owner := t.labels.node(t.labels.node(f.id).owner &^ behindBit)
	l := &s.label
	*l = Entry{TimeMS: f.timeMS, Partition: f.partition, Offset: f.offset, Source: f.source, Accept: owner.accept, Value: s.values[f.from:f.to]}
	for _, w := range t.classes[f.class].windows {
		def := &t.opts.Windows[w]
		if f.timeMS < e.TimeMS-def.BeforeMS || f.timeMS >= e.TimeMS+def.WithinMS || accept&owner.accept == 0 {
			continue
		}
		counts, broken, why := t.prog.Match(w, l, accept&owner.accept)
		if broken &^= owner.attached; broken != 0 {
			if err := t.refuseLabel(e, l, owner, broken, why); err != nil {
				return 0, err
			}
		}
		if counts == 0 {
			continue
		}
		if def.WithinMS > 0 {
			windows |= 1 << w
		}
		if fresh := counts &^ owner.attached; fresh != 0 && final {
			owner.attached |= fresh
			t.eachBit(fresh, func(g *mortise.Ledger) { g.Labels.Pending--; g.Labels.Attached++ })
			if err := t.markFate(e.Offset, owner, fresh, 0); err != nil {
				return 0, err
			}
		}
		t.trace(Trace{Fate: Matched, Window: w, Mask: counts, Event: l, Impression: e})
	}
	return windows, nil
}

// refuseLabel takes a label from the experiments whose expressions fail on it.
func (t *Task) refuseLabel(e, l *Entry, owner *labelNode, broken uint32, why *mortise.RecordError) error {
	owner.accept &^= broken
	t.eachBit(broken, func(g *mortise.Ledger) { g.Labels.Pending--; g.Labels.Dropped[why.Reason]++ })
	t.trace(Trace{Fate: Dropped, Reason: why.Reason, Mask: broken, Event: l})
	if err := t.markFate(e.Offset, owner, broken, rowRefused); err != nil || t.silent {
		return err
	}
	return t.prog.Reject(l, broken, why)
}

// appendKeys writes a label's keys as one: the only one as it is; several each
// behind its length plus one, 0 where the label has no such key.
func appendKeys(dst []byte, keys [][]byte) []byte {
	if len(keys) == 1 {
		return append(dst, keys[0]...)
	}
	for _, k := range keys {
		if k == nil {
			dst = append(dst, 0)
			continue
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(k))+1), k...)
	}
	return dst
}

// keyAt returns the i-th of n keys that appendKeys wrote, nil where there is
// none; false when keys is not what it wrote.
func keyAt(keys []byte, i, n int) ([]byte, bool) {
	if n == 1 {
		return keys, true
	}
	for ; ; i-- {
		size, w := binary.Uvarint(keys)
		if w <= 0 || size > uint64(len(keys)-w)+1 {
			return nil, false
		}
		keys = keys[w:]
		if i == 0 {
			if size == 0 {
				return nil, true
			}
			return keys[:size-1], true
		}
		if size > 0 {
			keys = keys[size-1:]
		}
	}
}
