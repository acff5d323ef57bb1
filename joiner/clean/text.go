package clean

import (
	"unicode/utf16"
	"unicode/utf8"
)

// appendUnescaped appends the content of a JSON string whose escapes were found
// valid. A surrogate escape without its other half becomes U+FFFD.
func appendUnescaped(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		c := raw[i]
		if c != '\\' {
			dst = append(dst, c)
			i++
			continue
		}
		if c = raw[i+1]; c != 'u' {
			dst = append(dst, escaped[c])
			i += 2
			continue
		}
		r := hexRune(raw[i+2:])
		i += 6
		if utf16.IsSurrogate(r) {
			pair := rune(utf8.RuneError)
			if i+6 <= len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
				pair = utf16.DecodeRune(r, hexRune(raw[i+2:]))
			}
			if r = pair; r != utf8.RuneError {
				i += 6
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// escaped maps the letter after a backslash to what it stands for.
var escaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func hexRune(four []byte) (r rune) {
	for _, c := range four[:4] {
		r = r<<4 | hexValue(c)
	}
	return r
}

// hexValue returns a hexadecimal digit's value, or -1.
func hexValue(c byte) rune {
	switch lower := c | 0x20; {
	case c-'0' <= 9:
		return rune(c - '0')
	case lower-'a' <= 5:
		return rune(lower-'a') + 10
	}
	return -1
}
