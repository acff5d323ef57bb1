package instances

import "unicode/utf8"

// Text makes text valid for formats whose strings are UTF-8, as JSON is written:
// each byte that is not UTF-8 becomes U+FFFD. What it returns is the text itself
// or lies in its buffer until the next call. One goroutine uses it.
type Text struct{ buf []byte }

// Valid returns text as valid UTF-8.
func (t *Text) Valid(text []byte) []byte {
	if utf8.Valid(text) {
		return text
	}
	t.buf = appendValid(t.buf[:0], text)
	return t.buf
}

// ValidString is Valid for a string.
func (t *Text) ValidString(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string(appendValid(nil, []byte(text))) // names of dimensions: never, but for a caller's mistake
}

func appendValid(dst, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		dst = utf8.AppendRune(dst, r) // U+FFFD for a byte that is not UTF-8
		text = text[size:]
	}
	return dst
}
