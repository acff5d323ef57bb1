package joiner

// index adds an impression to the pending index; keys are per key set of the main source.
func (t *Task) index(place Cursor, ref Ref, keys [][]byte) uint32 {
	hashes := t.scratch.hashes[:0]
	for i, set := range t.opts.Sources[t.opts.Main].KeySets {
		hashes = append(hashes, hashPending(keys[i], set))
	}
	t.scratch.hashes = hashes
	return t.pending.add(place, ref, hashes)
}

// arrive indexes an impression that has just been taken in and writes its first
// provisional row.
func (t *Task) arrive(e *Entry, ref Ref, keys [][]byte) error {
	duplicate, inherited, err := t.pendingDuplicate(e, keys)
	if err != nil {
		return err
	}
	id := t.index(e.Position(), ref, keys)
	p := t.pending.entry(id)
	p.duplicate = duplicate
	switch {
	case duplicate:
	case inherited != nil: // rows have been written for a later record of the key
		p.windows, p.positives, p.arrivedNegative = inherited.windows, inherited.positives, inherited.arrivedNegative
		if _, err := t.provisional(e, p, false); err != nil {
			return err
		}
	default:
		if _, err := t.provisional(e, p, true); err != nil {
			return err
		}
	}
	return t.markPending(id)
}

// pendingDuplicate reports whether an earlier record of e's key stands for it.
// A later one that stood until now gives way, and what was written for it is
// inherited.
func (t *Task) pendingDuplicate(e *Entry, keys [][]byte) (duplicate bool, inherited *pendingEntry, err error) {
	if !t.opts.Dedup {
		return false, nil, nil
	}
	if t.seen.within(hashSeen(keys[0], 0), e.TimeMS, t.opts.DelayMS) {
		return true, nil, nil
	}
	set := t.opts.Sources[t.opts.Main].KeySets[0]
	t.pending.each(hashPending(keys[0], set), func(p *pendingEntry) bool {
		if p.duplicate || absDiff(p.place.TimeMS, e.TimeMS) >= t.opts.DelayMS {
			return true
		}
		if p.place.Less(e.Position()) {
			duplicate, inherited = true, nil
			return false
		}
		p.duplicate = true
		copied := *p
		inherited = &copied
		err = t.markRows(p)
		return err == nil
	})
	return duplicate, inherited, err
}

// labelArrived writes a provisional row for every pending impression that the
// new label turns positive.
func (t *Task) labelArrived(timeMS int64, source int, keys [][]byte) error {
	places := t.scratch.places[:0]
	for c := range t.classes {
		class := &t.classes[c]
		if class.source != source {
			continue
		}
		t.pending.each(hashPending(keys[class.keyIndex], class.keySet), func(p *pendingEntry) bool {
			if at := p.place.TimeMS; !p.duplicate && timeMS >= at-class.beforeMS && timeMS < at+class.withinMS {
				places = append(places, p.place)
			}
			return true
		})
	}
	t.scratch.places = places
	for _, place := range places {
		p := t.pending.at(place)
		e := &t.scratch.early
		if err := t.impressions.Read(p.ref, e); err != nil {
			return err
		}
		changed, err := t.provisional(e, p, false)
		if err == nil && changed {
			err = t.markRows(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// provisional writes a row ahead of the close: on arrival, and whenever a label
// window turns positive. It reports whether p's state changed.
func (t *Task) provisional(e *Entry, p *pendingEntry, arrival bool) (changed bool, err error) {
	sound := t.prog.Open(e) & e.Accept
	if sound == 0 {
		return false, nil // it is refused when it closes
	}
	windows, err := t.gather(e, sound, false)
	if err != nil {
		return false, err
	}
	fresh := windows &^ p.windows
	if !arrival && fresh == 0 {
		return false, nil
	}
	if !t.silent && e.TimeMS >= t.opts.FromMS {
		em := Emission{Accept: sound, Provisional: true, Positives: int(p.positives), ArrivedNegative: p.arrivedNegative}
		if arrival {
			em.ArrivedNegative = windows == 0
		}
		out, err := t.prog.Emit(em)
		if err != nil {
			return false, err
		}
		t.countProvisional(out.Written)
		if out.Written != 0 {
			t.trace(Trace{Fate: Emitted, Mask: out.Written, Event: e, Emission: em})
		}
	}
	p.windows |= windows
	if t.silent {
		return true, nil // FinishRebuild takes all rows that can have been written for written
	}
	if arrival {
		p.arrivedNegative = windows == 0
	}
	if fresh != 0 {
		p.positives++
	}
	return true, nil
}
