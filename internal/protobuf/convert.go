package protobuf

import (
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/fields"
	"github.com/mortise-dev/mortise/internal/wire"
)

// wireType is how a value of the leaf is laid out on its own.
func wireType(l *leaf) wire.Type {
	if l.timestamp || l.wrapper {
		return wire.Bytes
	}
	return kindWire(l.kind)
}

func kindWire(kind protoreflect.Kind) wire.Type {
	switch kind {
	case protoreflect.StringKind, protoreflect.BytesKind:
		return wire.Bytes
	case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return wire.Fixed64
	case protoreflect.FloatKind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return wire.Fixed32
	}
	return wire.Varint
}

// parts is what has been read of a wrapper or a timestamp: such a message may be
// there several times, each with some of its fields.
type parts struct {
	seen           uint64 // the scan that they are of
	seconds, nanos uint64
	raw            uint64
	text           []byte
}

// read reads a value as its bits, or as text; a timestamp as ms. ok is false for
// one of another wire type, which is passed over.
func (l *leaf) read(p *parts, data []byte, i int, number int32, typ wire.Type) (raw uint64, text []byte, next int, ok bool) {
	if typ != wireType(l) {
		return 0, nil, wire.Skip(data, i, number, typ), false
	}
	if !l.timestamp && !l.wrapper {
		raw, text, next = readKind(l.kind, data, i)
		return raw, text, next, true
	}
	body, next := wire.Text(data, i)
	if next < 0 {
		return 0, nil, -1, false
	}
	if l.timestamp {
		ok = p.readTimestamp(body)
		raw = uint64(int64(p.seconds)*1000 + int64(int32(p.nanos))/1_000_000) // what is finer is cut off
	} else {
		ok = p.readWrapper(l.kind, body)
		raw, text = p.raw, p.text
	}
	if !ok {
		next = -1
	}
	return raw, text, next, ok
}

func readKind(kind protoreflect.Kind, data []byte, i int) (raw uint64, text []byte, next int) {
	switch kindWire(kind) {
	case wire.Bytes:
		text, next = wire.Text(data, i)
	case wire.Fixed64:
		raw, next = wire.Uint64(data, i)
	case wire.Fixed32:
		var short uint32
		short, next = wire.Uint32(data, i)
		raw = uint64(short)
	default:
		raw, next = wire.Uvarint(data, i)
	}
	return raw, text, next
}

// readWrapper reads field 1 of a google.protobuf.*Value.
func (p *parts) readWrapper(kind protoreflect.Kind, body []byte) bool {
	for i := 0; i < len(body); {
		number, typ, at := wire.Tag(body, i)
		switch {
		case at < 0:
			return false
		case number == 1 && typ == kindWire(kind):
			p.raw, p.text, i = readKind(kind, body, at)
		default:
			i = wire.Skip(body, at, number, typ)
		}
		if i < 0 {
			return false
		}
	}
	return true
}

// readTimestamp reads a google.protobuf.Timestamp.
func (p *parts) readTimestamp(body []byte) bool {
	for i := 0; i < len(body); {
		number, typ, at := wire.Tag(body, i)
		switch {
		case at < 0:
			return false
		case number == 1 && typ == wire.Varint:
			p.seconds, i = wire.Uvarint(body, at)
		case number == 2 && typ == wire.Varint:
			p.nanos, i = wire.Uvarint(body, at)
		default:
			i = wire.Skip(body, at, number, typ)
		}
		if i < 0 {
			return false
		}
	}
	return true
}

// convert makes v of a value as its want asks. What becomes what:
//
//	string     string, bytes that are UTF-8, an enum's name
//	int        integers that fit 64 bits with a sign, an enum's number
//	float      integers, float, double
//	bool       bool
//	timestamp  google.protobuf.Timestamp; other numbers and strings as Times says
//	list       a repeated one of these
//
// A wrapper, such as google.protobuf.Int64Value, is what it wraps.
func (s *Scanner) convert(v *mortise.Value, l *leaf, raw uint64, text []byte, want int) fields.Fit {
	w := &s.wants[want]
	kind := w.Type.Kind
	if kind == mortise.List {
		kind = w.Type.Elem
	}
	if l.timestamp {
		if kind != mortise.Timestamp {
			return fields.Unfit
		}
		*v = mortise.TimestampValue(int64(raw))
		return fields.OK
	}
	switch kind {
	case mortise.String:
		return s.string(v, l, raw, text)
	case mortise.Int:
		n, ok := integer(l.kind, raw)
		*v = mortise.IntValue(n)
		return fit(ok)
	case mortise.Float:
		f, ok := number(l.kind, raw)
		*v = mortise.FloatValue(f)
		return fit(ok)
	case mortise.Bool:
		*v = mortise.BoolValue(raw != 0)
		return fit(l.kind == protoreflect.BoolKind)
	case mortise.Timestamp:
		return timestamp(v, l.kind, raw, text, w.Times)
	}
	return fields.Unfit
}

