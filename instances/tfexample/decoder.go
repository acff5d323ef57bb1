package tfexample

import (
	"fmt"
	"math"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/internal/wire"
)

// Decoder reads Examples, whatever the order of their features and however their
// lists are packed. Features that are no columns are passed over; a column that
// the Example does not have is null.
type Decoder struct {
	columns []column
	index   map[string]int
	fill    *instances.Filler
	value   mortise.Value
	list    []mortise.Value
}

var _ instances.Decoder = (*Decoder)(nil)

// NewDecoder makes a decoder of the columns.
func NewDecoder(c *instances.Columns) *Decoder {
	d := &Decoder{columns: columnsOf(c), index: map[string]int{}, fill: instances.NewFiller(c)}
	for i := range d.columns {
		d.index[d.columns[i].name] = i
	}
	return d
}

// Decode implements instances.Decoder.
func (d *Decoder) Decode(value []byte, into *instances.Instance) error {
	d.fill.Begin(into)
	d.list = d.list[:0]
	next := 0
	for i := 0; i < len(value); {
		features, at := field(value, i, 1)
		if at < 0 {
			return fmt.Errorf("instance: at byte %d of %d: this is no tf.train.Example", i, len(value))
		}
		i = at
		for k := 0; k < len(features); {
			entry, at := field(features, k, 1)
			if at < 0 {
				return fmt.Errorf("instance: at byte %d of %d of its features: this is no tf.train.Example", k, len(features))
			}
			k = at
			if err := d.entry(entry, into, &next); err != nil {
				return err
			}
		}
	}
	return nil
}

// field reads a field at i: its content if it has the number and is length-delimited, nil for
// another one. next is -1 where the data is no message.
func field(data []byte, i int, number int32) (content []byte, next int) {
	got, typ, at := wire.Tag(data, i)
	switch {
	case at < 0:
		return nil, -1
	case got == number && typ == wire.Bytes:
		return wire.Text(data, at)
	}
	return nil, wire.Skip(data, at, got, typ)
}

// entry reads one feature. next is the column that is expected.
func (d *Decoder) entry(entry []byte, into *instances.Instance, next *int) error {
	name, feature, ok := split(entry)
	if !ok {
		return fmt.Errorf("instance: an entry of its features is none: this is no tf.train.Example")
	}
	at := *next
	if at >= len(d.columns) || d.columns[at].name != string(name) {
		var known bool
		if at, known = d.index[string(name)]; !known {
			return nil
		}
	}
	*next = at + 1
	c := &d.columns[at]
	if !d.read(c, feature) {
		return fmt.Errorf("instance: column %s: the feature is not a list of its type, or not of one value", c.name)
	}
	if d.value.Kind != mortise.Null {
		d.fill.Set(into, c.part, c.at, &d.value)
	}
	return nil
}

// split takes a map's entry apart.
func split(entry []byte) (key, value []byte, ok bool) {
	for i := 0; i < len(entry); {
		number, typ, at := wire.Tag(entry, i)
		if at < 0 {
			return nil, nil, false
		}
		switch {
		case number == 1 && typ == wire.Bytes:
			key, i = wire.Text(entry, at)
		case number == 2 && typ == wire.Bytes:
			value, i = wire.Text(entry, at)
		default:
			i = wire.Skip(entry, at, number, typ)
		}
		if i < 0 {
			return nil, nil, false
		}
	}
	return key, value, true
}

// lists has the number of each kind's list in a Feature.
var lists = [...]int32{mortise.String: 1, mortise.Float: 2, mortise.Int: 3, mortise.Bool: 3, mortise.Timestamp: 3}

// read reads a feature as the column's value; null when it has none.
func (d *Decoder) read(c *column, feature []byte) bool {
	d.value = mortise.NullValue()
	first, found := len(d.list), false
	for i := 0; i < len(feature); {
		number, typ, at := wire.Tag(feature, i)
		if at < 0 || typ != wire.Bytes || number != lists[c.kind] {
			return false
		}
		var values []byte
		if values, i = wire.Text(feature, at); i < 0 || !d.values(c.kind, values) {
			return false
		}
		found = true
	}
	values := d.list[first:len(d.list):len(d.list)]
	switch {
	case c.list && found:
		d.value = mortise.ListValue(values)
	case len(values) == 1:
		d.value = values[0]
		d.list = d.list[:first]
	case len(values) > 1:
		return false
	}
	return true
}

// values reads a list's fields.
func (d *Decoder) values(kind mortise.Kind, data []byte) bool {
	for i := 0; i < len(data); {
		number, typ, at := wire.Tag(data, i)
		switch {
		case at < 0 || number != 1:
			return false
		case typ == wire.Bytes:
			var content []byte
			if content, i = wire.Text(data, at); i < 0 {
				return false
			}
			if kind == mortise.String {
				d.list = append(d.list, mortise.TextValue(content))
			} else if !d.packed(kind, content) {
				return false
			}
		default:
			if i = d.number(kind, data, at, typ); i < 0 {
				return false
			}
		}
	}
	return true
}

func (d *Decoder) packed(kind mortise.Kind, data []byte) bool {
	typ := wire.Varint
	if kind == mortise.Float {
		typ = wire.Fixed32
	}
	for i := 0; i < len(data); {
		if i = d.number(kind, data, i, typ); i < 0 {
			return false
		}
	}
	return true
}

// number reads a number at i and returns where it ends, -1 where there is none.
func (d *Decoder) number(kind mortise.Kind, data []byte, i int, typ wire.Type) int {
	var v mortise.Value
	switch {
	case kind == mortise.Float && typ == wire.Fixed32:
		var bits uint32
		bits, i = wire.Uint32(data, i)
		if v = mortise.FloatValue(float64(math.Float32frombits(bits))); !isFinite(v.Float()) {
			v = mortise.NullValue()
		}
	case kind == mortise.Float || typ != wire.Varint:
		return -1
	default:
		var n uint64
		n, i = wire.Uvarint(data, i)
		if v = mortise.IntValue(int64(n)); kind == mortise.Bool {
			v = mortise.BoolValue(n != 0)
		}
		v.Kind = kind
	}
	d.list = append(d.list, v)
	return i
}
