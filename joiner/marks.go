package joiner

import (
	"encoding/binary"
	"fmt"
)

// Marks are small facts about events whose payload may be gone or is never
// rewritten. They lie in the Seen log, are only read when a task is reopened,
// and name their kind in Entry.Flags.
const (
	markKept     = 1 // Key: hash of a kept impression's key (dedup)
	markAttached = 2 // Key: hash and ref of a label; Accept: experiments
	markRefused  = 3 // as markAttached: experiments that cannot read the label
	markEmitted  = 4 // Key: provisional rows so far of the impression at (TimeMS, Partition, Offset)
)

// markSizes is the length of a mark's key, by kind; kind 0 does not exist.
var markSizes = [...]int{-1, markKept: 11, markAttached: 16, markRefused: 16, markEmitted: 11}

func (t *Task) markKept(e *Entry, h keyHash) error {
	b := binary.LittleEndian.AppendUint64(t.scratch.mark[:0], h.hi)
	b = append(b, byte(h.lo), byte(h.lo>>8), byte(h.lo>>16))
	return t.mark(Entry{TimeMS: e.TimeMS, Partition: e.Partition, Offset: e.Offset, Source: e.Source, Flags: markKept, Key: b})
}

// markLabel notes what impression e did to a label. The mark is kept as long as
// the label (its time), and makes a rebuild reach back to e (its offset), which
// must be read again for the label's account to come out the same.
func (t *Task) markLabel(kind uint16, e *Entry, owner *labelNode, f *candidate, mask uint32) error {
	ref := t.labels.ref(owner.owner &^ behindBit)
	b := binary.LittleEndian.AppendUint64(t.scratch.mark[:0], owner.hash)
	b = binary.LittleEndian.AppendUint32(b, ref.File)
	b = binary.LittleEndian.AppendUint32(b, ref.Off)
	return t.mark(Entry{TimeMS: f.timeMS, Partition: e.Partition, Offset: e.Offset, Source: e.Source, Flags: kind, Accept: mask, Key: b})
}

func (t *Task) markProvisional(e *Entry, p *pendingEntry) error {
	b := binary.LittleEndian.AppendUint16(t.scratch.mark[:0], p.positives)
	b = binary.LittleEndian.AppendUint64(b, p.windows)
	if p.arrivedNegative {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	return t.mark(Entry{TimeMS: e.TimeMS, Partition: e.Partition, Offset: e.Offset, Source: e.Source, Flags: markEmitted, Key: b})
}

// mark appends a mark; the entry is the task's own, so that it costs no allocation.
func (t *Task) mark(e Entry) error {
	t.scratch.marking = e
	_, err := t.marks.Append(&t.scratch.marking)
	return err
}

// applyMark restores one fact on reopening, after the indexes of labels and
// pending impressions stand.
func (t *Task) applyMark(e *Entry) error {
	if int(e.Flags) >= len(markSizes) || len(e.Key) != markSizes[e.Flags] {
		return fmt.Errorf("mark of kind %d with %d bytes: %w", e.Flags, len(e.Key), ErrCorrupt)
	}
	b := e.Key
	switch e.Flags {
	case markKept:
		h := keyHash{binary.LittleEndian.Uint64(b), uint32(b[8]) | uint32(b[9])<<8 | uint32(b[10])<<16}
		t.seen.put(h, e.TimeMS)
	case markAttached, markRefused:
		hash, ref := binary.LittleEndian.Uint64(b), Ref{binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])}
		for id := t.labels.first(hash); id != noNode; id = t.labels.after(id, hash) {
			if n := t.labels.node(id); t.labels.ref(id) == ref && n.owner&^behindBit == id {
				if e.Flags == markAttached {
					n.attached |= e.Accept
				} else {
					n.accept &^= e.Accept
				}
				break
			}
		}
	case markEmitted:
		if t.pending != nil {
			if p := t.pending.at(e.Position()); p != nil {
				p.positives = binary.LittleEndian.Uint16(b)
				p.windows = binary.LittleEndian.Uint64(b[2:])
				p.arrivedNegative = b[10] != 0
			}
		}
	}
	return nil
}