func fit(ok bool) fields.Fit {
	if ok {
		return fields.OK
	}
	return fields.Unfit
}

func (s *Scanner) string(v *mortise.Value, l *leaf, raw uint64, text []byte) fields.Fit {
	switch l.kind {
	case protoreflect.StringKind:
		if !utf8.Valid(text) {
			return fields.BadText
		}
	case protoreflect.BytesKind:
		if !utf8.Valid(text) {
			return fields.Unfit
		}
	case protoreflect.EnumKind:
		var ok bool
		if text, ok = l.enum[int32(raw)]; !ok {
			first := len(s.text)
			s.text = strconv.AppendInt(s.text, int64(int32(raw)), 10)
			text = s.text[first:len(s.text):len(s.text)]
		}
	default:
		return fields.Unfit
	}
	*v = mortise.TextValue(text)
	return fields.OK
}

// integer is a whole number's value; false for another kind, and for one beyond 63 bits.
func integer(kind protoreflect.Kind, raw uint64) (int64, bool) {
	switch kind {
	case protoreflect.Int32Kind, protoreflect.EnumKind, protoreflect.Sfixed32Kind:
		return int64(int32(raw)), true
	case protoreflect.Sint32Kind:
		u := uint32(raw)
		return int64(int32(u>>1) ^ -int32(u&1)), true
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return int64(uint32(raw)), true
	case protoreflect.Int64Kind, protoreflect.Sfixed64Kind:
		return int64(raw), true
	case protoreflect.Sint64Kind:
		return int64(raw>>1) ^ -int64(raw&1), true
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return int64(raw), raw <= math.MaxInt64
	}
	return 0, false
}

func number(kind protoreflect.Kind, raw uint64) (float64, bool) {
	switch kind {
	case protoreflect.DoubleKind:
		return math.Float64frombits(raw), true
	case protoreflect.FloatKind:
		return float64(math.Float32frombits(uint32(raw))), true
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return float64(raw), true
	case protoreflect.EnumKind:
		return 0, false
	}
	n, ok := integer(kind, raw)
	return float64(n), ok
}

func timestamp(v *mortise.Value, kind protoreflect.Kind, raw uint64, text []byte, times fields.Times) fields.Fit {
	var ms int64
	ok := false
	switch kind {
	case protoreflect.StringKind:
		ms, ok = times.OfText(text)
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		f, _ := number(kind, raw)
		ms, ok = times.OfFloat(f)
	case protoreflect.EnumKind:
	default:
		var n int64
		if n, ok = integer(kind, raw); ok {
			ms, ok = times.OfInt(n)
		}
	}
	*v = mortise.TimestampValue(ms)
	return fit(ok)
}

// defaultOf is what a field that is not set has.
func defaultOf(fd protoreflect.FieldDescriptor) (raw uint64, text []byte) {
	d := fd.Default()
	switch fd.Kind() {
	case protoreflect.StringKind:
		return 0, []byte(d.String())
	case protoreflect.BytesKind:
		return 0, d.Bytes()
	case protoreflect.BoolKind:
		if d.Bool() {
			return 1, nil
		}
		return 0, nil
	case protoreflect.EnumKind:
		return uint64(int64(d.Enum())), nil
	case protoreflect.DoubleKind:
		return math.Float64bits(d.Float()), nil
	case protoreflect.FloatKind:
		return uint64(math.Float32bits(float32(d.Float()))), nil
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return d.Uint(), nil
	case protoreflect.Sint32Kind:
		n := int32(d.Int())
		return uint64(uint32(n<<1 ^ n>>31)), nil
	case protoreflect.Sint64Kind:
		n := d.Int()
		return uint64(n<<1 ^ n>>63), nil
	}
	return uint64(d.Int()), nil
}
