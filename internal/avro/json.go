package avro

import (
	"errors"

	"github.com/mortise-dev/mortise/internal/fields"
)

// AppendJSON appends a record as plain JSON, for people to read: times in ms,
// the value of a union alone, decimals as numbers.
func (s *Schema) AppendJSON(dst, data []byte) ([]byte, error) {
	p := printer{data: data, dst: dst}
	if i := p.value(s.Root, 0, maxDepth); i != len(data) {
		return dst, errors.New("it is not what its schema says")
	}
	return p.dst, nil
}

type printer struct {
	data, dst []byte
	conv      converter
}

// value prints the value at i and returns where it ends, -1 when there is none.
func (p *printer) value(n *Node, i, depth int) (next int) {
	if depth == 0 || i < 0 {
		return -1
	}
	switch n.Kind {
	case Null:
		p.dst = append(p.dst, "null"...)
		return i
	case Union:
		branch, next := ReadIndex(p.data, i, len(n.Branches))
		if next < 0 {
			return -1
		}
		return p.value(n.Branches[branch], next, depth-1)
	case Record:
		return p.record(n, i, depth)
	case Array, Map:
		return p.blocks(n, i, depth)
	}
	var v any
	switch n.Kind {
	case Boolean:
		v, next = ReadBool(p.data, i)
	case Int, Long:
		var whole int64
		whole, next = ReadLong(p.data, i)
		switch {
		case n.unit == days:
			whole *= 24 * 60 * 60 * 1000
		case n.unit != noUnit:
			whole /= int64(n.unit)
		}
		v = whole
	case Float:
		v, next = ReadFloat32(p.data, i)
	case Double:
		v, next = ReadFloat64(p.data, i)
	case Enum:
		var symbol int
		if symbol, next = ReadIndex(p.data, i, len(n.Symbols)); next >= 0 {
			v = n.Symbols[symbol]
		}
	default:
		v, next = p.text(n, i)
	}
	if next >= 0 {
		p.dst = fields.AppendJSON(p.dst, v)
	}
	return next
}

// text reads a string, bytes or a fixed.
func (p *printer) text(n *Node, i int) (v any, next int) {
	var raw []byte
	if n.Kind == Fixed {
		if next = within(p.data, i+n.Size); next >= 0 {
			raw = p.data[i:next]
		}
	} else {
		raw, next = ReadText(p.data, i)
	}
	switch {
	case next < 0:
		return nil, -1
	case n.Logical == "decimal":
		return decimal(raw, n.Scale), next
	case n.Kind == Fixed && n.Logical == "uuid" && n.Size == 16:
		p.conv.reset()
		return p.conv.uuid(raw), next
	}
	return raw, next
}

func (p *printer) record(n *Node, i, depth int) int {
	p.dst = append(p.dst, '{')
	for f := range n.Fields {
		if f > 0 {
			p.dst = append(p.dst, ',')
		}
		p.dst = append(fields.AppendJSON(p.dst, n.Fields[f].Name), ':')
		if i = p.value(n.Fields[f].Type, i, depth-1); i < 0 {
			return -1
		}
	}
	p.dst = append(p.dst, '}')
	return i
}

func (p *printer) blocks(n *Node, i, depth int) int {
	brackets := "[]"
	if n.Kind == Map {
		brackets = "{}"
	}
	p.dst = append(p.dst, brackets[0])
	for first := true; ; {
		count, _, next := ReadBlock(p.data, i)
		if next < 0 {
			return -1
		}
		if i = next; count == 0 {
			break
		}
		for ; count > 0; count-- {
			before := i
			if !first {
				p.dst = append(p.dst, ',')
			}
			first = false
			if n.Kind == Map {
				var key []byte
				if key, i = ReadText(p.data, i); i < 0 {
					return -1
				}
				p.dst = append(fields.AppendJSON(p.dst, string(key)), ':')
			}
			if i = p.value(n.Elem, i, depth-1); i < 0 {
				return -1
			}
			if i == before {
				break // items of no bytes, however many
			}
		}
	}
	p.dst = append(p.dst, brackets[1])
	return i
}
