package tiling

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	mortise "github.com/mortise-dev/mortise"
)

// parcel is how an event goes through an internal topic on its way to the task of
// its entity: no more of it than the features read. The record's key is the
// entity's; its value is
//
//	1                                      the format
//	partition                              of the source's topic, a uvarint
//	event time                             ms, a varint
//	number << 3 | kind, value              of each field that is not null
//
// A field's number is the store's, and stays its own: whoever reads a parcel skips
// the fields that it does not know, and takes those for null that are not there.
type parcel struct {
	fields  []string // in the order of rows
	numbers []uint32
	slots   []int // by number; -1 for none
}

const parcelFormat = 1

// Kinds of values, in three bits. Changing them changes the format.
const (
	packedFalse = iota
	packedTrue
	packedInt
	packedTime
	packedFloat
	packedText
	packedList
	packedNull // in lists
)

func newParcel(fields []string, numbers []uint32) *parcel {
	p := &parcel{fields: fields, numbers: numbers}
	for i, n := range numbers {
		for int(n) >= len(p.slots) {
			p.slots = append(p.slots, -1)
		}
		p.slots[n] = i
	}
	return p
}

// slot is where rows have a field; -1 for nowhere.
func (p *parcel) slot(field string) int {
	for i, name := range p.fields {
		if name == field {
			return i
		}
	}
	return -1
}

// append packs an event; slots says where row has the parcel's fields.
func (p *parcel) append(dst []byte, partition int32, timeMS int64, row mortise.Row, slots []int) []byte {
	dst = binary.AppendUvarint(append(dst, parcelFormat), uint64(partition))
	dst = binary.AppendVarint(dst, timeMS)
	for i, slot := range slots {
		if v := row[slot]; !v.IsNull() {
			dst = appendPacked(dst, uint64(p.numbers[i]), v)
		}
	}
	return dst
}

// appendPacked appends a value behind its number and kind.
func appendPacked(dst []byte, number uint64, v mortise.Value) []byte {
	dst = binary.AppendUvarint(dst, number<<3|packedKind(v))
	switch v.Kind {
	case mortise.Int, mortise.Timestamp:
		dst = binary.AppendVarint(dst, v.Int())
	case mortise.Float:
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float()))
	case mortise.String:
		dst = append(binary.AppendUvarint(dst, uint64(len(v.Text()))), v.Text()...)
	case mortise.List:
		dst = binary.AppendUvarint(dst, uint64(len(v.List())))
		for _, e := range v.List() {
			dst = appendPacked(dst, 0, e)
		}
	}
	return dst
}

func packedKind(v mortise.Value) uint64 {
	switch v.Kind {
	case mortise.Bool:
		if v.Bool() {
			return packedTrue
		}
		return packedFalse
	case mortise.Int:
		return packedInt
	case mortise.Timestamp:
		return packedTime
	case mortise.Float:
		return packedFloat
	case mortise.String:
		return packedText
	case mortise.List:
		return packedList
	}
	return packedNull
}

var errParcel = errors.New("it is no parcel of features")

// read unpacks an event into row, which has the parcel's fields; its text is that of
// value.
func (p *parcel) read(value []byte, row mortise.Row) (partition int32, timeMS int64, err error) {
	r := unpacker{rest: value}
	if format := r.byte(); format != parcelFormat && !r.bad {
		return 0, 0, fmt.Errorf("it is of format %d, which this version does not know", format)
	}
	from := r.uvarint()
	timeMS = r.varint()
	for i := range row {
		row[i] = mortise.NullValue()
	}
	for len(r.rest) > 0 && !r.bad {
		tag := r.uvarint()
		v := r.value(tag&7, true)
		if n := tag >> 3; n < uint64(len(p.slots)) && p.slots[n] >= 0 {
			row[p.slots[n]] = v
		}
	}
	if r.bad || from >= maxPartitions {
		return 0, 0, errParcel
	}
	return int32(from), timeMS, nil
}

// maxPartitions is more than any topic has.
const maxPartitions = 1 << 20

// unpacker reads a parcel; bad says that it was none.
type unpacker struct {
	rest []byte
	bad  bool
}

func (r *unpacker) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	out := r.rest[:n:n]
	r.rest = r.rest[n:]
	return out
}

func (r *unpacker) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *unpacker) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *unpacker) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// value reads a value of a kind; lists do not lie in lists.
func (r *unpacker) value(kind uint64, lists bool) mortise.Value {
	switch kind {
	case packedFalse, packedTrue:
		return mortise.BoolValue(kind == packedTrue)
	case packedInt:
		return mortise.IntValue(r.varint())
	case packedTime:
		return mortise.TimestampValue(r.varint())
	case packedFloat:
		if b := r.take(8); b != nil {
			return mortise.FloatValue(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
	case packedText:
		return mortise.TextValue(r.take(r.uvarint()))
	case packedList:
		n := r.uvarint()
		if !lists || n > uint64(len(r.rest)) { // an element takes a byte at least
			r.bad = true
			break
		}
		list := make([]mortise.Value, n)
		for i := range list {
			list[i] = r.value(r.uvarint()&7, false)
		}
		return mortise.ListValue(list)
	}
	return mortise.NullValue()
}
