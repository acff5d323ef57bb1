package avro

import (
	"encoding/hex"
	"unicode/utf8"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/fields"
)

// converter reads values as the types that are wanted, as far as Avro's rules of
// resolution go and some further: see Value. Lists and texts that are not the
// record's own live in its buffers until reset. One goroutine uses it.
type converter struct {
	text []byte
	list []mortise.Value
}

// reset lets go of what the buffers hold, and of the buffers when a huge record
// has grown them.
func (c *converter) reset() {
	const mostBytes, mostValues = 1 << 20, 1 << 14
	if c.text = c.text[:0]; cap(c.text) > mostBytes {
		c.text = nil
	}
	if c.list = c.list[:0]; cap(c.list) > mostValues {
		c.list = nil
	}
}

// value reads the value of type n at i into v as a want, null where it does not
// fit, and returns where it ends; next is -1 when the data is not such a value.
// What becomes what:
//
//	string     string, bytes that are UTF-8, an enum's symbol, a uuid
//	int        int, long, whatever their logical type
//	float      int, long, float, double, a decimal
//	bool       boolean
//	timestamp  a date, timestamp or local timestamp; other numbers and strings as times says
//	list       an array, none of whose items is null or unfit
//
// A union's value is read as the branch that it is of.
func (c *converter) value(v *mortise.Value, n *Node, data []byte, i int, want *fields.Want) (fit fields.Fit, next int) {
	if n.Kind == Union {
		branch, at := ReadIndex(data, i, len(n.Branches))
		if at < 0 {
			return fields.Unfit, -1
		}
		n, i = n.Branches[branch], at
	}
	switch {
	case n.Kind == Null:
		*v = mortise.NullValue()
		return fields.Null, i
	case want.Type.Kind == mortise.List && n.Kind == Array:
		return c.array(v, n, data, i, want)
	}
	if fit, next = c.scalar(v, n, data, i, want); fit != fields.OK {
		*v = mortise.NullValue()
	}
	return fit, next
}

// scalar returns where the value ends even where it does not fit.
func (c *converter) scalar(v *mortise.Value, n *Node, data []byte, i int, want *fields.Want) (fit fields.Fit, next int) {
	switch want.Type.Kind {
	case mortise.String:
		return c.string(v, n, data, i)
	case mortise.Int:
		if n.Kind == Int || n.Kind == Long {
			number, next := ReadLong(data, i)
			*v = mortise.IntValue(number)
			return fields.OK, next
		}
	case mortise.Float:
		return number(v, n, data, i)
	case mortise.Bool:
		if n.Kind == Boolean {
			truth, next := ReadBool(data, i)
			*v = mortise.BoolValue(truth)
			return fields.OK, next
		}
	case mortise.Timestamp:
		return timestamp(v, n, data, i, want.Times)
	}
	return fields.Unfit, n.Skip(data, i)
}

func (c *converter) string(v *mortise.Value, n *Node, data []byte, i int) (fit fields.Fit, next int) {
	switch n.Kind {
	case String, Bytes:
		text, next := ReadText(data, i)
		if !utf8.Valid(text) {
			if n.Kind == String {
				return fields.BadText, next
			}
			return fields.Unfit, next
		}
		*v = mortise.TextValue(text)
		return fields.OK, next
	case Enum:
		symbol, next := ReadIndex(data, i, len(n.symbols))
		if next < 0 {
			return fields.Unfit, -1
		}
		*v = mortise.TextValue(n.symbols[symbol])
		return fields.OK, next
	case Fixed:
		if next = within(data, i+n.Size); n.Logical == "uuid" && n.Size == 16 && next >= 0 {
			*v = mortise.TextValue(c.uuid(data[i:next]))
			return fields.OK, next
		}
		return fields.Unfit, next
	}
	return fields.Unfit, n.Skip(data, i)
}

// uuid spells 16 bytes as UUIDs are spelled.
func (c *converter) uuid(raw []byte) []byte {
	first := len(c.text)
	for k, cut := range [...]int{0, 4, 6, 8, 10} {
		end := [...]int{4, 6, 8, 10, 16}[k]
		if k > 0 {
			c.text = append(c.text, '-')
		}
		c.text = hex.AppendEncode(c.text, raw[cut:end])
	}
	return c.text[first:len(c.text):len(c.text)]
}

func number(v *mortise.Value, n *Node, data []byte, i int) (fit fields.Fit, next int) {
	var f float64
	switch n.Kind {
	case Int, Long:
		var whole int64
		whole, next = ReadLong(data, i)
		f = float64(whole)
	case Float:
		f, next = ReadFloat32(data, i)
	case Double:
		f, next = ReadFloat64(data, i)
	case Bytes, Fixed:
		var raw []byte
		if n.Kind == Bytes {
			raw, next = ReadText(data, i)
		} else if next = within(data, i+n.Size); next >= 0 {
			raw = data[i:next]
		}
		if n.Logical != "decimal" {
			return fields.Unfit, next
		}
		f = decimal(raw, n.Scale)
	default:
		return fields.Unfit, n.Skip(data, i)
	}
	*v = mortise.FloatValue(f)
	return fields.OK, next
}

func timestamp(v *mortise.Value, n *Node, data []byte, i int, times fields.Times) (fit fields.Fit, next int) {
	var ms int64
	ok := true
	switch n.Kind {
	case Int, Long:
		ms, next = ReadLong(data, i)
		switch n.unit {
		case noUnit:
			ms, ok = times.OfInt(ms)
		case days:
			ms *= 24 * 60 * 60 * 1000
		default:
			ms /= int64(n.unit)
		}
	case Float:
		var f float64
		f, next = ReadFloat32(data, i)
		ms, ok = times.OfFloat(f)
	case Double:
		var f float64
		f, next = ReadFloat64(data, i)
		ms, ok = times.OfFloat(f)
	case String:
		var text []byte
		text, next = ReadText(data, i)
		ms, ok = times.OfText(text)
	default:
		return fields.Unfit, n.Skip(data, i)
	}
	if !ok {
		return fields.Unfit, next
	}
	*v = mortise.TimestampValue(ms)
	return fields.OK, next
}

// array reads a list; it is read to its end even where an item does not fit.
func (c *converter) array(v *mortise.Value, n *Node, data []byte, i int, want *fields.Want) (fields.Fit, int) {
	first, fit := len(c.list), fields.OK
	elem := fields.Want{Type: mortise.Type{Kind: want.Type.Elem}, Times: want.Times}
	*v = mortise.NullValue()
	for {
		count, size, next := ReadBlock(data, i)
		if next < 0 {
			return fields.Unfit, -1
		}
		if i = next; count == 0 {
			break
		}
		for ; count > 0; count-- {
			before := i
			at := len(c.list)
			var itemFit fields.Fit
			c.list = append(c.list, mortise.Value{}) // an item is no list, so nothing else is appended meanwhile
			if itemFit, i = c.value(&c.list[at], n.Elem, data, i, &elem); i < 0 {
				return fields.Unfit, -1
			}
			if itemFit != fields.OK && !(itemFit == fields.Null && want.NullItems) {
				c.list = c.list[:at]
				fit = max(fit, itemFit, fields.Unfit) // a list with a null is no list that fits
			}
			if i == before {
				break // items of no bytes: a union has one at least, so this is no list that fits
			}
		}
		if size >= 0 && i != next+int(size) {
			return fields.Unfit, -1
		}
	}
	if fit == fields.OK {
		*v = mortise.ListValue(c.list[first:len(c.list):len(c.list)])
	}
	return fit, i
}
