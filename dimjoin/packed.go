package dimjoin

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"

	mortise "github.com/mortise-dev/mortise"
)

// Packing is how stores of bytes keep rows. A row names its fields, by four bytes
// each, so that it can be read with other fields declared than it was written
// with:
//
//	1                            the format
//	for each field not null:     tag (FNV-1a of its name, little-endian), value
//
//	value of a string            's', uvarint length, bytes
//	            int, timestamp   'i', 't', varint
//	            float            'f', its bits, little-endian
//	            bool             'y' or 'n'
//	            null in a list   '0'
//	            list             'l', uvarint items, values
type Packing struct {
	fields mortise.Schema
	tags   []uint32
}

const packedFormat = 1

var errPacked = errors.New("the row is damaged, or not one that was written here")

// NewPacking makes one for the fields of a dimension.
func NewPacking(fields mortise.Schema) (*Packing, error) {
	p := &Packing{fields, make([]uint32, len(fields))}
	names := map[uint32]string{}
	for i, f := range fields {
		h := fnv.New32a()
		h.Write([]byte(f.Name))
		tag := h.Sum32()
		if other, taken := names[tag]; taken {
			return nil, fmt.Errorf("the fields %s and %s cannot stand in one packed row: rename one", other, f.Name)
		}
		names[tag], p.tags[i] = f.Name, tag
	}
	return p, nil
}

// Append appends a row.
func (p *Packing) Append(dst []byte, row mortise.Row) []byte {
	dst = append(dst, packedFormat)
	for i, v := range row {
		if !v.IsNull() {
			dst = AppendValue(binary.LittleEndian.AppendUint32(dst, p.tags[i]), v)
		}
	}
	return dst
}

// Read reads a row. Nothing of it aliases data. What it has of other fields is
// passed over, and those it lacks are null; the error says what does not fit.
func (p *Packing) Read(data []byte) (mortise.Row, error) {
	if len(data) > MaxRowBytes {
		return nil, ErrTooLarge(len(data))
	}
	if len(data) == 0 || data[0] != packedFormat {
		return nil, errPacked
	}
	data = bytes.Clone(data[1:])
	row := nulls(len(p.fields))
	for at, next := 0, 0; at < len(data); {
		if len(data)-at < 4 {
			return nil, errPacked
		}
		tag := binary.LittleEndian.Uint32(data[at:])
		v, end := ReadValue(data, at+4)
		if end < 0 {
			return nil, errPacked
		}
		at = end
		if i := p.find(tag, next); i >= 0 {
			row[i], next = v, i+1
		}
	}
	return row, FitRow(p.fields, row)
}

// find finds a tag's field, which mostly is the next one.
func (p *Packing) find(tag uint32, next int) int {
	for n := range p.tags {
		if i := (next + n) % len(p.tags); p.tags[i] == tag {
			return i
		}
	}
	return -1
}

func nulls(n int) mortise.Row {
	row := make(mortise.Row, n)
	for i := range row {
		row[i] = mortise.NullValue()
	}
	return row
}

// AppendValue appends a value as a packed row has it.
func AppendValue(dst []byte, v mortise.Value) []byte {
	switch v.Kind {
	case mortise.String:
		return append(binary.AppendUvarint(append(dst, 's'), uint64(len(v.Text()))), v.Text()...)
	case mortise.Int:
		return binary.AppendVarint(append(dst, 'i'), v.Int())
	case mortise.Timestamp:
		return binary.AppendVarint(append(dst, 't'), v.Int())
	case mortise.Float:
		return binary.LittleEndian.AppendUint64(append(dst, 'f'), math.Float64bits(v.Float()))
	case mortise.Bool:
		if v.Bool() {
			return append(dst, 'y')
		}
		return append(dst, 'n')
	case mortise.List:
		dst = binary.AppendUvarint(append(dst, 'l'), uint64(len(v.List())))
		for _, e := range v.List() {
			dst = AppendValue(dst, e)
		}
		return dst
	}
	return append(dst, '0')
}

// ReadValue reads the value at i, which aliases data; next is -1 where there is none.
func ReadValue(data []byte, i int) (v mortise.Value, next int) { return readValue(data, i, true) }

func readValue(data []byte, i int, lists bool) (v mortise.Value, next int) {
	if i >= len(data) {
		return v, -1
	}
	kind, body := data[i], data[i+1:]
	i++
	switch kind {
	case '0':
		return mortise.NullValue(), i
	case 'y', 'n':
		return mortise.BoolValue(kind == 'y'), i
	case 'i', 't':
		n, used := binary.Varint(body)
		if used <= 0 {
			return v, -1
		}
		if kind == 't' {
			return mortise.TimestampValue(n), i + used
		}
		return mortise.IntValue(n), i + used
	case 'f':
		if len(body) < 8 {
			return v, -1
		}
		return mortise.FloatValue(math.Float64frombits(binary.LittleEndian.Uint64(body))), i + 8
	case 's':
		n, used := binary.Uvarint(body)
		if used <= 0 || n > uint64(len(body)-used) {
			return v, -1
		}
		end := used + int(n)
		return mortise.TextValue(body[used:end:end]), i + end
	case 'l':
		if lists {
			return readList(data, i)
		}
	}
	return v, -1
}

func readList(data []byte, i int) (v mortise.Value, next int) {
	n, used := binary.Uvarint(data[i:])
	if used <= 0 || n > uint64(len(data)-i-used) { // an item has a byte at least
		return v, -1
	}
	i += used
	list := make([]mortise.Value, n)
	for k := range list {
		if list[k], i = readValue(data, i, false); i < 0 {
			return v, -1
		}
	}
	return mortise.ListValue(list), i
}
