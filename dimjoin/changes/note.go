package changes

import (
	"encoding/binary"
	"errors"
	"math"

	mortise "github.com/mortise-dev/mortise"
)

// A log's note: a format byte, baseMS, the base, and the statements, each its
// time, flags and row. A row is a byte that says whether there is one, and its
// values; a value is its kind and its content. Numbers are varints, texts and
// lists begin with their length.

const noteFormat = 1

// ErrNote says that a note does not verify.
var ErrNote = errors.New("what is remembered of a key's changes does not verify")

// Append appends the log as a table keeps it.
func (l *Log) Append(dst []byte) []byte {
	dst = append(dst, noteFormat)
	dst = binary.AppendVarint(dst, l.baseMS)
	dst = appendRow(dst, mortise.Row(l.base))
	dst = binary.AppendUvarint(dst, uint64(len(l.said)))
	for i := range l.said {
		s := &l.said[i]
		dst = binary.AppendVarint(dst, s.atMS)
		dst = append(dst, bit(s.clears)|bit(s.stored)<<1)
		dst = appendRow(dst, s.row)
	}
	return dst
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendRow(dst []byte, row mortise.Row) []byte {
	if row == nil {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	for _, v := range row {
		dst = appendValue(dst, v)
	}
	return dst
}

func appendValue(dst []byte, v mortise.Value) []byte {
	dst = append(dst, byte(v.Kind))
	switch v.Kind {
	case mortise.String:
		dst = binary.AppendUvarint(dst, uint64(len(v.Text())))
		dst = append(dst, v.Text()...)
	case mortise.List:
		dst = binary.AppendUvarint(dst, uint64(len(v.List())))
		for _, e := range v.List() {
			dst = appendValue(dst, e)
		}
	case mortise.Float:
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float()))
	case mortise.Int, mortise.Timestamp:
		dst = binary.AppendVarint(dst, v.Int())
	case mortise.Bool:
		dst = append(dst, bit(v.Bool()))
	}
	return dst
}

// ParseLog reads a note of a table whose rows have these fields.
func ParseLog(fields mortise.Schema, note []byte) (*Log, error) {
	r := noteReader{data: note}
	if r.byte() != noteFormat {
		return nil, ErrNote
	}
	l := &Log{fields: fields, baseMS: r.varint()}
	l.base = state(r.row(fields))
	n := r.uvarint()
	for i := uint64(0); i < n && !r.failed; i++ {
		s := statement{atMS: r.varint()}
		flags := r.byte()
		s.clears, s.stored = flags&1 != 0, flags&2 != 0
		s.row = r.row(fields)
		inOrder := s.atMS >= l.baseMS && (len(l.said) == 0 || s.atMS > l.said[len(l.said)-1].atMS)
		r.failed = r.failed || flags > 3 || !inOrder || s.row == nil && !s.clears
		l.said = append(l.said, s)
	}
	if r.failed || len(r.data) > 0 {
		return nil, ErrNote
	}
	return l, nil
}

// noteReader takes a note apart; what it returns after a failure is of no use.
type noteReader struct {
	data   []byte
	failed bool
}

func (r *noteReader) take(n int) []byte {
	if r.failed || n < 0 || n > len(r.data) {
		r.failed = true
		return nil
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

func (r *noteReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *noteReader) varint() int64 {
	v, n := binary.Varint(r.data)
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.take(n)
	return v
}

func (r *noteReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.take(n)
	return v
}

func (r *noteReader) row(fields mortise.Schema) mortise.Row {
	switch r.byte() {
	case 0:
		return nil
	case 1:
	default:
		r.failed = true
		return nil
	}
	row := make(mortise.Row, len(fields))
	for i := range row {
		row[i] = r.value(fields[i].Type.Kind, fields[i].Type.Elem)
	}
	return row
}

// value reads a value that is of a kind, null or not known.
func (r *noteReader) value(kind, elem mortise.Kind) mortise.Value {
	got := mortise.Kind(r.byte())
	if got > mortise.Null && got != kind {
		r.failed = true
	}
	switch {
	case r.failed || got == mortise.Invalid:
	case got == mortise.Null:
		return mortise.NullValue()
	case kind == mortise.String:
		return mortise.TextValue(append([]byte{}, r.take(r.length())...))
	case kind == mortise.List:
		n := r.length()
		list := make([]mortise.Value, 0, min(n, len(r.data)))
		for range n {
			if r.failed {
				break
			}
			list = append(list, r.value(elem, mortise.Invalid))
		}
		return mortise.ListValue(list)
	case kind == mortise.Float:
		if b := r.take(8); b != nil {
			return mortise.FloatValue(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
	case kind == mortise.Int:
		return mortise.IntValue(r.varint())
	case kind == mortise.Timestamp:
		return mortise.TimestampValue(r.varint())
	case kind == mortise.Bool:
		return mortise.BoolValue(r.byte() != 0)
	}
	return mortise.Value{}
}

// length is that of a text or a list; each of what it counts takes a byte at least.
func (r *noteReader) length() int {
	n := r.uvarint()
	if n > uint64(len(r.data)) {
		r.failed = true
		return 0
	}
	return int(n)
}
