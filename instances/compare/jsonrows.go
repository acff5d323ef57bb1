package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	mortise "github.com/mortise-dev/mortise"
)

// JSONReader reads instances from JSON, one object each, whatever their columns
// are. Rows whose keys come in the same order share a Layout. Numbers without a
// point or an exponent are integers as far as 64 bits reach; arrays are lists.
// One goroutine uses it.
type JSONReader struct {
	layouts map[string]*Layout
	last    *Layout
	row     Row
	names   [][]byte
	joined  []byte
	text    []byte // unescaped strings of the row
	list    []mortise.Value
	data    []byte
	at      int
}

// NewJSONReader makes a reader.
func NewJSONReader() *JSONReader { return &JSONReader{layouts: map[string]*Layout{}} }

// Read reads a row that version (see Layout) has written. The row is valid until
// the next call, and as long as line is. The error says what is wrong with line.
func (r *JSONReader) Read(line []byte, version string) (Row, error) {
	r.data, r.at = line, 0
	r.names, r.text, r.list, r.row.Values = r.names[:0], r.text[:0], r.list[:0], r.row.Values[:0]
	if err := r.object(); err != nil {
		return Row{}, fmt.Errorf("byte %d: %w", r.at+1, err)
	}
	l, err := r.layout(version)
	if err != nil {
		return Row{}, err
	}
	r.row.Layout = l
	return r.row, nil
}

func (r *JSONReader) layout(version string) (*Layout, error) {
	if r.last != nil && r.isLike(r.last, version) {
		return r.last, nil
	}
	r.joined = append(r.joined[:0], version...)
	for _, name := range r.names {
		r.joined = append(append(r.joined, 0), name...)
	}
	l := r.layouts[string(r.joined)]
	if l == nil {
		l = &Layout{Version: version}
		for _, name := range r.names {
			if slices.Contains(l.Names, string(name)) {
				return nil, fmt.Errorf("the column %s comes twice", name)
			}
			l.Names = append(l.Names, string(name))
		}
		r.layouts[string(r.joined)] = l
	}
	r.last = l
	return l, nil
}

func (r *JSONReader) isLike(l *Layout, version string) bool {
	if l.Version != version || len(l.Names) != len(r.names) {
		return false
	}
	for i, name := range r.names {
		if string(name) != l.Names[i] {
			return false
		}
	}
	return true
}

func (r *JSONReader) object() error {
	if r.peek() != '{' {
		return fmt.Errorf("a row is one JSON object, not %s", r.found())
	}
	r.at++
	if r.peek() == '}' {
		r.at++
		return r.end()
	}
	for {
		if r.peek() != '"' {
			return fmt.Errorf("there should be a key in quotes, not %s", r.found())
		}
		name, err := r.string()
		if err != nil {
			return err
		}
		if r.peek() != ':' {
			return fmt.Errorf("there should be a colon after the key %q, not %s", name, r.found())
		}
		r.at++
		v, err := r.value(0)
		if err != nil {
			return fmt.Errorf("column %s: %w", name, err)
		}
		r.names, r.row.Values = append(r.names, name), append(r.row.Values, v)
		switch r.peek() {
		case ',':
			r.at++
		case '}':
			r.at++
			return r.end()
		default:
			return fmt.Errorf("there should be a comma or } after column %s, not %s", name, r.found())
		}
	}
}

func (r *JSONReader) end() error {
	if r.peek() != 0 || r.at < len(r.data) {
		return fmt.Errorf("the object ends here, but there is %s", r.found())
	}
	return nil
}

