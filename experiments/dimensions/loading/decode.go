package loading

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// Columns are the columns that are read of files for a dimension, every one
// nullable: what may not be null the rows' own errors say.
func Columns(def *dimjoin.Definition) (out mortise.Schema) {
	add := func(name string, t mortise.Type) {
		if t.Nullable = true; name != "" && out.Index(name) < 0 {
			out = append(out, mortise.Field{Name: name, Type: t})
		}
	}
	for i, name := range def.Key {
		add(name, def.KeyTypes[i])
	}
	for _, f := range def.Fields {
		add(f.Name, f.Type)
	}
	if def.History.Kept() {
		add(def.History.From, mortise.Type{Kind: mortise.String})
		add(def.History.To, mortise.Type{Kind: mortise.String})
	}
	return out
}

// decoder reads rows of a dimension. What it returns is valid for good.
type decoder struct {
	def    *dimjoin.Definition
	object map[string]json.RawMessage
}

// row reads a line: the row, and from when to when it is valid.
func (d *decoder) row(line []byte) (r dimjoin.Record, toMS int64, err error) {
	d.object = map[string]json.RawMessage{}
	if err := json.Unmarshal(line, &d.object); err != nil || d.object == nil {
		return r, 0, fmt.Errorf("it is no JSON object: %.60q", line)
	}
	for i, name := range d.def.Key {
		v, err := d.column(name, d.def.KeyTypes[i])
		if err == nil && v.IsNull() {
			err = fmt.Errorf("column %s: a part of the key is null: no impression could find this row", name)
		}
		if err != nil {
			return r, 0, err
		}
		r.Values = append(r.Values, v)
	}
	var ok bool
	if r.Key, ok = dimjoin.AppendKey(nil, r.Values...); !ok {
		return r, 0, errors.New("a list cannot be a part of the key")
	}
	r.Row = make(mortise.Row, len(d.def.Fields))
	for i := range d.def.Fields {
		f := &d.def.Fields[i]
		v, err := d.column(f.Name, f.Type)
		if err == nil {
			v, err = dimjoin.Fit(f, v)
		}
		if err != nil {
			return r, 0, err
		}
		r.Row[i] = v
	}
	if size := sizeOf(&r); size > dimjoin.MaxRowBytes {
		return r, 0, dimjoin.ErrTooLarge(size)
	}
	r.FromMS, toMS, err = d.span()
	return r, toMS, err
}

// column reads one column, null where it may be and is not there.
func (d *decoder) column(name string, t mortise.Type) (mortise.Value, error) {
	raw, ok := d.object[name]
	if !ok {
		if t.Nullable {
			return mortise.NullValue(), nil
		}
		return mortise.Value{}, fmt.Errorf("it has no column %s, which is declared; %s", name, dimjoin.DidYouMean(name, slices.Sorted(maps.Keys(d.object))))
	}
	v, ok := dimjoin.ParseJSON(t, raw)
	if !ok {
		return v, fmt.Errorf("column %s: %s is no %s", name, dimjoin.Excerpt(raw), t)
	}
	return v, nil
}

// span reads from when to when the row is valid.
func (d *decoder) span() (fromMS, toMS int64, err error) {
	h := &d.def.History
	if !h.Kept() {
		return dimjoin.Always, dimjoin.Latest, nil
	}
	var ok bool
	if fromMS, ok = h.Begin(d.time(h.From)); !ok {
		return 0, 0, fmt.Errorf("column %s: %s is no time; the history's unit is %s", h.From, dimjoin.Excerpt(d.object[h.From]), h.Unit)
	}
	if toMS, ok = h.End(d.time(h.To)); !ok {
		return 0, 0, fmt.Errorf("column %s: %s is no time; the history's unit is %s", h.To, dimjoin.Excerpt(d.object[h.To]), h.Unit)
	}
	if toMS < fromMS {
		return 0, 0, errors.New("the row's validity ends before it begins")
	}
	return fromMS, toMS, nil
}

// time is a time of the history as it lies there; a text of digits is a number.
func (d *decoder) time(name string) mortise.Value {
	raw, ok := d.object[name]
	if !ok {
		return mortise.NullValue()
	}
	v, ok := dimjoin.ParseJSON(mortise.Type{}, raw)
	if !ok {
		return mortise.Value{Kind: mortise.List} // which is no time
	}
	if v.Kind == mortise.String {
		if n, err := strconv.ParseInt(string(v.Text()), 10, 64); err == nil {
			return mortise.IntValue(n)
		}
		if len(v.Text()) == 0 {
			return mortise.NullValue()
		}
	}
	return v
}

// sizeOf is about what a row takes in a store.
func sizeOf(r *dimjoin.Record) int {
	size := len(r.Key) + 16
	for _, v := range r.Row {
		size += 12 + len(v.Text())
		for _, e := range v.List() {
			size += 12 + len(e.Text())
		}
	}
	return size
}
