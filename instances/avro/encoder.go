package avro

import (
	"encoding/binary"
	"math"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// Encoder writes an instance as one record of the schema that Schema gives: text
// always valid UTF-8, and numbers that are not finite as null.
type Encoder struct {
	frame    []byte
	selected []column
	text     instances.Text
}

var _ instances.Encoder = (*Encoder)(nil)

// column is how a selected value is written.
type column struct {
	kind, elem mortise.Kind
	nullable   bool
}

// NewEncoder makes an encoder of the columns. Every value begins with frame, such
// as the schema's id; it may be empty.
func NewEncoder(c *instances.Columns, frame []byte) *Encoder {
	e := &Encoder{frame: frame}
	for _, f := range c.Selected() {
		e.selected = append(e.selected, column{f.Type.Kind, f.Type.Elem, f.Type.Nullable || f.Type.Kind == mortise.Float})
	}
	return e
}

// The two branches of ["null", t].
const (
	branchNull  = 0
	branchValue = 2 // index 1 in zigzag
)

// Append appends the instance. It does not allocate where dst has room.
func (e *Encoder) Append(dst []byte, in *instances.Instance) []byte {
	dst = append(dst, e.frame...)
	dst = e.appendText(dst, in.ID)
	dst = binary.AppendVarint(dst, in.TimeMS)
	for i := range in.Labels {
		dst = appendLabel(dst, &in.Labels[i])
	}
	for i := range e.selected {
		dst = e.appendColumn(dst, &e.selected[i], &in.Selected[i])
	}
	dst = appendDouble(dst, in.Weight)
	dst = binary.AppendVarint(dst, int64(in.Revision))
	dst = appendBool(appendBool(dst, in.Final), in.Late)
	if len(in.Degraded) > 0 {
		dst = binary.AppendVarint(dst, int64(len(in.Degraded)))
		for _, text := range in.Degraded {
			valid := e.text.ValidString(text)
			dst = append(binary.AppendVarint(dst, int64(len(valid))), valid...)
		}
	}
	return append(dst, 0)
}

func appendLabel(dst []byte, v *instances.LabelValue) []byte {
	if v.Count == 0 {
		return append(dst, 0, 0, 0, 0, 0, 0, 0, 0, branchNull, 0)
	}
	dst = append(appendDouble(dst, v.Value), branchValue)
	return binary.AppendVarint(binary.AppendVarint(dst, v.FirstMS), v.Count)
}

func (e *Encoder) appendColumn(dst []byte, c *column, v *mortise.Value) []byte {
	null := isNull(v)
	switch {
	case c.nullable && null:
		return append(dst, branchNull)
	case c.nullable:
		dst = append(dst, branchValue)
	case null:
		// What is declared without ? has a value, or its record is a dead letter:
		// this keeps the bytes readable should one come here all the same.
		return appendZero(dst, c.kind)
	}
	if c.kind != mortise.List {
		return e.appendScalar(dst, c.kind, v)
	}
	list := v.List()
	if len(list) > 0 {
		dst = binary.AppendVarint(dst, int64(len(list)))
	}
	for i := range list {
		if c.elem == mortise.Float {
			if isNull(&list[i]) {
				dst = append(dst, branchNull)
				continue
			}
			dst = append(dst, branchValue)
		}
		dst = e.appendScalar(dst, c.elem, &list[i])
	}
	return append(dst, 0)
}

// isNull reports whether the value is written as null.
func isNull(v *mortise.Value) bool {
	if v.Kind == mortise.Float {
		f := v.Float()
		return math.IsNaN(f) || math.IsInf(f, 0)
	}
	return v.IsNull()
}

func (e *Encoder) appendScalar(dst []byte, kind mortise.Kind, v *mortise.Value) []byte {
	switch kind {
	case mortise.Int, mortise.Timestamp:
		return binary.AppendVarint(dst, v.Int())
	case mortise.Float:
		f, _ := v.Number()
		return appendDouble(dst, f)
	case mortise.Bool:
		return appendBool(dst, v.Bool())
	}
	return e.appendText(dst, v.Text())
}

func appendZero(dst []byte, kind mortise.Kind) []byte {
	if kind == mortise.Float {
		return appendDouble(dst, 0)
	}
	return append(dst, 0) // an empty text or list, 0, false
}

func (e *Encoder) appendText(dst, text []byte) []byte {
	text = e.text.Valid(text)
	return append(binary.AppendVarint(dst, int64(len(text))), text...)
}

func appendDouble(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}
