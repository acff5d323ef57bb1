package clean

import (
	mortise "github.com/mortise-dev/mortise"
)

func (r *Reader) reset(m *moment) {
	r.last = m
	r.conv.reset()
	r.keyBuf = reuse(r.keyBuf)
	if r.bad != 0 {
		r.bad = 0
		clear(r.faults[:])
	}
}

// reuse empties a buffer, and lets go of one that a huge record has grown.
func reuse(buf []byte) []byte {
	const mostBytes = 1 << 20
	if cap(buf) > mostBytes {
		return make([]byte, 0, 256)
	}
	return buf[:0]
}

// runClean lets the custom clean function make the value. Its result is not kept
// as a buffer, since it may be a part of the record; its size is.
func (r *Reader) runClean(rec *mortise.Record) ([]byte, *mortise.RecordError) {
	r.cleaned = reuse(r.cleaned)
	value, fault := r.src.opts.Clean.call(rec, r.cleaned)
	r.noteSize(value)
	return value, fault
}

// keep makes of a record what is kept of it.
func (r *Reader) keep(rec *mortise.Record) []byte {
	r.cleaned = reuse(r.cleaned)
	kept := r.src.opts.Format.Keep(rec, r.cleaned)
	r.noteSize(kept)
	return kept
}

// noteSize makes the buffer for values as large as value.
func (r *Reader) noteSize(value []byte) {
	if cap(value) > cap(r.cleaned) {
		r.cleaned = make([]byte, 0, cap(value))
	}
}

// read scans a value and converts the fields that the moment wants. Experiments
// for which one is broken get their fault.
func (r *Reader) read(value []byte, whole bool) error {
	m := r.last
	if m.binary != nil {
		return r.readScanned(value, whole)
	}
	if !m.scan.scan(value, whole) {
		detail := m.scan.syntax()
		if r.src.opts.Clean != nil {
			detail = "in what the clean function returned: " + detail
		}
		return &mortise.RecordError{Reason: mortise.ReasonBadJSON, Detail: detail}
	}
	for at, slot := range m.slots {
		if slot < 0 {
			continue
		}
		f := &r.src.fields[slot]
		v, st := r.conv.value(m.scan, m.scan.tokens[at], f)
		r.row[slot], r.status[slot] = v, st
		if st == statusOK {
			continue
		}
		if st == statusBadUTF8 {
			return &mortise.RecordError{Reason: mortise.ReasonBadJSON, Field: f.name, Detail: "the string is not valid UTF-8"}
		}
		if users := m.required[at] &^ r.bad; users != 0 {
			r.blame(users, r.badField(slot))
		}
	}
	return nil
}

func (r *Reader) badField(slot int) *mortise.RecordError {
	m, f := r.last, &r.src.fields[slot]
	fault := &mortise.RecordError{Reason: mortise.ReasonBadField, Field: f.name, Detail: "expected " + f.typ.String()}
	for at := range m.slots {
		switch {
		case m.slots[at] != slot:
		case m.binary != nil:
			fault.Detail = m.binary.describe(at, f)
		default:
			fault.Detail = describe(m.scan, m.scan.tokens[at], f, r.status[slot])
		}
	}
	return fault
}

// eventTime reads the event time of the record that was scanned last.
func (r *Reader) eventTime() (int64, *mortise.RecordError) {
	if r.intake.binary != nil {
		return r.scannedTime()
	}
	scan := r.intake.scan
	t := scan.tokens[r.intake.timeAt]
	text := scan.data[t.start:t.end]
	if t.kind&flagEscaped != 0 {
		text, _ = r.conv.unquote(scan.data, t)
	}
	return r.clock.read(r.src.opts.TimeField, t, text)
}

