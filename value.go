package mortise

import (
	"math"
	"strconv"
)

// Value is one field of one record: a small tagged union that costs no
// allocation for scalars. The zero Value is Invalid. Text may alias the buffer
// that it was decoded from and is then valid only as long as that buffer is.
type Value struct {
	Kind Kind
	bits uint64
	text []byte
	list []Value
}

// Row is the fields of one record, in the order of its Schema.
type Row []Value

// Constructors, one a kind.
func NullValue() Value              { return Value{Kind: Null} }
func IntValue(v int64) Value        { return Value{Kind: Int, bits: uint64(v)} }
func TimestampValue(ms int64) Value { return Value{Kind: Timestamp, bits: uint64(ms)} }
func FloatValue(v float64) Value    { return Value{Kind: Float, bits: math.Float64bits(v)} }
func TextValue(v []byte) Value      { return Value{Kind: String, text: v} }
func StringValue(v string) Value    { return Value{Kind: String, text: []byte(v)} }
func ListValue(v []Value) Value     { return Value{Kind: List, list: v} }

// BoolValue makes a Bool.
func BoolValue(v bool) Value {
	if v {
		return Value{Kind: Bool, bits: 1}
	}
	return Value{Kind: Bool}
}

// Int returns an Int's or a Timestamp's number.
func (v Value) Int() int64 { return int64(v.bits) }

// Float returns a Float's number; use Number to accept integers too.
func (v Value) Float() float64 { return math.Float64frombits(v.bits) }

// Bool returns a Bool's truth.
func (v Value) Bool() bool { return v.bits != 0 }

// Text returns a String's bytes, aliased, not copied.
func (v Value) Text() []byte { return v.text }

// List returns a List's elements, aliased, not copied.
func (v Value) List() []Value { return v.list }

// IsNull reports whether there is nothing to read: null, missing or invalid.
func (v Value) IsNull() bool { return v.Kind <= Null }

// Number returns an Int, Timestamp, Float or Bool (1/0) as a float64.
func (v Value) Number() (float64, bool) {
	switch v.Kind {
	case Int, Timestamp:
		return float64(int64(v.bits)), true
	case Float:
		return math.Float64frombits(v.bits), true
	case Bool:
		return float64(v.bits), true
	}
	return 0, false
}

// AppendKey appends the value as a part of a join key: text as it is with `|`
// and `\` escaped by `\`, numbers in decimal, booleans as true/false. Null and
// lists have no key form.
func (v Value) AppendKey(dst []byte) ([]byte, bool) {
	switch v.Kind {
	case String:
		for _, c := range v.text {
			if c == '|' || c == '\\' {
				dst = append(dst, '\\')
			}
			dst = append(dst, c)
		}
	case Int, Timestamp:
		dst = strconv.AppendInt(dst, int64(v.bits), 10)
	case Float:
		dst = strconv.AppendFloat(dst, v.Float(), 'g', -1, 64)
	case Bool:
		dst = strconv.AppendBool(dst, v.bits != 0)
	default:
		return dst, false
	}
	return dst, true
}
