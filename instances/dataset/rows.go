package dataset

import (
	"encoding/binary"
	"errors"
	"math"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// Rows wait for their part's publication in a form of their own, in memory or in
// a file that ends with the process, so it has no version. A row is its length,
// four bytes, and then its fields in order; a selected value begins with its kind.

// appendRow appends a row.
func appendRow(dst []byte, in *instances.Instance) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = appendText(dst, in.ID)
	dst = appendWord(dst, uint64(in.TimeMS))
	for i := range in.Labels {
		l := &in.Labels[i]
		dst = binary.AppendUvarint(dst, uint64(l.Count))
		if l.Count != 0 {
			dst = appendWord(appendWord(dst, math.Float64bits(l.Value)), uint64(l.FirstMS))
		}
	}
	for i := range in.Selected {
		dst = appendValue(dst, &in.Selected[i])
	}
	dst = appendWord(dst, math.Float64bits(in.Weight))
	dst = binary.AppendUvarint(dst, uint64(uint32(in.Revision)))
	flags := byte(0)
	if in.Final {
		flags |= 1
	}
	if in.Late {
		flags |= 2
	}
	dst = binary.AppendUvarint(append(dst, flags), uint64(len(in.Degraded)))
	for _, text := range in.Degraded {
		dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
	}
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

func appendText(dst, text []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func appendWord(dst []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(dst, v) }

func appendValue(dst []byte, v *mortise.Value) []byte {
	dst = append(dst, byte(v.Kind))
	switch v.Kind {
	case mortise.String:
		return appendText(dst, v.Text())
	case mortise.Int, mortise.Timestamp:
		return appendWord(dst, uint64(v.Int()))
	case mortise.Float:
		return appendWord(dst, math.Float64bits(v.Float()))
	case mortise.Bool:
		if v.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case mortise.List:
		list := v.List()
		dst = binary.AppendUvarint(dst, uint64(len(list)))
		for i := range list {
			dst = appendValue(dst, &list[i])
		}
	}
	return dst
}

// errTorn says that rows do not come back as they were kept.
var errTorn = errors.New("what was kept for this part does not read back")

// rowReader takes rows apart. What it returns lies in what it reads, and in lists.
type rowReader struct {
	data  []byte
	lists []mortise.Value
	torn  bool
}

// row reads a row into an instance of so many labels and selected fields.
func (r *rowReader) row(in *instances.Instance, labels, selected int) {
	*in = instances.Instance{Labels: in.Labels[:0], Selected: in.Selected[:0], Degraded: in.Degraded[:0]}
	in.ID = r.text()
	in.TimeMS = int64(r.word())
	for range labels {
		l := instances.LabelValue{Count: int64(r.uvarint())}
		if l.Count != 0 {
			l.Value, l.FirstMS = math.Float64frombits(r.word()), int64(r.word())
		}
		in.Labels = append(in.Labels, l)
	}
	for range selected {
		in.Selected = append(in.Selected, r.value())
	}
	in.Weight = math.Float64frombits(r.word())
	in.Revision = int32(r.uvarint())
	flags := r.byte()
	in.Final, in.Late = flags&1 != 0, flags&2 != 0
	for n := r.uvarint(); n > 0 && !r.torn; n-- {
		in.Degraded = append(in.Degraded, string(r.text()))
	}
}

func (r *rowReader) bytes(n uint64) []byte {
	if n > uint64(len(r.data)) {
		r.torn, r.data = true, nil
		return nil
	}
	b := r.data[:n:n]
	r.data = r.data[n:]
	return b
}

func (r *rowReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.torn, r.data = true, nil
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *rowReader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *rowReader) word() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *rowReader) text() []byte { return r.bytes(r.uvarint()) }

func (r *rowReader) value() mortise.Value {
	switch kind := mortise.Kind(r.byte()); kind {
	case mortise.String:
		return mortise.TextValue(r.text())
	case mortise.Int:
		return mortise.IntValue(int64(r.word()))
	case mortise.Timestamp:
		return mortise.TimestampValue(int64(r.word()))
	case mortise.Float:
		return mortise.FloatValue(math.Float64frombits(r.word()))
	case mortise.Bool:
		return mortise.BoolValue(r.byte() != 0)
	case mortise.List:
		n := r.uvarint()
		if n > uint64(len(r.data)) {
			r.torn = true
			return mortise.Value{}
		}
		start := len(r.lists)
		for range n {
			v := r.value() // appends no lists: they do not nest
			r.lists = append(r.lists, v)
		}
		return mortise.ListValue(r.lists[start:len(r.lists):len(r.lists)])
	case mortise.Null:
		return mortise.NullValue()
	}
	return mortise.Value{}
}