// compute fills in the derived fields that the moment needs, in their order.
func (r *Reader) compute() {
	nullFrom := len(r.src.fields)
	for _, step := range r.last.steps {
		u, slot := &r.src.derive[step.derive], nullFrom+step.derive
		r.row[slot], r.status[slot] = mortise.NullValue(), statusFailed
		if step.users&^r.bad == 0 {
			continue
		}
		v, err := r.derive[step.derive].Eval(r.row)
		if err != nil {
			r.blame(step.users&^r.bad, &mortise.RecordError{Reason: mortise.ReasonExpression, Field: u.name, Detail: err.Error()})
			continue
		}
		r.row[slot], r.status[slot] = v, statusOK
		if v.IsNull() {
			r.status[slot] = statusNull
		}
	}
}

// filter evaluates the wheres and returns the experiments whose where holds.
func (r *Reader) filter(row mortise.Row) (accept uint32) {
	for i := range r.src.wheres {
		u := &r.src.wheres[i]
		users := u.users &^ r.bad
		if users == 0 {
			continue
		}
		holds, err := r.wheres[i].True(row)
		if err != nil {
			r.blame(users, &mortise.RecordError{Reason: mortise.ReasonExpression, Field: u.name, Detail: err.Error()})
		} else if holds {
			accept |= users
		}
	}
	return accept
}

func (r *Reader) blame(users uint32, fault *mortise.RecordError) {
	r.bad |= users
	for exp := range r.faults {
		if users>>exp&1 != 0 {
			r.faults[exp] = fault
		}
	}
}

// allBad returns the first experiment's fault if every experiment has one.
func (r *Reader) allBad() error {
	if all := uint32(1)<<len(r.src.slots) - 1; r.bad == all {
		return r.faults[0]
	}
	return nil
}

// intakeKeys extracts the partition key and, if asked for, the join keys.
func (r *Reader) intakeKeys(ev *Event) error {
	s := r.src
	if len(s.parts) > 0 {
		var missing int
		if ev.PartitionKey, missing = r.key(s.parts, true); missing >= 0 {
			return r.missingKey(missing)
		}
	}
	if !s.opts.IntakeKeys {
		return nil
	}
	found, first := 0, -1
	for set, slots := range s.keys {
		var missing int
		if r.keys[set], missing = r.key(slots, false); missing < 0 {
			found++
			continue
		}
		if r.brokenKey(missing) {
			return r.missingKey(missing)
		}
		if first < 0 {
			first = missing
		}
	}
	if ev.Keys = r.keys; found == 0 && first >= 0 {
		return r.missingKey(first)
	}
	return nil
}

// key builds a key over the row; missing is the slot of a part that it lacks, or
// -1. A single text is aliased where it needs no escaping, and where it is raw.
func (r *Reader) key(slots []int, raw bool) (key []byte, missing int) {
	if v := r.row[slots[0]]; len(slots) == 1 && v.Kind == mortise.String && (raw || !needsEscape(v.Text())) {
		return v.Text(), -1
	}
	start := len(r.keyBuf)
	for i, slot := range slots {
		if i > 0 {
			r.keyBuf = append(r.keyBuf, '|')
		}
		var ok bool
		if r.keyBuf, ok = appendKey(r.keyBuf, r.row[slot]); !ok {
			r.keyBuf = r.keyBuf[:start]
			return nil, slot
		}
	}
	return r.keyBuf[start:len(r.keyBuf):len(r.keyBuf)], -1
}

// missingKey says why a key cannot be built from the field at slot.
func (r *Reader) missingKey(slot int) *mortise.RecordError {
	if r.brokenKey(slot) {
		return r.badField(slot)
	}
	detail := "a key field must not be missing or null"
	if r.status[slot] == statusFailed {
		detail = "the derived key field has no value, since a field that it reads is broken or its expression failed"
	}
	return &mortise.RecordError{Reason: mortise.ReasonMissingKey, Field: r.src.slotName(slot), Detail: detail}
}

// brokenKey reports whether the field at slot is there, but of a type that no
// experiment declares, and not nullable.
func (r *Reader) brokenKey(slot int) bool {
	return r.status[slot] == statusIllTyped && r.src.fields[slot].required != 0
}
