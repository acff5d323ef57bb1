// Package tfexample writes and reads instances as tf.train.Example messages, which
// TensorFlow's and other trainers' input pipelines parse. It is a leaf of stage 5,
// instances; the topic that an experiment writes to comes after it.
//
// A column is a feature of its name:
//
//	string                → bytes_list
//	int, timestamp, bool  → int64_list: ms UTC, and 1 or 0
//	float                 → float_list
//	[t]                   → the list of t, as long as it is
//	null                  → no feature
//
// A float_list holds 32 bits: floats keep about 7 digits, and one that is beyond
// its range, like one that is not finite, is no feature. In a list, such an
// element is NaN. Features are sorted by name, so that equal rows are equal bytes.
package tfexample

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/internal/wire"
)

// The tags of one-byte numbers that a message is made of, all length-delimited.
const (
	tagFeatures = 1<<3 | 2 // Example.features
	tagEntry    = 1<<3 | 2 // Features.feature, a map
	tagKey      = 1<<3 | 2
	tagFeature  = 2<<3 | 2
	tagBytes    = 1<<3 | 2 // Feature.bytes_list
	tagFloats   = 2<<3 | 2 // Feature.float_list
	tagInts     = 3<<3 | 2 // Feature.int64_list
	tagValues   = 1<<3 | 2 // the field of each list; numbers are packed
)

// Encoder writes an instance as one Example. Text is always valid UTF-8.
type Encoder struct {
	columns []column // by name
	body    []byte
	text    instances.Text
}

var _ instances.Encoder = (*Encoder)(nil)

type column struct {
	name string
	key  []byte // the map's key as it stands in an entry
	part instances.Part
	at   int
	kind mortise.Kind // of a list: its elements'
	list bool
}

// NewEncoder makes an encoder of the columns.
func NewEncoder(c *instances.Columns) *Encoder { return &Encoder{columns: columnsOf(c)} }

func columnsOf(c *instances.Columns) []column {
	var all []column
	for i, f := range c.Schema() {
		part, at := c.Part(i)
		col := column{name: f.Name, part: part, at: at, kind: f.Type.Kind, list: f.Type.Kind == mortise.List}
		if col.list {
			col.kind = f.Type.Elem
		}
		col.key = append(binary.AppendUvarint([]byte{tagKey}, uint64(len(f.Name))), f.Name...)
		all = append(all, col)
	}
	slices.SortFunc(all, func(a, b column) int { return cmp.Compare(a.name, b.name) })
	return all
}

// Append appends the instance. It does not allocate where dst has room.
func (e *Encoder) Append(dst []byte, in *instances.Instance) []byte {
	e.body = e.body[:0]
	for i := range e.columns {
		e.appendColumn(&e.columns[i], in)
	}
	dst = binary.AppendUvarint(append(dst, tagFeatures), uint64(len(e.body)))
	return append(dst, e.body...)
}

func (e *Encoder) appendColumn(c *column, in *instances.Instance) {
	switch c.part {
	case instances.PartID:
		e.appendText(c, in.ID)
	case instances.PartTime:
		e.appendInt(c, in.TimeMS)
	case instances.PartLabel:
		e.appendLabel(c, &in.Labels[c.at])
	case instances.PartLabelTime:
		if v := &in.Labels[c.at]; v.Count > 0 {
			e.appendInt(c, v.FirstMS)
		}
	case instances.PartLabelCount:
		e.appendInt(c, in.Labels[c.at].Count)
	case instances.PartSelected:
		e.appendValue(c, &in.Selected[c.at])
	case instances.PartWeight:
		e.appendFloat(c, in.Weight)
	case instances.PartRevision:
		e.appendInt(c, int64(in.Revision))
	case instances.PartFinal:
		e.appendInt(c, bit(in.Final))
	case instances.PartLate:
		e.appendInt(c, bit(in.Late))
	case instances.PartDegraded:
		e.appendTexts(c, in.Degraded)
	}
}

func (e *Encoder) appendLabel(c *column, v *instances.LabelValue) {
	if v.Count == 0 {
		e.appendFloat(c, 0)
		return
	}
	e.appendFloat(c, v.Value)
}

