package joiner

import (
	"encoding/binary"
	"fmt"
	"math"
)

// What the tables in memory know is written beside the logs, in packs of rows of
// a fixed size, little-endian; times are since the start of the pack's bucket:
//
//	kept     hash (8), hash and time (8, as in seenSlot)
//	labels   hash (8), time (4), Ref.Off (4), accept (4), flags (1); the key is Ref.File (4)
//	fates    number of the label in its file (4), Ref.Off (4), experiments (4), flags (1); the key is Ref.File (4)
//	pending  time (4), partition (4), offset (8), Ref.File (4), Ref.Off (4), state (11), a hash (8) per key set
//	rows     time (4), partition (4), offset (8), state (11)
//
// The state of a pending impression is the windows that turned positive (8), the
// rows written because of one (2), and flags (1).
const (
	keptBytes   = 16
	labelRow    = 21
	fateRow     = 13
	pendingRow  = 35 // and 8 per key set
	provisional = 27

	rowBehind  = 1 // labels: it came behind the watermark
	rowSibling = 2 // labels: another key of the label in the row before
	rowRefused = 1 // fates: the experiments cannot read the label; otherwise it attached for them

	stateNegative  = 1 // there was no label when it came
	stateDuplicate = 2 // an earlier one of its key stands for it
)

// badRows says that a pack cannot be what was written.
func badRows(kind packKind, what string) error {
	return fmt.Errorf("pack of kind %d: %s: %w", kind, what, ErrCorrupt)
}

func (t *Task) markKept(e *Entry, h keyHash) error {
	pk := t.packs.at(packKept, e.TimeMS)
	slot := slotOf(h, e.TimeMS-pk.timeMS)
	pk.rows = binary.LittleEndian.AppendUint64(pk.rows, slot.hi)
	pk.rows = binary.LittleEndian.AppendUint64(pk.rows, slot.loTime)
	return t.packs.added(pk, e.Offset)
}

// markLabel notes a node that was added to the label index.
func (t *Task) markLabel(id uint32, sibling bool) error {
	b, n := t.labels.bucketOf(id), t.labels.node(id)
	var flags byte
	if n.owner&behindBit != 0 {
		flags |= rowBehind
	}
	if sibling {
		flags |= rowSibling
	}
	pk := b.labels
	pk.rows = binary.LittleEndian.AppendUint64(pk.rows, n.hash)
	pk.rows = binary.LittleEndian.AppendUint32(pk.rows, n.deltaMS)
	pk.rows = binary.LittleEndian.AppendUint32(pk.rows, n.off)
	pk.rows = binary.LittleEndian.AppendUint32(pk.rows, n.accept)
	pk.rows = append(pk.rows, flags)
	return t.packs.added(pk, math.MaxInt64)
}

// markFate notes what the impression at an offset did to a label. The row is
// kept as long as the label, and makes a rebuild reach back to the impression,
// which must be read again for the label's account to come out the same.
func (t *Task) markFate(offset int64, owner *labelNode, mask uint32, flags byte) error {
	id := owner.owner &^ behindBit
	pk := t.labels.bucketOf(id).fates
	pk.rows = binary.LittleEndian.AppendUint32(pk.rows, t.labels.number(id))
	pk.rows = binary.LittleEndian.AppendUint32(pk.rows, owner.off)
	pk.rows = binary.LittleEndian.AppendUint32(pk.rows, mask)
	pk.rows = append(pk.rows, flags)
	return t.packs.added(pk, offset)
}

// markPending notes an impression that was added to the pending index.
func (t *Task) markPending(id uint32) error {
	p := t.pending.entry(id)
	pk := t.packs.at(packPending, p.place.TimeMS)
	pk.rows = appendPlace(pk.rows, p.place, pk.timeMS)
	pk.rows = binary.LittleEndian.AppendUint32(pk.rows, p.ref.File)
	pk.rows = binary.LittleEndian.AppendUint32(pk.rows, p.ref.Off)
	pk.rows = appendState(pk.rows, p)
	for set := range t.pending.sets {
		pk.rows = binary.LittleEndian.AppendUint64(pk.rows, t.pending.hash(id, set))
	}
	return t.packs.added(pk, math.MaxInt64)
}

// markRows notes that the state of a pending impression has changed.
func (t *Task) markRows(p *pendingEntry) error {
	pk := t.packs.at(packRows, p.place.TimeMS)
	pk.rows = appendPlace(pk.rows, p.place, pk.timeMS)
	pk.rows = appendState(pk.rows, p)
	return t.packs.added(pk, math.MaxInt64)
}

func appendPlace(dst []byte, c Cursor, startMS int64) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(c.TimeMS-startMS))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(c.Partition))
	return binary.LittleEndian.AppendUint64(dst, uint64(c.Offset))
}

func readPlace(row []byte, startMS int64) Cursor {
	le := binary.LittleEndian
	return Cursor{TimeMS: startMS + int64(le.Uint32(row)), Partition: int32(le.Uint32(row[4:])), Offset: int64(le.Uint64(row[8:]))}
}

func appendState(dst []byte, p *pendingEntry) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, p.windows)
	dst = binary.LittleEndian.AppendUint16(dst, p.positives)
	var flags byte
	if p.arrivedNegative {
		flags |= stateNegative
	}
	if p.duplicate {
		flags |= stateDuplicate
	}
	return append(dst, flags)
}

func readState(row []byte, p *pendingEntry) {
	p.windows = binary.LittleEndian.Uint64(row)
	p.positives = binary.LittleEndian.Uint16(row[8:])
	p.arrivedNegative = row[10]&stateNegative != 0
	p.duplicate = row[10]&stateDuplicate != 0
}
