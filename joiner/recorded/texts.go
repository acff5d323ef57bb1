package recorded

import (
	"bytes"
	"encoding/json"

	mortise "github.com/mortise-dev/mortise"
)

// AppendText appends a value that is written as text, a cell of a CSV file or a
// partition's folder, as the JSON of the member's type. Text that is no value
// of the type becomes a JSON string, or a number of another kind, so that the
// record is refused with the field's name. quoted is for a cell in quotes: that
// is how the empty string is told from null.
//
//	empty      null; "" for a quoted string, and for a string that may not be null
//	string     the text
//	int        decimal digits, with a sign, leading zeros or an empty fraction (7.0)
//	float      a decimal number; NaN and infinities become null, as in rows
//	bool       true, false, t, f, 1, 0, in small or big letters
//	timestamp  an integer of ms, or a date and time (parseTime)
//	list       a JSON array
//
// The event time may be a date and time too, whatever its type and unit.
func (m *Member) AppendText(dst, text []byte, quoted bool) []byte {
	kind := m.Type.Kind
	if kind == mortise.String || kind == mortise.Invalid && m.TimeUnit == "" {
		if len(text) == 0 && !quoted && (m.Type.Nullable || kind == mortise.Invalid) {
			return append(dst, "null"...)
		}
		return m.appendClock(dst, text)
	}
	text = bytes.Trim(text, " \t")
	if len(text) == 0 {
		return append(dst, "null"...)
	}
	ok := false
	switch kind {
	case mortise.Int, mortise.Timestamp:
		dst, ok = appendNumber(dst, text, true)
	case mortise.Float:
		if isNotFinite(text) {
			return append(dst, "null"...)
		}
		dst, ok = appendNumber(dst, text, false)
	case mortise.Bool:
		dst, ok = appendBool(dst, text)
	case mortise.List:
		dst, ok = appendList(dst, text)
	case mortise.Invalid:
		if m.TimeUnit == "rfc3339" {
			return m.appendClock(dst, text)
		}
		dst, ok = appendNumber(dst, text, false)
	}
	if ok {
		return dst
	}
	if kind == mortise.Timestamp || m.TimeUnit != "" {
		if seconds, nanos, ok := parseTime(text); ok {
			return m.AppendTime(dst, seconds, nanos)
		}
	}
	return AppendString(dst, text)
}

// appendClock appends text, made RFC 3339 if it is the event time and another
// spelling of a time. RFC 3339 itself stays as it is.
func (m *Member) appendClock(dst, text []byte) []byte {
	if m.TimeUnit == "rfc3339" {
		zoned := len(text) > len("2006-01-02T15:04:05") && text[10] == 'T' && (text[len(text)-1] == 'Z' || text[len(text)-3] == ':')
		if seconds, nanos, ok := parseTime(text); ok && !zoned {
			return m.AppendTime(dst, seconds, nanos)
		}
	}
	return AppendString(dst, text)
}

// appendNumber appends a decimal number as JSON writes it. A fraction of zeros is
// left out if the number is to be an integer.
func appendNumber(dst, text []byte, integer bool) ([]byte, bool) {
	begun := len(dst)
	if text[0] == '-' {
		dst = append(dst, '-')
	}
	if text[0] == '-' || text[0] == '+' {
		text = text[1:]
	}
	whole := countDigits(text)
	lead := 0
	for lead < whole-1 && text[lead] == '0' {
		lead++
	}
	dst = append(dst, text[lead:whole]...)
	if whole == 0 {
		dst = append(dst, '0')
	}
	text = text[whole:]
	if len(text) > 0 && text[0] == '.' {
		frac := countDigits(text[1:])
		whole += frac
		if isZeros := len(bytes.Trim(text[1:1+frac], "0")) == 0; frac > 0 && !(isZeros && integer && len(text) == 1+frac) {
			dst = append(dst, text[:1+frac]...)
		}
		text = text[1+frac:]
	}
	if whole == 0 {
		return dst[:begun], false
	}
	if len(text) > 0 && text[0]|0x20 == 'e' {
		sign := 1
		if len(text) > 1 && (text[1] == '+' || text[1] == '-') {
			sign = 2
		}
		exp := countDigits(text[sign:])
		if exp == 0 {
			return dst[:begun], false
		}
		dst = append(dst, text[:sign+exp]...)
		text = text[sign+exp:]
	}
	if len(text) > 0 {
		return dst[:begun], false
	}
	return dst, true
}

func countDigits(text []byte) (n int) {
	for n < len(text) && text[n]-'0' <= 9 {
		n++
	}
	return n
}

// isNotFinite recognizes what is written for NaN and the infinities.
func isNotFinite(text []byte) bool {
	if text[0] == '-' || text[0] == '+' {
		text = text[1:]
	}
	return len(text) > 2 && text[0]|0x20 >= 'i' &&
		(bytes.EqualFold(text, []byte("nan")) || bytes.EqualFold(text, []byte("inf")) || bytes.EqualFold(text, []byte("infinity")))
}

func appendBool(dst, text []byte) ([]byte, bool) {
	switch {
	case len(text) == 1 && (text[0] == '1' || text[0]|0x20 == 't'), bytes.EqualFold(text, []byte("true")):
		return append(dst, "true"...), true
	case len(text) == 1 && (text[0] == '0' || text[0]|0x20 == 'f'), bytes.EqualFold(text, []byte("false")):
		return append(dst, "false"...), true
	}
	return dst, false
}

// appendList appends a JSON array, on one line.
func appendList(dst, text []byte) ([]byte, bool) {
	if text[0] != '[' || !json.Valid(text) {
		return dst, false
	}
	begun := len(dst)
	dst = append(dst, text...)
	for i, c := range dst[begun:] {
		if c < ' ' { // white space between elements: strings hold it escaped
			dst[begun+i] = ' '
		}
	}
	return dst, true
}
