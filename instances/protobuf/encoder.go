package protobuf

import (
	"encoding/binary"
	"math"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/internal/wire"
)

// Encoder writes an instance as one message of the schema that Schema gives: its
// fields in the order of their numbers, text always valid UTF-8, and numbers that
// are not finite not set.
type Encoder struct {
	frame   []byte
	columns []field
	text    instances.Text
}

var _ instances.Encoder = (*Encoder)(nil)

// field is a column with its tag.
type field struct {
	column
	tag []byte
}

// NewEncoder makes an encoder of the columns. Every value begins with frame, such
// as the schema's id and MessageIndexes; it may be empty.
func NewEncoder(c *instances.Columns, frame []byte) *Encoder {
	e := &Encoder{frame: frame}
	for _, col := range columnsOf(c) {
		typ := wireType(col.kind)
		if col.kind == mortise.List {
			typ = wire.Bytes
		}
		e.columns = append(e.columns, field{col, wire.AppendTag(nil, col.number, typ)})
	}
	return e
}

func wireType(kind mortise.Kind) wire.Type {
	switch kind {
	case mortise.Float:
		return wire.Fixed64
	case mortise.String:
		return wire.Bytes
	}
	return wire.Varint
}

// Append appends the instance. It does not allocate where dst has room.
func (e *Encoder) Append(dst []byte, in *instances.Instance) []byte {
	dst = append(dst, e.frame...)
	for i := range e.columns {
		dst = e.append(dst, &e.columns[i], in)
	}
	return dst
}

func (e *Encoder) append(dst []byte, f *field, in *instances.Instance) []byte {
	switch f.part {
	case instances.PartID:
		return e.appendText(dst, f, in.ID)
	case instances.PartTime:
		return appendInt(dst, f, in.TimeMS)
	case instances.PartLabel:
		if v := &in.Labels[f.at]; v.Count > 0 {
			return appendFloat(dst, f, v.Value)
		}
	case instances.PartLabelTime:
		if v := &in.Labels[f.at]; v.Count > 0 {
			return appendInt(dst, f, v.FirstMS)
		}
	case instances.PartLabelCount:
		return appendInt(dst, f, in.Labels[f.at].Count)
	case instances.PartSelected:
		return e.appendValue(dst, f, &in.Selected[f.at])
	case instances.PartWeight:
		return appendFloat(dst, f, in.Weight)
	case instances.PartRevision:
		return appendInt(dst, f, int64(in.Revision))
	case instances.PartFinal:
		return appendInt(dst, f, bit(in.Final))
	case instances.PartLate:
		return appendInt(dst, f, bit(in.Late))
	case instances.PartDegraded:
		for _, text := range in.Degraded {
			valid := e.text.ValidString(text)
			dst = append(binary.AppendUvarint(append(dst, f.tag...), uint64(len(valid))), valid...)
		}
	}
	return dst
}

func (e *Encoder) appendValue(dst []byte, f *field, v *mortise.Value) []byte {
	switch {
	case v.IsNull():
		return dst
	case f.kind == mortise.List:
		return e.appendList(dst, f, v.List())
	case f.kind == mortise.String:
		return e.appendText(dst, f, v.Text())
	case f.kind == mortise.Float:
		if number, _ := v.Number(); isFinite(number) {
			return appendFloat(dst, f, number)
		}
		return dst
	case f.kind == mortise.Bool:
		return appendInt(dst, f, bit(v.Bool()))
	}
	return appendInt(dst, f, v.Int())
}

// A field that is not optional is left out where it has its zero value.

func (e *Encoder) appendText(dst []byte, f *field, text []byte) []byte {
	if len(text) == 0 && !f.optional {
		return dst
	}
	text = e.text.Valid(text)
	return append(binary.AppendUvarint(append(dst, f.tag...), uint64(len(text))), text...)
}

func appendInt(dst []byte, f *field, n int64) []byte {
	if n == 0 && !f.optional {
		return dst
	}
	return binary.AppendUvarint(append(dst, f.tag...), uint64(n))
}

func appendFloat(dst []byte, f *field, number float64) []byte {
	bits := math.Float64bits(number)
	if bits == 0 && !f.optional {
		return dst
	}
	return binary.LittleEndian.AppendUint64(append(dst, f.tag...), bits)
}

// appendList appends a repeated field, within a message of its own where the
// column is nullable.
func (e *Encoder) appendList(dst []byte, f *field, list []mortise.Value) []byte {
	tag := f.tag
	if f.optional {
		size := e.listSize(f.elem, 1, list)
		dst = binary.AppendUvarint(append(dst, f.tag...), uint64(size))
		tag = listTag[:]
	}
	switch {
	case len(list) == 0:
		return dst
	case f.elem == mortise.String:
		for i := range list {
			text := e.text.Valid(list[i].Text())
			dst = append(binary.AppendUvarint(append(dst, tag...), uint64(len(text))), text...)
		}
		return dst
	}
	dst = binary.AppendUvarint(append(dst, tag...), uint64(packedSize(f.elem, list)))
	for i := range list {
		if f.elem == mortise.Float {
			dst = binary.LittleEndian.AppendUint64(dst, element(&list[i]))
		} else {
			dst = binary.AppendUvarint(dst, uint64(integer(f.elem, &list[i])))
		}
	}
	return dst
}

// listTag is the tag of `values` in the messages of nullable lists.
var listTag = [1]byte{1<<3 | byte(wire.Bytes)}

// listSize is how many bytes a repeated field with a tag of tagBytes takes.
func (e *Encoder) listSize(elem mortise.Kind, tagBytes int, list []mortise.Value) (size int) {
	switch {
	case len(list) == 0:
		return 0
	case elem == mortise.String:
		for i := range list {
			n := len(e.text.Valid(list[i].Text()))
			size += tagBytes + wire.Size(uint64(n)) + n
		}
		return size
	}
	n := packedSize(elem, list)
	return tagBytes + wire.Size(uint64(n)) + n
}

func packedSize(elem mortise.Kind, list []mortise.Value) (size int) {
	if elem == mortise.Float {
		return 8 * len(list)
	}
	for i := range list {
		size += wire.Size(uint64(integer(elem, &list[i])))
	}
	return size
}

// element is a list's float: what is null or not finite is the one NaN.
func element(v *mortise.Value) uint64 {
	const nan = 0x7ff8000000000000
	if f, ok := v.Number(); ok && isFinite(f) {
		return math.Float64bits(f)
	}
	return nan
}

func integer(kind mortise.Kind, v *mortise.Value) int64 {
	if kind == mortise.Bool {
		return bit(v.Bool())
	}
	return v.Int()
}

func isFinite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
