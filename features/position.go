package features

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Position is where a task stands: it is committed with the tiles.
type Position struct {
	// Meta is the task's own: the offsets from which it goes on.
	Meta []byte
	// WatermarkMS is the source's: no event before it is still to come, so that
	// tiles that end at or before it are final.
	WatermarkMS int64
	// LatestMS is the largest event time that was added, math.MinInt64 for none.
	LatestMS int64
	// Shard is where the task's tiles lie.
	Shard uint16

	commits  uint64 // tells apart positions that are otherwise equal
	complete []completeness
}

// completeness says from which event time on a level of a column holds every event.
type completeness struct {
	group  uint16
	column uint32
	level  uint8
	fromMS int64
}

func (c completeness) order(o completeness) int {
	return cmp.Or(cmp.Compare(c.group, o.group), cmp.Compare(c.column, o.column), cmp.Compare(c.level, o.level))
}

const positionFormat = 1

// find returns the entry of a column's level, nil if the task never wrote it.
func (p *Position) find(group uint16, column uint32, level int) *completeness {
	at, found := slices.BinarySearchFunc(p.complete, completeness{group: group, column: column, level: uint8(level)}, completeness.order)
	if !found {
		return nil
	}
	return &p.complete[at]
}

// declare adds a column's level if it is new: complete from fromMS on.
func (p *Position) declare(group uint16, column uint32, level int, fromMS int64) {
	c := completeness{group, column, uint8(level), fromMS}
	if at, found := slices.BinarySearchFunc(p.complete, c, completeness.order); !found {
		p.complete = slices.Insert(p.complete, at, c)
	}
}

func (p *Position) encode() []byte {
	dst := []byte{positionFormat}
	dst = binary.AppendUvarint(dst, p.commits)
	dst = binary.AppendUvarint(dst, uint64(p.Shard))
	dst = appendVarint(appendVarint(dst, p.WatermarkMS), p.LatestMS)
	dst = appendText(dst, p.Meta)
	dst = binary.AppendUvarint(dst, uint64(len(p.complete)))
	for _, c := range p.complete {
		dst = binary.AppendUvarint(dst, uint64(c.group))
		dst = binary.AppendUvarint(dst, uint64(c.column))
		dst = appendVarint(append(dst, c.level), c.fromMS)
	}
	return dst
}

// ParsePosition reads a position as Store.Positions returns it. The error wraps
// ErrCorrupt.
func ParsePosition(data []byte) (*Position, error) {
	d := decoder{data: data}
	if format := d.byte(); format != positionFormat && !d.bad {
		return nil, fmt.Errorf("a position in format %d, which this version does not know: %w", format, ErrCorrupt)
	}
	p := &Position{commits: d.uvarint()}
	shard := d.uvarint()
	p.Shard, p.WatermarkMS, p.LatestMS = uint16(shard), d.varint(), d.varint()
	p.Meta = slices.Clone(d.text())
	if shard > math.MaxUint16 {
		d.fail()
	}
	for range d.count() {
		group, column, level, fromMS := d.uvarint(), d.uvarint(), d.byte(), d.varint()
		c := completeness{uint16(group), uint32(column), level, fromMS}
		if n := len(p.complete); group > math.MaxUint16 || column > math.MaxUint32 || level >= maxLevels || n > 0 && p.complete[n-1].order(c) >= 0 {
			d.fail()
			break
		}
		p.complete = append(p.complete, c)
	}
	if err := d.done(); err != nil {
		return nil, fmt.Errorf("reading a task's position: %w", err)
	}
	return p, nil
}