// peek skips white space and returns the next byte; 0 at the end.
func (r *JSONReader) peek() byte {
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (r *JSONReader) found() string {
	if r.at >= len(r.data) {
		return "the end of the line"
	}
	return strconv.Quote(string(r.data[r.at:min(r.at+12, len(r.data))]))
}

// maxNesting is how deep lists of lists may go.
const maxNesting = 8

func (r *JSONReader) value(depth int) (mortise.Value, error) {
	switch c := r.peek(); {
	case c == '"':
		text, err := r.string()
		return mortise.TextValue(text), err
	case c == '[' && depth < maxNesting:
		return r.array(depth)
	case c == '{':
		return mortise.Value{}, fmt.Errorf("an object is no value of an instance")
	case c == '-' || '0' <= c && c <= '9':
		return r.number()
	}
	for _, word := range []struct {
		text  string
		value mortise.Value
	}{{"null", mortise.NullValue()}, {"true", mortise.BoolValue(true)}, {"false", mortise.BoolValue(false)}} {
		if bytes.HasPrefix(r.data[r.at:], []byte(word.text)) {
			r.at += len(word.text)
			return word.value, nil
		}
	}
	return mortise.Value{}, fmt.Errorf("there should be a value, not %s", r.found())
}

func (r *JSONReader) array(depth int) (mortise.Value, error) {
	r.at++
	var own []mortise.Value
	if depth == 0 { // lists of a row lie side by side
		own = r.list[len(r.list):]
	}
	if r.peek() == ']' {
		r.at++
		return mortise.ListValue(own), nil
	}
	for {
		v, err := r.value(depth + 1)
		if err != nil {
			return v, err
		}
		own = append(own, v)
		switch r.peek() {
		case ',':
			r.at++
		case ']':
			r.at++
			if depth == 0 {
				r.list = append(r.list, own...)
				own = r.list[len(r.list)-len(own):]
			}
			return mortise.ListValue(own), nil
		default:
			return v, fmt.Errorf("there should be a comma or ] in the list, not %s", r.found())
		}
	}
}

func (r *JSONReader) number() (mortise.Value, error) {
	from := r.at
	whole := true
	for r.at < len(r.data) {
		c := r.data[r.at]
		if c == '.' || c == 'e' || c == 'E' {
			whole = false
		} else if c != '-' && c != '+' && (c < '0' || c > '9') {
			break
		}
		r.at++
	}
	text := r.data[from:r.at]
	if whole && len(text) < 19 {
		if n, ok := smallInt(text); ok {
			return mortise.IntValue(n), nil
		}
	}
	if !json.Valid(text) {
		r.at = from
		return mortise.Value{}, fmt.Errorf("%q is no number", text)
	}
	if whole {
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			return mortise.IntValue(n), nil
		}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !math.IsInf(f, 0) {
		return mortise.Value{}, fmt.Errorf("%q is no number", text)
	}
	return mortise.FloatValue(f), nil
}

// smallInt reads a whole number that cannot overflow; false for what is none.
func smallInt(text []byte) (n int64, ok bool) {
	digits, negative := text, false
	if text[0] == '-' {
		digits, negative = text[1:], true
	}
	if len(digits) == 0 || digits[0] == '0' && (len(digits) > 1 || negative) {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}

// string reads a string. One without escapes is where it stands in the line.
func (r *JSONReader) string() ([]byte, error) {
	r.at++
	from := r.at
	for r.at < len(r.data) {
		switch c := r.data[r.at]; {
		case c == '"':
			r.at++
			return r.data[from : r.at-1 : r.at-1], nil
		case c == '\\':
			return r.escaped(from)
		case c < ' ':
			return nil, fmt.Errorf("a string holds the control character %#02x", c)
		default:
			r.at++
		}
	}
	return nil, fmt.Errorf("a string does not end")
}

// escaped reads the rest of a string with escapes into text.
func (r *JSONReader) escaped(from int) ([]byte, error) {
	start := len(r.text)
	dst := r.text
	dst = append(dst, r.data[from:r.at]...)
	for r.at < len(r.data) {
		switch c := r.data[r.at]; {
		case c == '"':
			r.at++
			r.text = dst
			return dst[start:len(dst):len(dst)], nil
		case c < ' ':
			return nil, fmt.Errorf("a string holds the control character %#02x", c)
		case c != '\\':
			dst = append(dst, c)
			r.at++
		default:
			var err error
			if dst, err = r.escape(dst); err != nil {
				return nil, err
			}
		}
	}
	return nil, fmt.Errorf("a string does not end")
}

const escapes, escaped = `"\/bfnrt`, "\"\\/\b\f\n\r\t"

func (r *JSONReader) escape(dst []byte) ([]byte, error) {
	if r.at+1 >= len(r.data) {
		return nil, fmt.Errorf("a string does not end")
	}
	c := r.data[r.at+1]
	if c == 'u' {
		r1, ok := r.hex(r.at + 2)
		if !ok {
			return nil, fmt.Errorf("\\u needs four hexadecimal digits")
		}
		r.at += 6
		if utf16.IsSurrogate(r1) {
			r2, ok := rune(0), false
			if bytes.HasPrefix(r.data[r.at:], []byte(`\u`)) {
				r2, ok = r.hex(r.at + 2)
			}
			if r1 = utf16.DecodeRune(r1, r2); ok && r1 != utf8.RuneError {
				r.at += 6
			} else {
				r1 = utf8.RuneError
			}
		}
		return utf8.AppendRune(dst, r1), nil
	}
	i := strings.IndexByte(escapes, c)
	if i < 0 {
		return nil, fmt.Errorf("a string holds the escape \\%c, which JSON does not have", c)
	}
	r.at += 2
	return append(dst, escaped[i]), nil
}

func (r *JSONReader) hex(at int) (rune, bool) {
	if at+4 > len(r.data) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(r.data[at:at+4]), 16, 16)
	return rune(n), err == nil
}
