package joiner

// pendingIndex finds pending impressions by key, which only provisional rows
// need: a label that arrives looks for the impressions that it turns positive.
type pendingIndex struct {
	heads   map[uint64]uint32 // hash of (key set, key) → newest node
	nodes   []pendingNode
	entries []pendingEntry
	byPlace map[Cursor]uint32 // entry by position
	freeN   []uint32
	freeE   []uint32
}

type pendingNode struct {
	hash  uint64
	next  uint32
	entry uint32
}

// pendingEntry is what is remembered of one pending impression.
type pendingEntry struct {
	place           Cursor
	ref             Ref
	windows         uint64 // label windows that have turned positive
	positives       uint16 // provisional rows written because a label arrived
	arrivedNegative bool   // there was no label when it came
	duplicate       bool   // an earlier one of its key is pending: nothing provisional
	nodes           []uint32
}

func newPendingIndex() *pendingIndex {
	return &pendingIndex{heads: map[uint64]uint32{}, byPlace: map[Cursor]uint32{}}
}

// hashPending hashes an impression's key of a key set.
func hashPending(key []byte, keySet int) uint64 { return hashLabel(key, 1<<16, keySet) }

func (p *pendingIndex) add(place Cursor, ref Ref, hashes []uint64) *pendingEntry {
	var id uint32
	if n := len(p.freeE); n > 0 {
		id, p.freeE = p.freeE[n-1], p.freeE[:n-1]
	} else {
		id = uint32(len(p.entries))
		p.entries = append(p.entries, pendingEntry{})
	}
	e := &p.entries[id]
	*e = pendingEntry{place: place, ref: ref, nodes: e.nodes[:0]}
	for _, h := range hashes {
		head, ok := p.heads[h]
		if !ok {
			head = noNode
		}
		n := p.newNode(pendingNode{hash: h, next: head, entry: id})
		p.heads[h] = n
		e.nodes = append(e.nodes, n)
	}
	p.byPlace[place] = id
	return e
}

func (p *pendingIndex) newNode(n pendingNode) uint32 {
	if k := len(p.freeN); k > 0 {
		id := p.freeN[k-1]
		p.freeN = p.freeN[:k-1]
		p.nodes[id] = n
		return id
	}
	p.nodes = append(p.nodes, n)
	return uint32(len(p.nodes) - 1)
}

// at returns the entry of the impression at place, nil when it is not pending.
func (p *pendingIndex) at(place Cursor) *pendingEntry {
	if id, ok := p.byPlace[place]; ok {
		return &p.entries[id]
	}
	return nil
}

// take removes and returns the entry of e; it is valid until the next add.
func (p *pendingIndex) take(e *Entry) *pendingEntry {
	id, ok := p.byPlace[e.Position()]
	if !ok {
		return nil
	}
	delete(p.byPlace, e.Position())
	entry := &p.entries[id]
	for _, n := range entry.nodes {
		p.unlink(n)
	}
	p.freeE = append(p.freeE, id)
	return entry
}

func (p *pendingIndex) unlink(id uint32) {
	n := p.nodes[id]
	head := p.heads[n.hash]
	switch {
	case head == id && n.next == noNode:
		delete(p.heads, n.hash)
	case head == id:
		p.heads[n.hash] = n.next
	default:
		at := head
		for p.nodes[at].next != id {
			at = p.nodes[at].next
		}
		p.nodes[at].next = n.next
	}
	p.freeN = append(p.freeN, id)
}

// each calls fn for every pending entry with the hash, until it returns false.
func (p *pendingIndex) each(hash uint64, fn func(*pendingEntry) bool) {
	id, ok := p.heads[hash]
	for ok && id != noNode {
		next := p.nodes[id].next
		if !fn(&p.entries[p.nodes[id].entry]) {
			return
		}
		id = next
	}
}

// index adds an impression to the pending index; keys are per key set of the main source.
func (t *Task) index(place Cursor, ref Ref, keys [][]byte) *pendingEntry {
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
	duplicate, inherited := t.pendingDuplicate(e, keys)
	p := t.index(e.Position(), ref, keys)
	if p.duplicate = duplicate; duplicate {
		return nil
	}
	if inherited != nil { // rows have been written for a later record of the key
		p.windows, p.positives, p.arrivedNegative = inherited.windows, inherited.positives, inherited.arrivedNegative
		return t.markProvisional(e, p)
	}
	return t.provisional(e, p, true)
}

// pendingDuplicate reports whether an earlier record of e's key stands for it.
// A later one that stood until now gives way, and what was written for it is
// inherited.
func (t *Task) pendingDuplicate(e *Entry, keys [][]byte) (duplicate bool, inherited *pendingEntry) {
	if !t.opts.Dedup {
		return false, nil
	}
	if t.seen.within(hashSeen(keys[0], 0), e.TimeMS, t.opts.DelayMS) {
		return true, nil
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
		return true
	})
	return duplicate, inherited
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
		if err := t.provisional(e, p, false); err != nil {
			return err
		}
	}
	return nil
}

// provisional writes a row ahead of the close: on arrival, and whenever a label
// window turns positive.
func (t *Task) provisional(e *Entry, p *pendingEntry, arrival bool) error {
	sound := t.prog.Open(e) & e.Accept
	if sound == 0 {
		return nil // it is refused when it closes
	}
	windows, err := t.gather(e, sound, false)
	if err != nil {
		return err
	}
	fresh := windows &^ p.windows
	if !arrival && fresh == 0 {
		return nil
	}
	if !t.silent {
		em := Emission{Accept: sound, Provisional: true, Positives: int(p.positives), ArrivedNegative: p.arrivedNegative}
		if arrival {
			em.ArrivedNegative = windows == 0
		}
		out, err := t.prog.Emit(em)
		if err != nil {
			return err
		}
		t.countProvisional(out.Written)
		if out.Written != 0 {
			t.trace(Trace{Fate: Emitted, Mask: out.Written, Event: e, Emission: em})
		}
	}
	p.windows |= windows
	if arrival {
		p.arrivedNegative = windows == 0
	}
	if fresh != 0 {
		p.positives++
	}
	return t.markProvisional(e, p)
}
