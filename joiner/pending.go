package joiner

import (
	"encoding/binary"
	"slices"
)

// pendingIndex finds pending impressions by key and by position, which only
// provisional rows need: a label that arrives looks for the impressions that it
// turns positive. Entries are numbered; entry i's key of set k is number
// i*sets+k in byKey.
type pendingIndex struct {
	sets    int // key sets of the main source
	byKey   chains
	byPlace chains
	pages   [][]pendingEntry
	used    uint32   // entries ever numbered
	free    []uint32 // to be numbered again
}

const pendingPage = 1 << 12

// pendingEntry is what is remembered of one pending impression.
type pendingEntry struct {
	place           Cursor
	ref             Ref
	windows         uint64 // label windows that have turned positive
	positives       uint16 // provisional rows written because a label arrived
	arrivedNegative bool   // there was no label when it came
	duplicate       bool   // an earlier one of its key is pending: nothing provisional
}

func newPendingIndex(sets int) *pendingIndex {
	return &pendingIndex{sets: sets, byKey: newChains(), byPlace: newChains()}
}

// hashPending hashes an impression's key of a key set.
func hashPending(key []byte, keySet int) uint64 { return hashLabel(key, 1<<16, keySet) }

func hashPlace(c Cursor) uint64 {
	z := uint64(c.TimeMS)*0x9e3779b97f4a7c15 ^ uint64(c.Offset)*0xbf58476d1ce4e5b9 ^ uint64(c.Partition)<<32
	z = (z ^ z>>29) * 0x94d049bb133111eb
	return z ^ z>>32
}

func (p *pendingIndex) entry(id uint32) *pendingEntry {
	return &p.pages[id/pendingPage][id%pendingPage]
}

// hash returns the hash of an entry's key of a set.
func (p *pendingIndex) hash(id uint32, set int) uint64 {
	return p.byKey.node(id*uint32(p.sets) + uint32(set)).hash
}

// add links an entry and returns its number, valid until it is taken.
func (p *pendingIndex) add(place Cursor, ref Ref, hashes []uint64) uint32 {
	var id uint32
	if n := len(p.free); n > 0 {
		id, p.free = p.free[n-1], p.free[:n-1]
	} else {
		id = p.number()
	}
	*p.entry(id) = pendingEntry{place: place, ref: ref}
	for set, h := range hashes {
		key := id*uint32(p.sets) + uint32(set)
		p.byKey.set(key, h)
		p.byKey.link(key)
	}
	p.byPlace.set(id, hashPlace(place))
	p.byPlace.link(id)
	return id
}

func (p *pendingIndex) number() uint32 {
	id := p.used
	if p.used++; int(id/pendingPage) == len(p.pages) {
		p.pages = append(p.pages, make([]pendingEntry, pendingPage))
	}
	return id
}

// find returns the number of the impression at place, noNode when it is not pending.
func (p *pendingIndex) find(place Cursor) uint32 {
	h := hashPlace(place)
	id := p.byPlace.first(h)
	for id != noNode && p.entry(id).place != place {
		id = p.byPlace.after(id, h)
	}
	return id
}

// at returns the entry of the impression at place, nil when it is not pending.
func (p *pendingIndex) at(place Cursor) *pendingEntry {
	if id := p.find(place); id != noNode {
		return p.entry(id)
	}
	return nil
}

// take removes and returns the entry of e, nil if there is none; it is valid
// until the next add.
func (p *pendingIndex) take(e *Entry) *pendingEntry {
	id := p.find(e.Position())
	if id == noNode {
		return nil
	}
	p.byPlace.unlink(id)
	for set := range p.sets {
		p.byKey.unlink(id*uint32(p.sets) + uint32(set))
	}
	p.free = append(p.free, id)
	return p.entry(id)
}

// each calls fn for every pending entry with the hash, the newest first, until
// it returns false.
func (p *pendingIndex) each(hash uint64, fn func(*pendingEntry) bool) {
	for key := p.byKey.first(hash); key != noNode; key = p.byKey.after(key, hash) {
		if !fn(p.entry(key / uint32(p.sets))) {
			return
		}
	}
}

// all calls fn for every pending entry, in order of number, until the first error.
func (p *pendingIndex) all(fn func(*pendingEntry) error) error {
	free := slices.Sorted(slices.Values(p.free))
	for id := range p.used {
		if len(free) > 0 && free[0] == id {
			free = free[1:]
			continue
		}
		if err := fn(p.entry(id)); err != nil {
			return err
		}
	}
	return nil
}

// load adds the entries of a pack that lie at or after since, unlinked.
func (p *pendingIndex) load(startMS int64, rows []byte, since Cursor) error {
	size := pendingRow + 8*p.sets
	if len(rows)%size != 0 {
		return badRows(packPending, "length")
	}
	le := binary.LittleEndian
	for ; len(rows) > 0; rows = rows[size:] {
		place := readPlace(rows, startMS)
		if place.Less(since) {
			continue
		}
		id := p.number()
		e := p.entry(id)
		*e = pendingEntry{place: place, ref: Ref{le.Uint32(rows[16:]), le.Uint32(rows[20:])}}
		readState(rows[24:], e)
		for set := range p.sets {
			p.byKey.set(id*uint32(p.sets)+uint32(set), le.Uint64(rows[pendingRow+8*set:]))
		}
		p.byPlace.set(id, hashPlace(place))
	}
	return nil
}

// linkAll links what load added.
func (p *pendingIndex) linkAll() {
	p.byKey.reserve(int(p.used) * p.sets)
	p.byPlace.reserve(int(p.used))
	for id := range p.used {
		p.byPlace.link(id)
	}
	for key := range p.used * uint32(p.sets) {
		p.byKey.link(key)
	}
}

// apply takes over the states of a pack, once its impressions are linked; of
// those that are not pending there is nothing to know.
func (p *pendingIndex) apply(startMS int64, rows []byte) error {
	if len(rows)%provisional != 0 {
		return badRows(packRows, "length")
	}
	for ; len(rows) > 0; rows = rows[provisional:] {
		if e := p.at(readPlace(rows, startMS)); e != nil {
			readState(rows[16:], e)
		}
	}
	return nil
}
