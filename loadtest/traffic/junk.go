package traffic

import "bytes"

// spoil turns the sound line in w into one that no experiment can use: half of
// the time broken as text, else sound JSON with a broken field.
func (w *writer) spoil(e *entry) {
	r := w.g.draw(forRender, ^e.ownID())
	if r.below(2) == 0 {
		w.spoilText(&r)
		return
	}
	form := &brokenFields[r.below(int64(len(brokenFields)))]
	if form.name == "" { // the stream's own key
		w.replace(keyField[e.kind], form.value)
	} else {
		w.replace(form.name, form.value)
	}
}

var keyField = [NumStreams]string{"impression_id", "impression_id", "impression_id", "request_id"}

// brokenFields replace a field's value, or remove the field where there is no value.
var brokenFields = []struct{ name, value string }{
	{"", ""},                                 // the join key is missing
	{"", `null`},                             // … null
	{"", `{"id":"nested"}`},                  // … an object
	{"", `["list"]`},                         // … a list
	{"ts", ""},                               // event time missing
	{"ts", `null`},                           // … null
	{"ts", `true`},                           // … of another type
	{"ts", `"yesterday"`},                    // … text
	{"ts", `1`},                              // … in 1970
	{"ts", `-62135596800000`},                // … in the year 1
	{"ts", `4102444800000`},                  // … in 2100
	{"ts", `9223372036854775807`},            // … the largest int64
	{"ts", `9223372036854775808`},            // … beyond int64
	{"ts", `1e400`},                          // … beyond float64
	{"user_segment", `{"deep":[[[[[1]]]]]}`}, // a declared string that is not one
	{"user_segment", `17`},
}

func (w *writer) spoilText(r *random) {
	switch r.below(8) {
	case 0: // cut off
		w.line = w.line[:1+r.below(int64(len(w.line)-1))]
	case 1: // more than one value
		w.line = append(w.line, `{"second":1}`...)
	case 2: // not an object
		w.line = append(w.line, ']')
		w.line = append(w.line, 0)
		copy(w.line[1:], w.line[:len(w.line)-1])
		w.line[0] = '['
	case 3:
		w.line = append(w.line[:0], `2026-01-01 00:00:00 INFO not json at all`...)
	case 4:
		w.line = append(w.line[:0], `null`...)
	case 5: // bytes that are not UTF-8, outside of any string
		w.line = append(w.line, 0xff, 0xfe)
	case 6: // a comma too many
		w.line = append(w.line[:len(w.line)-1], `,}`...)
	case 7: // a NUL where a write was lost
		w.line[len(w.line)/2] = 0
	}
}

// replace gives the named field of the line another value, or removes it.
func (w *writer) replace(name, value string) {
	g := w.g
	start := bytes.Index(w.line, append(append(append(g.scratch[:0], '"'), name...), `":`...))
	if start < 0 {
		return
	}
	from := start + len(name) + len(`"":`)
	end := from + valueLength(w.line[from:])
	if value == "" {
		if w.line[end] == ',' {
			end++
		} else {
			start-- // the comma before it
		}
		from = start
	}
	g.scratch = append(g.scratch[:0], w.line[end:]...)
	w.line = append(append(w.line[:from], value...), g.scratch...)
}

// valueLength is the length of the string or number that s begins with.
func valueLength(s []byte) int {
	if s[0] != '"' {
		return bytes.IndexAny(s, ",}")
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}
