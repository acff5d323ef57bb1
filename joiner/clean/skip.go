package clean

import (
	"encoding/binary"
	"math/bits"
)

// maxDepth bounds the nesting of a record, the outer object included. It is
// encoding/json's own limit.
const maxDepth = 10_000

// Bytes repeated over a word, to look at eight bytes at once.
const (
	ones   = 0x0101010101010101
	highs  = 0x8080808080808080
	quotes = '"' * ones
	slants = '\\' * ones
	spaces = ' ' * ones
	zeros  = '0' * ones
	// aboveNine, added to a byte below 0x80, sets its high bit if it was above 9.
	aboveNine = (0x7f - 9) * ones
)

// stops marks, by its lowest high bit, the first byte of w that ends a plain run
// within a string: a quote, a backslash or a control character. Bits above the
// lowest one may be wrong.
func stops(w uint64) uint64 {
	q, b := w^quotes, w^slants
	return ((q-ones)&^q | (b-ones)&^b | (w-spaces)&^w) & highs
}

// value validates the value that starts at i and returns where it ends and what
// it is; a negative end after a fault.
func (s *scanner) value(i int) (int, tokenKind) {
	if i >= len(s.data) {
		return s.fail(i, "expected a value"), absent
	}
	switch c := s.data[i]; {
	case c == '"':
		return s.str(i)
	case c == '-' || c-'0' <= 9:
		return s.number(i)
	case c == '{':
		return s.nested(i), tokenObject
	case c == '[':
		return s.nested(i), tokenArray
	}
	return s.literal(i)
}

func (s *scanner) literal(i int) (int, tokenKind) {
	rest := s.data[i:]
	switch {
	case len(rest) >= 4 && string(rest[:4]) == "true":
		return i + 4, tokenTrue
	case len(rest) >= 5 && string(rest[:5]) == "false":
		return i + 5, tokenFalse
	case len(rest) >= 4 && string(rest[:4]) == "null":
		return i + 4, tokenNull
	}
	return s.fail(i, "expected a value"), absent
}

// str passes over the string whose opening quote is at i.
func (s *scanner) str(i int) (int, tokenKind) {
	data, kind, high := s.data, tokenString, uint64(0)
	for i++; ; {
		for i+8 <= len(data) {
			w := binary.LittleEndian.Uint64(data[i:])
			high |= w // a byte behind the quote may count: the check that it asks for is then idle
			if m := stops(w); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		for i < len(data) && data[i] >= ' ' && data[i] != '"' && data[i] != '\\' {
			high |= uint64(data[i])
			i++
		}
		if i >= len(data) {
			return s.fail(i, "expected the end of a string"), absent
		}
		switch data[i] {
		case '"':
			if high&highs != 0 {
				kind |= flagHigh
			}
			return i + 1, kind
		case '\\':
			kind |= flagEscaped
			if i = s.escape(i); i < 0 {
				return -1, absent
			}
		default:
			return s.fail(i, "control characters in strings must be escaped"), absent
		}
	}
}

// escape passes over the escape sequence at i.
func (s *scanner) escape(i int) int {
	if i+1 >= len(s.data) {
		return s.fail(len(s.data), "expected the end of a string")
	}
	switch s.data[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		for k := i + 2; k < i+6; k++ {
			if k >= len(s.data) {
				return s.fail(k, "expected four hexadecimal digits")
			}
			if hexValue(s.data[k]) < 0 {
				return s.fail(i, "expected four hexadecimal digits after \\u")
			}
		}
		return i + 6
	}
	return s.fail(i, "unknown escape sequence")
}

// number passes over the number at i.
func (s *scanner) number(i int) (int, tokenKind) {
	data, kind := s.data, tokenNumber|flagInteger
	if data[i] == '-' {
		i++
	}
	first := i
	if i = digits(data, i); i == first {
		return s.fail(i, "expected a digit"), absent
	}
	if data[first] == '0' && i > first+1 {
		return s.fail(first, "numbers must not start with 0"), absent
	}
	if i < len(data) && data[i] == '.' {
		kind = tokenNumber
		first = i + 1
		if i = digits(data, first); i == first {
			return s.fail(i, "expected a digit after the decimal point"), absent
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		kind = tokenNumber
		if i++; i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		first = i
		if i = digits(data, first); i == first {
			return s.fail(i, "expected a digit in the exponent"), absent
		}
	}
	return i, kind
}

// digits passes over decimal digits.
func digits(data []byte, i int) int {
	for i+8 <= len(data) {
		d := binary.LittleEndian.Uint64(data[i:]) ^ zeros // 0 to 9 where a digit was
		if m := ((d &^ highs) + aboveNine | d) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(data) && data[i]-'0' <= 9 {
		i++
	}
	return i
}

// nested passes over the object or array at i, which lies in the outer object.
// A bit stack instead of recursion keeps deep records from growing the stack.
func (s *scanner) nested(i int) int {
	depth := 1
	for i >= 0 {
		c := byte(0)
		if i < len(s.data) {
			c = s.data[i]
		}
		switch {
		case c == '{' || c == '[':
			if depth == maxDepth {
				return s.fail(i, "nested too deeply")
			}
			depth++
			s.push(depth, c == '{')
			if i = s.space(i + 1); i < len(s.data) && s.data[i] == c+2 { // the closing bracket's code
				if i, depth = s.leave(i+1, depth-1); depth == 1 {
					return i
				}
			}
		default:
			if i, _ = s.value(i); i < 0 {
				return -1
			}
			if i, depth = s.leave(i, depth); depth == 1 {
				return i
			}
		}
		if i >= 0 && s.inObject(depth) {
			i = s.innerName(i)
		}
	}
	return -1
}

// leave passes over what may follow a value at the given depth: closing brackets,
// then a comma, and returns the depth that it came to.
func (s *scanner) leave(i, depth int) (int, int) {
	for depth > 1 {
		if i = s.space(i); i >= len(s.data) {
			return s.fail(i, "expected the end of a nested value"), depth
		}
		c, closing := s.data[i], byte(']')
		if s.inObject(depth) {
			closing = '}'
		}
		switch c {
		case ',':
			return s.space(i + 1), depth
		case closing:
			i, depth = i+1, depth-1
		default:
			return s.fail(i, "expected , or a closing bracket after a value"), depth
		}
	}
	return i, depth
}

// innerName passes over a name and its colon within a nested object.
func (s *scanner) innerName(i int) int {
	if i >= len(s.data) || s.data[i] != '"' {
		return s.fail(i, "expected a name in quotes")
	}
	if i, _ = s.str(i); i < 0 {
		return -1
	}
	if i = s.space(i); i >= len(s.data) || s.data[i] != ':' {
		return s.fail(i, "expected : after a name")
	}
	return s.space(i + 1)
}

func (s *scanner) push(depth int, object bool) {
	bit := uint64(1) << (depth & 63)
	if object {
		s.stack[depth>>6] |= bit
	} else {
		s.stack[depth>>6] &^= bit
	}
}

func (s *scanner) inObject(depth int) bool { return s.stack[depth>>6]>>(depth&63)&1 != 0 }