func (e *Encoder) appendValue(c *column, v *mortise.Value) {
	switch {
	case v.IsNull():
	case c.list:
		e.appendList(c, v.List())
	case c.kind == mortise.String:
		e.appendText(c, v.Text())
	case c.kind == mortise.Float:
		f, _ := v.Number()
		e.appendFloat(c, f)
	case c.kind == mortise.Bool:
		e.appendInt(c, bit(v.Bool()))
	default:
		e.appendInt(c, v.Int())
	}
}

// begin appends an entry as far as the list's values, of which size bytes follow.
func (e *Encoder) begin(c *column, list byte, size int) {
	feature := 1 + wire.Size(uint64(size)) + size
	entry := len(c.key) + 1 + wire.Size(uint64(feature)) + feature
	b := binary.AppendUvarint(append(e.body, tagEntry), uint64(entry))
	b = append(append(b, c.key...), tagFeature)
	b = append(binary.AppendUvarint(b, uint64(feature)), list)
	e.body = binary.AppendUvarint(b, uint64(size))
}

func textSize(n int) int { return 1 + wire.Size(uint64(n)) + n }

func (e *Encoder) addText(text []byte) {
	e.body = append(binary.AppendUvarint(append(e.body, tagValues), uint64(len(text))), text...)
}

func (e *Encoder) appendText(c *column, text []byte) {
	text = e.text.Valid(text)
	e.begin(c, tagBytes, textSize(len(text)))
	e.addText(text)
}

func (e *Encoder) appendTexts(c *column, texts []string) {
	size := 0
	for _, text := range texts {
		size += textSize(len(e.text.ValidString(text)))
	}
	e.begin(c, tagBytes, size)
	for _, text := range texts {
		valid := e.text.ValidString(text)
		e.body = append(binary.AppendUvarint(append(e.body, tagValues), uint64(len(valid))), valid...)
	}
}

func (e *Encoder) appendInt(c *column, n int64) {
	size := wire.Size(uint64(n))
	e.begin(c, tagInts, 2+size)
	e.body = binary.AppendUvarint(append(e.body, tagValues, byte(size)), uint64(n))
}

func (e *Encoder) appendFloat(c *column, f float64) {
	narrow := float32(f)
	if !isFinite(float64(narrow)) {
		return
	}
	e.begin(c, tagFloats, 6)
	e.body = binary.LittleEndian.AppendUint32(append(e.body, tagValues, 4), math.Float32bits(narrow))
}

func (e *Encoder) appendList(c *column, list []mortise.Value) {
	switch c.kind {
	case mortise.String:
		size := 0
		for i := range list {
			size += textSize(len(e.text.Valid(list[i].Text())))
		}
		e.begin(c, tagBytes, size)
		for i := range list {
			e.addText(e.text.Valid(list[i].Text()))
		}
	case mortise.Float:
		if e.beginPacked(c, tagFloats, 4*len(list)); len(list) > 0 {
			for i := range list {
				f, _ := list[i].Number()
				e.body = binary.LittleEndian.AppendUint32(e.body, element(f, list[i].IsNull()))
			}
		}
	default:
		size := 0
		for i := range list {
			size += wire.Size(uint64(integer(c.kind, &list[i])))
		}
		e.beginPacked(c, tagInts, size)
		for i := range list {
			e.body = binary.AppendUvarint(e.body, uint64(integer(c.kind, &list[i])))
		}
	}
}

// beginPacked begins a list of numbers that take size bytes; an empty one has no field.
func (e *Encoder) beginPacked(c *column, list byte, size int) {
	if size == 0 {
		e.begin(c, list, 0)
		return
	}
	e.begin(c, list, textSize(size))
	e.body = binary.AppendUvarint(append(e.body, tagValues), uint64(size))
}

// element is a list's float: what is null or not finite is the one NaN.
func element(f float64, null bool) uint32 {
	const nan = 0x7fc00000
	if narrow := float32(f); !null && isFinite(float64(narrow)) {
		return math.Float32bits(narrow)
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
