package dimjoin

import (
	"bytes"
	"encoding/json"
	"strconv"

	mortise "github.com/mortise-dev/mortise"
)

// ParseText reads a value that is written as text: a cell of a CSV file, a field of
// a Redis hash. Text aliases it.
//
//	string     the text
//	int        decimal digits, with a sign or an empty fraction (7.0)
//	float      a decimal number
//	bool       true, false, t, f, 1, 0, in small or big letters
//	timestamp  an integer of ms, or a date and time (ParseTime)
//	list       a JSON array
//
// Around all but strings spaces do not count, and nothing is null.
func ParseText(t mortise.Type, text []byte) (v mortise.Value, ok bool) {
	if t.Kind == mortise.String {
		return mortise.TextValue(text), true
	}
	if text = bytes.Trim(text, " \t"); len(text) == 0 {
		return mortise.NullValue(), true
	}
	switch t.Kind {
	case mortise.Int:
		n, ok := parseInt(text)
		return mortise.IntValue(n), ok
	case mortise.Float:
		x, err := strconv.ParseFloat(string(text), 64)
		return mortise.FloatValue(x), err == nil && !bytes.ContainsAny(text, "xX_")
	case mortise.Bool:
		return parseBool(text)
	case mortise.Timestamp:
		n, ok := parseInt(text)
		if !ok {
			n, ok = ParseTime(text)
		}
		return mortise.TimestampValue(n), ok
	case mortise.List:
		return ParseJSON(t, text)
	}
	return mortise.Value{}, false
}

func parseInt(text []byte) (int64, bool) {
	if point := bytes.IndexByte(text, '.'); point > 0 && len(bytes.Trim(text[point+1:], "0")) == 0 {
		text = text[:point]
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, err == nil
}

func parseBool(text []byte) (mortise.Value, bool) {
	switch {
	case len(text) == 1 && (text[0] == '1' || text[0]|0x20 == 't'), bytes.EqualFold(text, []byte("true")):
		return mortise.BoolValue(true), true
	case len(text) == 1 && (text[0] == '0' || text[0]|0x20 == 'f'), bytes.EqualFold(text, []byte("false")):
		return mortise.BoolValue(false), true
	}
	return mortise.Value{}, false
}

// AppendText appends a value as ParseText reads it; nothing for null.
func AppendText(dst []byte, v mortise.Value) []byte {
	switch v.Kind {
	case mortise.String:
		return append(dst, v.Text()...)
	case mortise.List:
		dst = append(dst, '[')
		for i, e := range v.List() {
			if i > 0 {
				dst = append(dst, ',')
			}
			switch {
			case e.Kind == mortise.String:
				quoted, _ := json.Marshal(string(e.Text())) // text can always be quoted
				dst = append(dst, quoted...)
			case e.IsNull():
				dst = append(dst, "null"...)
			default:
				dst = AppendText(dst, e)
			}
		}
		return append(dst, ']')
	}
	dst, _ = v.AppendKey(dst) // nothing for null
	return dst
}

// ParseJSON reads a valid JSON value as one of the type. Text may alias it. A type
// without a kind takes what is there, a whole number as an int.
func ParseJSON(t mortise.Type, raw []byte) (v mortise.Value, ok bool) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 {
		return v, false
	}
	switch c := raw[0]; {
	case c == 'n':
		return mortise.NullValue(), true
	case c == '"':
		text, ok := unquote(raw)
		if ok && t.Kind == mortise.Timestamp {
			ms, ok := ParseTime(text)
			return mortise.TimestampValue(ms), ok
		}
		return mortise.TextValue(text), ok && (t.Kind == mortise.String || t.Kind == mortise.Invalid)
	case c == 't' || c == 'f':
		return mortise.BoolValue(c == 't'), t.Kind == mortise.Bool || t.Kind == mortise.Invalid
	case c == '[' && t.Kind == mortise.List:
		return parseList(t, raw)
	case c == '-' || c-'0' <= 9:
		return parseNumber(t.Kind, raw)
	}
	return v, false
}

func parseNumber(kind mortise.Kind, raw []byte) (v mortise.Value, ok bool) {
	if kind == mortise.Invalid {
		if v, ok = parseNumber(mortise.Int, raw); !ok {
			v, ok = parseNumber(mortise.Float, raw)
		}
		return v, ok
	}
	if kind != mortise.Int && kind != mortise.Float && kind != mortise.Timestamp {
		return v, false
	}
	if v, ok = ParseText(mortise.Type{Kind: kind}, raw); ok || kind == mortise.Float {
		return v, ok
	}
	x, err := strconv.ParseFloat(string(raw), 64) // 1e3
	if n := int64(x); err == nil && float64(n) == x && x < 1<<53 && x > -1<<53 {
		return mortise.IntValue(n), true
	}
	return v, false
}

func parseList(t mortise.Type, raw []byte) (mortise.Value, bool) {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return mortise.Value{}, false
	}
	list := make([]mortise.Value, len(items))
	for i, item := range items {
		v, ok := ParseJSON(mortise.Type{Kind: t.Elem}, item)
		if !ok || v.IsNull() {
			return mortise.Value{}, false
		}
		list[i] = v
	}
	return mortise.ListValue(list), true
}

func unquote(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[len(raw)-1] != '"' {
		return nil, false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], true
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return nil, false
	}
	return []byte(text), true
}
