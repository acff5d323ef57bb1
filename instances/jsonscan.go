package instances

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonScanner walks one JSON text. A method that finds something else than it
// looks for says so and leaves the position at the fault.
type jsonScanner struct {
	data []byte
	i    int
	text []byte // texts that had escapes, one behind the other
}

func (s *jsonScanner) begin(data []byte) { s.data, s.i, s.text = data, 0, s.text[:0] }

func (s *jsonScanner) space() {
	for s.i < len(s.data) {
		switch s.data[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// take steps over c and the space around it, if c is next.
func (s *jsonScanner) take(c byte) bool {
	s.space()
	if s.i >= len(s.data) || s.data[s.i] != c {
		return false
	}
	s.i++
	s.space()
	return true
}

// word steps over text, if that is next.
func (s *jsonScanner) word(text string) bool {
	if len(s.data)-s.i < len(text) || string(s.data[s.i:s.i+len(text)]) != text {
		return false
	}
	s.i += len(text)
	return true
}

// str reads a string; it lies in data, or in s.text where it has escapes.
func (s *jsonScanner) str() ([]byte, bool) {
	if s.i >= len(s.data) || s.data[s.i] != '"' {
		return nil, false
	}
	from := s.i + 1
	for i := from; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			s.i = i + 1
			return s.data[from:i:i], true
		case c == '\\':
			return s.escaped(from, i)
		case c < ' ':
			s.i = i
			return nil, false
		}
	}
	s.i = len(s.data)
	return nil, false
}

// escaped reads the string that begins at from and has its first escape at i.
func (s *jsonScanner) escaped(from, i int) ([]byte, bool) {
	start := len(s.text)
	s.text = append(s.text, s.data[from:i]...)
	for i < len(s.data) {
		c := s.data[i]
		switch {
		case c == '"':
			s.i = i + 1
			return s.text[start:len(s.text):len(s.text)], true
		case c < ' ':
			s.i = i
			return nil, false
		case c != '\\':
			s.text = append(s.text, c)
			i++
			continue
		}
		size, ok := s.unescape(i)
		if !ok {
			s.i = i
			return nil, false
		}
		i += size
	}
	s.i = len(s.data)
	return nil, false
}

// unescape appends what the escape at i stands for and returns its length.
func (s *jsonScanner) unescape(i int) (int, bool) {
	if i+1 >= len(s.data) {
		return 0, false
	}
	if c := s.data[i+1]; c != 'u' {
		plain := escapedBy[c]
		s.text = append(s.text, plain)
		return 2, plain != 0
	}
	r, ok := s.hex(i)
	if !ok {
		return 0, false
	}
	size := 6
	if utf16.IsSurrogate(r) {
		low, _ := s.hex(i + 6)
		if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
			size = 12
		}
	}
	s.text = utf8.AppendRune(s.text, r)
	return size, true
}

// hex reads the \uXXXX at i.
func (s *jsonScanner) hex(i int) (r rune, ok bool) {
	if i+6 > len(s.data) || s.data[i] != '\\' || s.data[i+1] != 'u' {
		return 0, false
	}
	for _, c := range s.data[i+2 : i+6] {
		d := strings.IndexByte(hexDigits, c|0x20)
		if c <= '9' {
			d = int(c) - '0'
		}
		if d < 0 {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

// escapedBy maps the letter after a backslash to what it stands for.
var escapedBy = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// digits reads at least one decimal digit, and returns how many there are and
// their number, which is right for at most 18 of them.
func (s *jsonScanner) digits() (n uint64, count int) {
	from := s.i
	for ; s.i < len(s.data); s.i++ {
		d := s.data[s.i] - '0'
		if d > 9 {
			break
		}
		n = 10*n + uint64(d)
	}
	return n, s.i - from
}

// integer reads a number without fraction and exponent that an int64 holds.
func (s *jsonScanner) integer() (int64, bool) {
	from := s.i
	negative := s.word("-")
	n, count := s.digits()
	switch {
	case count == 0 || s.i < len(s.data) && (s.data[s.i] == '.' || s.data[s.i]|0x20 == 'e'):
		s.i = from
		return 0, false
	case count > 18:
		v, err := strconv.ParseInt(string(s.data[from:s.i]), 10, 64)
		if err != nil {
			s.i = from
		}
		return v, err == nil
	case negative:
		return -int64(n), true
	}
	return int64(n), true
}

// float reads a number.
func (s *jsonScanner) float() (float64, bool) {
	from := s.i
	negative := s.word("-")
	whole, count := s.digits()
	if count == 0 {
		s.i = from
		return 0, false
	}
	places := 0
	if s.i < len(s.data) && s.data[s.i] == '.' {
		s.i++
		var more uint64
		if more, places = s.digits(); places == 0 {
			s.i = from
			return 0, false
		}
		if count+places <= 15 {
			whole = whole*tensInt[places] + more
		}
	}
	if s.i < len(s.data) && s.data[s.i]|0x20 == 'e' {
		s.i++
		if s.i < len(s.data) && (s.data[s.i] == '+' || s.data[s.i] == '-') {
			s.i++
		}
		if _, n := s.digits(); n == 0 {
			s.i = from
			return 0, false
		}
		count = 99
	}
	if count+places > 15 {
		f, err := strconv.ParseFloat(string(s.data[from:s.i]), 64)
		if err != nil {
			s.i = from
		}
		return f, err == nil
	}
	// Both numbers are exact in a float64, so their quotient is rounded once: it is
	// the nearest one, as ParseFloat gives it (W. D. Clinger, 1990).
	f := float64(whole) / tens[places]
	if negative {
		f = -f
	}
	return f, true
}

var tens = [16]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

var tensInt = [16]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// maxJSONDepth bounds what is passed over: no row nests deeper than a list.
const maxJSONDepth = 64

// skip steps over any value.
func (s *jsonScanner) skip(depth int) bool {
	if s.i >= len(s.data) || depth > maxJSONDepth {
		return false
	}
	switch c := s.data[s.i]; c {
	case '"':
		_, ok := s.str()
		return ok
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	case '[':
		s.take('[')
		if s.take(']') {
			return true
		}
		for s.skip(depth + 1) {
			if s.take(']') {
				return true
			}
			if !s.take(',') {
				return false
			}
		}
		return false
	case '{':
		return s.skipObject(depth)
	}
	_, ok := s.float()
	return ok
}

func (s *jsonScanner) skipObject(depth int) bool {
	s.take('{')
	if s.take('}') {
		return true
	}
	for {
		if _, ok := s.str(); !ok || !s.take(':') || !s.skip(depth+1) {
			return false
		}
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// found says what lies at the position, for an error.
func (s *jsonScanner) found() string {
	const most = 24
	switch rest := s.data[min(s.i, len(s.data)):]; {
	case len(rest) == 0:
		return "its end"
	case len(rest) > most:
		return fmt.Sprintf("%q…", rest[:most])
	default:
		return fmt.Sprintf("%q", rest)
	}
}
