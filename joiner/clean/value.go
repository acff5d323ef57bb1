package clean

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	mortise "github.com/mortise-dev/mortise"
)

// status says how a slot of a row came to its value. Every status but statusOK
// leaves null in the row.
type status uint8

const (
	statusOK status = iota
	statusMissing
	statusNull
	statusIllTyped
	statusFailed // a derived field whose inputs are broken, or whose expression failed
	statusBadUTF8
)

// converter turns tokens into values. Text with escapes and lists live in its
// buffers until reset. One goroutine uses it.
type converter struct {
	text []byte
	list []mortise.Value
}

func (c *converter) reset() {
	const mostValues = 1 << 14
	c.text = reuse(c.text)
	if c.list = c.list[:0]; cap(c.list) > mostValues {
		c.list = nil
	}
}

// value reads the token t of s's record as the field f.
func (c *converter) value(s *scanner, t token, f *field) (mortise.Value, status) {
	switch t.kind & kindMask {
	case absent:
		return mortise.NullValue(), statusMissing
	case tokenNull:
		return mortise.NullValue(), statusNull
	case tokenArray:
		if f.typ.Kind == mortise.List {
			return c.array(s, t, f)
		}
	}
	v, st := c.scalar(s.data, t, f.typ.Kind, f.unit)
	if st != statusOK {
		v = mortise.NullValue()
	}
	return v, st
}

func (c *converter) scalar(data []byte, t token, kind mortise.Kind, unit timeUnit) (v mortise.Value, st status) {
	ok := false
	switch got := t.kind & kindMask; kind {
	case mortise.String:
		if got == tokenString {
			text, valid := c.unquote(data, t)
			if !valid {
				return v, statusBadUTF8
			}
			return mortise.TextValue(text), statusOK
		}
	case mortise.Int:
		if t.kind == tokenNumber|flagInteger {
			var n int64
			n, ok = parseInt(data[t.start:t.end])
			v = mortise.IntValue(n)
		}
	case mortise.Float:
		if got == tokenNumber {
			f, err := strconv.ParseFloat(string(data[t.start:t.end]), 64) // the conversion stays on the stack
			v, ok = mortise.FloatValue(f), err == nil
		}
	case mortise.Bool:
		v, ok = mortise.BoolValue(got == tokenTrue), got == tokenTrue || got == tokenFalse
	case mortise.Timestamp:
		v, ok = c.timestamp(data, t, unit)
	}
	if !ok {
		return v, statusIllTyped
	}
	return v, statusOK
}

// timestamp reads a time in its unit, or as RFC 3339 text.
func (c *converter) timestamp(data []byte, t token, unit timeUnit) (mortise.Value, bool) {
	text := data[t.start:t.end]
	if t.kind&kindMask == tokenString {
		unit = unitRFC3339
		text, _ = c.unquote(data, t)
	}
	ms, ok := unit.read(t.kind, text)
	return mortise.TimestampValue(ms), ok
}

// array reads a list; the scanner has found it to be valid JSON.
func (c *converter) array(s *scanner, t token, f *field) (mortise.Value, status) {
	first := len(c.list)
	i := s.space(t.start + 1)
	for s.data[i] != ']' {
		start := i
		end, kind := s.value(i)
		if end < 0 {
			return mortise.NullValue(), statusIllTyped
		}
		elem := token{start, end, kind}
		if kind&kindMask == tokenString {
			elem.start, elem.end = start+1, end-1
		}
		v, st := c.scalar(s.data, elem, f.typ.Elem, f.unit)
		if st != statusOK {
			return mortise.NullValue(), st
		}
		c.list = append(c.list, v)
		if i = s.space(end); s.data[i] == ',' {
			i = s.space(i + 1)
		}
	}
	return mortise.ListValue(c.list[first:len(c.list):len(c.list)]), statusOK
}

// unquote returns a string token's content: the record's own bytes, or a copy in
// the converter's buffer where there are escapes. False is for invalid UTF-8.
func (c *converter) unquote(data []byte, t token) ([]byte, bool) {
	raw := data[t.start:t.end:t.end]
	if t.kind&flagHigh != 0 && !utf8.Valid(raw) {
		return raw, false
	}
	if t.kind&flagEscaped == 0 {
		return raw, true
	}
	first := len(c.text)
	c.text = appendUnescaped(c.text, raw)
	return c.text[first:len(c.text):len(c.text)], true
}

// describe says what is wrong with a field's value, for a dead letter.
func describe(s *scanner, t token, f *field, st status) string {
	switch st {
	case statusMissing:
		return fmt.Sprintf("expected %s, the field is missing", f.typ)
	case statusNull:
		return fmt.Sprintf("expected %s, found null; declare the type with ? to allow it", f.typ)
	}
	return fmt.Sprintf("expected %s, found %s", f.typ, quoted(t.kind, s.data[t.start:t.end]))
}
