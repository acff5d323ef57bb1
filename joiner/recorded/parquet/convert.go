package parquet

import (
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// field is a column on its way to a member of objects.
type field struct {
	shape
	write writer
}

// planField says how column c is written as the member m. A column fits a type
// if some of its values can be one:
//
//	column               as
//	int, unsigned        int, float, timestamp (in the event time's unit, or ms), string (decimal)
//	float32, float64     float; int and timestamp where the value is whole, as data frames write columns with nulls
//	bool                 bool
//	string, json, bytes  string; timestamp, as text; list, as a JSON array
//	timestamp, date      timestamp, int (ms, or the event time's unit), string (RFC 3339), float for an event time in s
//	time                 int (in its own unit), string
//	decimal              float, string; int where the value is whole
//	uuid                 string
//	list                 list
//
// NaN and the infinities become null, as in rows. A float32 is written in the
// fewest digits that give it back, so that 0.1 is 0.1 whatever the file it is in.
func planField(c *node, m *recorded.Member) (field, error) {
	var f field
	var ok bool
	if f.shape, ok = shapeOf(c); !ok {
		return f, fmt.Errorf("it is nested: single values and lists of them can be read; declare what lies in it, such as {type: int, from: group.name}")
	}
	item, want := *m, m.Type
	switch {
	case f.list && want.Kind == mortise.List:
		item.Type = mortise.Type{Kind: want.Elem}
	case f.list && want.Kind != mortise.Invalid:
		return f, fmt.Errorf("it holds lists, and the source declares %s: declare a list such as [int]", want)
	}
	holds := meaningOf(f.leaf)
	if f.write = holds.writer(&item); f.write == nil {
		name := holds.name
		if f.list {
			name = "lists of " + name
		}
		return f, fmt.Errorf("it holds %s, and %s%s", name, describe(m), holds.advice(f.list))
	}
	return f, nil
}

func describe(m *recorded.Member) string {
	switch {
	case m.Type.Kind == mortise.Invalid:
		return "it is the event time in " + m.TimeUnit
	case m.TimeUnit != "":
		return fmt.Sprintf("the source declares %s, the event time in %s", m.Type, m.TimeUnit)
	}
	return "the source declares " + m.Type.String()
}

// advice says what could be declared instead.
func (h meaning) advice(list bool) string {
	if h.content == unreadable || h.content == nothing {
		return ": this type cannot be read; convert the column when the file is written"
	}
	name := map[content]string{boolean: "bool", integer: "int", unsigned: "int", single: "float", double: "float", decimal: "float",
		date: "timestamp", instant: "timestamp"}[h.content]
	if name == "" {
		name = "string"
	}
	if list {
		name = "[" + name + "]"
	}
	return ": declare " + name + ", or convert the column when the file is written"
}

// writer returns how values are written as the member; nil if they cannot be.
func (h meaning) writer(m *recorded.Member) writer {
	kind := m.Type.Kind
	if !h.isConsistent() {
		return nil
	}
	numeric := kind == mortise.Int || kind == mortise.Float || kind == mortise.Timestamp || kind == mortise.Invalid
	if m.TimeUnit == "rfc3339" {
		numeric = false
	}
	switch h.content {
	case nothing:
		return writeNull
	case boolean:
		if kind == mortise.Bool || kind == mortise.Invalid {
			return writeBool
		}
	case integer, unsigned:
		return h.integerWriter(m, numeric)
	case single, double:
		return h.floatWriter(kind, numeric)
	case decimal:
		if numeric || kind == mortise.String {
			return h.decimalWriter(kind == mortise.String)
		}
	case date, instant:
		return h.timeWriter(m)
	case timeOfDay:
		if kind == mortise.String || kind == mortise.Invalid {
			return h.clockWriter()
		} else if kind == mortise.Int && m.TimeUnit == "" {
			return h.integerWriter(m, true)
		}
	case text, document:
		return h.textWriter(m)
	case uuid:
		if kind == mortise.String || kind == mortise.Invalid {
			return writeUUID
		}
	}
	return nil
}

func (h meaning) integerWriter(m *recorded.Member, numeric bool) writer {
	signed := h.content != unsigned
	switch quoted := m.Type.Kind == mortise.String && m.TimeUnit == ""; {
	case !numeric && !quoted:
		return nil
	case quoted:
		inner := integerWriters[h.isLong()][signed]
		return func(dst []byte, v *value) []byte { return append(inner(append(dst, '"'), v), '"') }
	}
	return integerWriters[h.isLong()][signed]
}

func (h meaning) floatWriter(kind mortise.Kind, numeric bool) writer {
	switch {
	case !numeric:
		return nil
	case h.content == double && (kind == mortise.Int || kind == mortise.Timestamp):
		return writeWhole
	case h.content == double:
		return writeDouble
	case h.half:
		return writeHalf
	}
	return writeSingle
}

func (h meaning) textWriter(m *recorded.Member) writer {
	member := *m
	switch kind := m.Type.Kind; {
	case kind == mortise.String && m.TimeUnit == "", kind == mortise.Invalid && m.TimeUnit == "" && h.content == text:
		return writeText
	case kind == mortise.Invalid && m.TimeUnit == "":
		return writeDocument
	case kind == mortise.String, kind == mortise.Timestamp, kind == mortise.List, m.TimeUnit != "":
		return func(dst []byte, v *value) []byte { return member.AppendText(dst, v.text, true) }
	}
	return nil
}
