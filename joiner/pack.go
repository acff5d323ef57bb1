package joiner

import (
	"math"
	"slices"
)

// A pack is many small rows of one kind and one bucket of event time, written to
// a log as one entry: a row costs no header, no checksum and no varints of its
// own, and reopening reads it at the speed of memory. Rows are appended in
// memory and reach the log when the pack is full, and with every commit.
type pack struct {
	kind   packKind
	timeMS int64  // start of its bucket: the entry's event time
	key    []byte // the entry's key
	rows   []byte
	low    int64 // least offset of a main record that must be read again for these rows to come about
	first  *pack // the one whose rows these refer to, and which is written before; nil if none
	open   bool  // among the packer's open ones
}

// packKind is an entry's Flags. In this order packs of one bucket are written.
type packKind uint16

const (
	packKept    packKind = iota + 1 // Seen: keys of kept impressions
	packLabels                      // Index: nodes of the label index
	packFates                       // Index: what impressions did to labels
	packPending                     // Index: pending impressions, under Early
	packRows                        // Index: the provisional rows of pending impressions
	numPackKinds
)

// packBytes is the size at which a pack is written.
const packBytes = 16 << 10

// noSource is the Source of a pack that makes no rebuild reach back.
const noSource = math.MaxUint16

// packer collects a task's packs.
type packer struct {
	seen, index Log
	main        uint16 // the source that lows belong to
	spanMS      int64  // of the logs' buckets
	byTime      map[packTime]*pack
	last        [numPackKinds]*pack // of byTime, used last
	open        []*pack             // with rows that no log has
	entry       Entry
}

type packTime struct {
	kind   packKind
	timeMS int64
}

// at returns the pack of a kind for rows of an event time.
func (p *packer) at(kind packKind, timeMS int64) *pack {
	if last := p.last[kind]; last != nil && timeMS >= last.timeMS && timeMS-last.timeMS < p.spanMS {
		return last
	}
	key := packTime{kind, floorTo(timeMS, p.spanMS)}
	pk := p.byTime[key]
	if pk == nil {
		pk = newPack(kind, key.timeMS)
		if kind == packRows {
			pk.first = p.at(packPending, timeMS)
		}
		p.byTime[key] = pk
	}
	p.last[kind] = pk
	return pk
}

func newPack(kind packKind, timeMS int64) *pack {
	return &pack{kind: kind, timeMS: timeMS, low: math.MaxInt64}
}

// added takes notice of a row that was appended to pk.rows; offset is that of
// the main record behind it, math.MaxInt64 for none.
func (p *packer) added(pk *pack, offset int64) error {
	pk.low = min(pk.low, offset)
	if !pk.open {
		pk.open = true
		p.open = append(p.open, pk)
	}
	if len(pk.rows) < packBytes {
		return nil
	}
	return p.write(pk)
}

// write appends a pack's rows to its log. The pack stays open, and empty.
func (p *packer) write(pk *pack) error {
	if len(pk.rows) == 0 {
		return nil
	}
	if pk.first != nil {
		if err := p.write(pk.first); err != nil {
			return err
		}
	}
	e, log := &p.entry, p.index
	*e = Entry{TimeMS: pk.timeMS, Source: noSource, Flags: uint16(pk.kind), Key: pk.key, Value: pk.rows}
	if pk.low != math.MaxInt64 {
		e.Source, e.Offset = p.main, pk.low
	}
	if pk.kind == packKept {
		log = p.seen
	}
	if _, err := log.Append(e); err != nil {
		return err
	}
	pk.rows, pk.low = pk.rows[:0], math.MaxInt64
	return nil
}

// writeAll appends all rows to their logs, for a commit.
func (p *packer) writeAll() error {
	for _, pk := range p.open {
		if err := p.write(pk); err != nil {
			return err
		}
		pk.open = false
	}
	clear(p.open)
	p.open = p.open[:0]
	// Those of a bucket of time are found anew; their buckets come and go.
	clear(p.byTime)
	clear(p.last[:])
	return nil
}

// forget gives up packs whose bucket nothing needs any more.
func (p *packer) forget(packs ...*pack) {
	for _, pk := range packs {
		pk.rows, pk.low = nil, math.MaxInt64
	}
}

// forgetBefore gives up the packs of a kind whose bucket ends at or before timeMS.
func (p *packer) forgetBefore(timeMS int64, kinds ...packKind) {
	for key, pk := range p.byTime {
		if key.timeMS+p.spanMS <= timeMS && slices.Contains(kinds, key.kind) {
			p.forget(pk)
		}
	}
}

// low returns the least offset of the main source that rows not yet in a log need.
func (p *packer) low() int64 {
	low := int64(math.MaxInt64)
	for _, pk := range p.open {
		low = min(low, pk.low)
	}
	return low
}
