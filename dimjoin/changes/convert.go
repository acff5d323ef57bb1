package changes

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

// reading is how the values of a record are read.
type reading struct {
	parser  *Parser
	columns map[string]column // what the record's schema says of them; nil where it has none
	texts   bool              // every value is written as a text
	column  column            // of
}

// column is what a schema says of a column.
type column struct {
	kind  string // Kafka Connect's type: int32, string, bytes …; empty where there is no schema
	name  string // of the logical type
	scale int    // of a decimal
}

func (r reading) of(name string) reading {
	r.column = r.columns[name]
	return r
}

// unavailable reports whether a value is what Debezium writes for one that it does
// not know: as text, as bytes, or within a list.
func (r reading) unavailable(raw []byte) bool {
	if r.texts {
		return false
	}
	if isArray(raw) {
		n, all := 0, true
		elements(raw, func(e []byte) { n, all = n+1, all && r.unavailable(e) })
		return n == 1 && all
	}
	if !isString(raw) {
		return false
	}
	mark := r.parser.opts.Unavailable
	text := string(unquote(raw))
	return text == mark || text == base64.StdEncoding.EncodeToString([]byte(mark))
}

// value reads a value as a declared type. The error says what was found.
func (r reading) value(raw []byte, t mortise.Type) (mortise.Value, error) {
	if isNull(raw) || r.isZeroTime(raw, t.Kind) {
		if !t.Nullable {
			return mortise.Value{}, fmt.Errorf("expected %s, found %s; declare the type with ? to allow it", t, short(raw))
		}
		return mortise.NullValue(), nil
	}
	if t.Kind == mortise.List {
		return r.list(raw, t)
	}
	v, ok := r.scalar(raw, t.Kind)
	if !ok {
		return mortise.Value{}, fmt.Errorf("expected %s, found %s%s", t, short(raw), r.hint(raw, t.Kind))
	}
	return v, nil
}

// isZeroTime reports whether a value is MySQL's time that is none.
func (r reading) isZeroTime(raw []byte, kind mortise.Kind) bool {
	const zero = "0000-00-00"
	return kind == mortise.Timestamp && len(raw) > len(zero)+1 && string(raw[1:1+len(zero)]) == zero
}

// hint says what would make an unreadable number readable.
func (r reading) hint(raw []byte, kind mortise.Kind) string {
	if isString(raw) && (kind == mortise.Int || kind == mortise.Float) && !r.texts && r.column.kind == "" {
		return "; for decimals set decimal.handling.mode to double, or send schemas with the records"
	}
	return ""
}

func short(raw []byte) string {
	const most = 60
	if len(raw) > most {
		return string(raw[:most]) + "…"
	}
	return string(raw)
}

func (r reading) scalar(raw []byte, kind mortise.Kind) (mortise.Value, bool) {
	switch kind {
	case mortise.String:
		return r.text(raw)
	case mortise.Int:
		return r.integer(raw)
	case mortise.Float:
		f, ok := r.float(raw)
		return mortise.FloatValue(f), ok
	case mortise.Bool:
		return r.boolean(raw)
	case mortise.Timestamp:
		ms, ok := r.timestamp(raw)
		return mortise.TimestampValue(ms), ok
	}
	return mortise.Value{}, false
}

func (r reading) text(raw []byte) (mortise.Value, bool) {
	if d, ok := r.decimal(raw); ok {
		return mortise.StringValue(decimalText(d, r.scaleOf(raw))), true
	}
	if !isString(raw) {
		return mortise.Value{}, false
	}
	return mortise.TextValue(unquote(raw)), true
}

func (r reading) integer(raw []byte) (mortise.Value, bool) {
	if d, ok := r.decimal(raw); ok {
		return mortise.IntValue(d.Num().Int64()), d.IsInt() && d.Num().IsInt64()
	}
	n, err := strconv.ParseInt(string(r.digits(raw)), 10, 64)
	return mortise.IntValue(n), err == nil
}

func (r reading) float(raw []byte) (float64, bool) {
	if d, ok := r.decimal(raw); ok {
		f, _ := d.Float64()
		return f, !math.IsInf(f, 0)
	}
	text := r.digits(raw)
	if !json.Valid(text) || !isNumber(text) {
		return 0, false // NaN, Inf, hexadecimal
	}
	f, err := strconv.ParseFloat(string(text), 64)
	return f, err == nil
}

// digits is a number's text: the value itself, or the content of one that is
// written as a text and known to be a number.
func (r reading) digits(raw []byte) []byte {
	if isString(raw) && (r.texts || r.column.kind == "string") {
		return unquote(raw)
	}
	return raw
}

func (r reading) boolean(raw []byte) (mortise.Value, bool) {
	text := string(raw)
	if r.texts && isString(raw) {
		text = string(unquote(raw))
	}
	switch text { // MySQL's booleans are numbers
	case "true", "1":
		return mortise.BoolValue(true), true
	case "false", "0":
		return mortise.BoolValue(false), true
	}
	return mortise.Value{}, false
}

// list reads an array, or a text that is one: a JSON column's.
func (r reading) list(raw []byte, t mortise.Type) (mortise.Value, error) {
	if isString(raw) {
		if inner := unquote(raw); json.Valid(inner) {
			raw = inner[space(inner, 0):]
		}
	}
	if !isArray(raw) {
		return mortise.Value{}, fmt.Errorf("expected %s, found %s", t, short(raw))
	}
	values, ok := []mortise.Value{}, true
	r.column = column{}
	elements(raw, func(e []byte) {
		v, fits := r.scalar(e, t.Elem)
		values, ok = append(values, v), ok && fits && !isNull(e)
	})
	if !ok {
		return mortise.Value{}, fmt.Errorf("expected %s, found %s", t, short(raw))
	}
	return mortise.ListValue(values), nil
}

// logicalNanos are the logical types of numbers that are times, with their unit.
var logicalNanos = map[string]int64{
	"io.debezium.time.Timestamp":              1e6,
	"io.debezium.time.MicroTimestamp":         1e3,
	"io.debezium.time.NanoTimestamp":          1,
	"io.debezium.time.Date":                   24 * 3600 * 1e9,
	"org.apache.kafka.connect.data.Timestamp": 1e6,
	"org.apache.kafka.connect.data.Date":      24 * 3600 * 1e9,
}

// timestamp reads a time as ms UTC; what is finer is cut off. A text without a
// zone is UTC.
func (r reading) timestamp(raw []byte) (ms int64, ok bool) {
	text := raw
	if isString(raw) {
		text = unquote(raw)
		if at, ok := parseTime(string(text)); ok {
			return at.UnixMilli(), true
		}
		if !r.texts {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, false
	}
	nanos, known := logicalNanos[r.column.name]
	if !known {
		nanos = r.parser.nanos
	}
	if nanos >= 1e6 {
		scale := nanos / 1e6
		return n * scale, n <= math.MaxInt64/scale && n >= math.MinInt64/scale
	}
	return floorDiv(n, 1e6/nanos), true
}

func floorDiv(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}

func parseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, time.DateTime, "2006-01-02T15:04:05", time.DateOnly} { // fractions are taken where they are
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
