package instances

import (
	"math"
	"strconv"

	mortise "github.com/mortise-dev/mortise"
)

// JSONEncoder writes an instance as one JSON object on one line, without the
// newline: keys in column order, timestamps as int64 ms, lists as arrays,
// numbers as encoding/json spells them, text without HTML escaping and always
// valid UTF-8. Whatever JSON cannot say, NaN and infinities, is null.
type JSONEncoder struct {
	labels   []labelKeys
	selected [][]byte
}

var _ Encoder = (*JSONEncoder)(nil)

// labelKeys are a label's three keys as they stand in a row, from comma to colon.
type labelKeys struct{ value, time, count []byte }

// NewJSONEncoder makes an encoder of the columns.
func NewJSONEncoder(c *Columns) *JSONEncoder {
	e := &JSONEncoder{}
	for _, label := range c.Labels() {
		name := "label_" + label
		e.labels = append(e.labels, labelKeys{jsonKey(name), jsonKey(name + "_time"), jsonKey(name + "_count")})
	}
	for _, f := range c.Selected() {
		e.selected = append(e.selected, jsonKey(f.Name))
	}
	return e
}

func jsonKey(name string) []byte { return append(appendJSONString([]byte{','}, []byte(name)), ':') }

// Append appends the instance. It does not allocate where dst has room.
func (e *JSONEncoder) Append(dst []byte, in *Instance) []byte {
	dst = appendJSONString(append(dst, `{"instance_id":`...), in.ID)
	dst = strconv.AppendInt(append(dst, `,"event_time":`...), in.TimeMS, 10)
	for i := range e.labels {
		dst = e.labels[i].append(dst, &in.Labels[i])
	}
	for i, key := range e.selected {
		dst = appendJSONValue(append(dst, key...), &in.Selected[i])
	}
	dst = appendJSONFloat(append(dst, `,"weight":`...), in.Weight)
	dst = strconv.AppendInt(append(dst, `,"revision":`...), int64(in.Revision), 10)
	dst = strconv.AppendBool(append(dst, `,"final":`...), in.Final)
	dst = strconv.AppendBool(append(dst, `,"late":`...), in.Late)
	dst = append(dst, `,"degraded":[`...)
	for i, text := range in.Degraded {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONString(dst, text)
	}
	return append(dst, ']', '}')
}

func (k *labelKeys) append(dst []byte, v *LabelValue) []byte {
	if v.Count == 0 {
		dst = append(append(append(dst, k.value...), '0'), k.time...)
		return append(append(append(dst, "null"...), k.count...), '0')
	}
	dst = appendJSONFloat(append(dst, k.value...), v.Value)
	dst = strconv.AppendInt(append(dst, k.time...), v.FirstMS, 10)
	return strconv.AppendInt(append(dst, k.count...), v.Count, 10)
}

// appendJSONValue writes what the value is; its column's type has been checked
// where it was read.
func appendJSONValue(dst []byte, v *mortise.Value) []byte {
	switch v.Kind {
	case mortise.String:
		return appendJSONString(dst, v.Text())
	case mortise.Int, mortise.Timestamp:
		return strconv.AppendInt(dst, v.Int(), 10)
	case mortise.Float:
		return appendJSONFloat(dst, v.Float())
	case mortise.Bool:
		return strconv.AppendBool(dst, v.Bool())
	case mortise.List:
		dst = append(dst, '[')
		list := v.List()
		for i := range list {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSONValue(dst, &list[i])
		}
		return append(dst, ']')
	}
	return append(dst, "null"...)
}

// appendJSONFloat writes a float as encoding/json does, following ECMAScript's
// Number.toString: the shortest digits that read back as f, with an exponent
// from 1e21 on and below 1e-6.
func appendJSONFloat(dst []byte, f float64) []byte {
	const exactInt = 1 << 53
	if n := int64(f); float64(n) == f && -exactInt < n && n < exactInt && (n != 0 || !math.Signbit(f)) {
		return strconv.AppendInt(dst, n, 10)
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if abs := math.Abs(f); abs == 0 || abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // e-09 is e-9
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}
