package instances

import (
	"fmt"
	"math"
	"slices"

	mortise "github.com/mortise-dev/mortise"
)

// JSONDecoder reads what JSONEncoder writes. Rows in which keys stand in another
// order or with space between them, as other programs may pass them on, are read too.
type JSONDecoder struct {
	columns *Columns
	fields  []jsonField // by column
	index   map[string]int
	scan    jsonScanner
	list    []mortise.Value   // the elements of all lists of a row
	texts   map[string]string // what stood in `degraded` so far
	seen    []uint64          // columns of the row that is read, a bit each
}

var _ Decoder = (*JSONDecoder)(nil)

// jsonField is how a column is read.
type jsonField struct {
	key  string // `"name":`
	name string
	at   int // of a label or of a selected column: which
	read func(d *JSONDecoder, f *jsonField, into *Instance) bool
	want string // what the column takes, for errors
	must bool   // every row has it
}

// NewJSONDecoder makes a decoder of the columns.
func NewJSONDecoder(c *Columns) *JSONDecoder {
	d := &JSONDecoder{columns: c, index: map[string]int{}, texts: map[string]string{}}
	d.add("instance_id", 0, "a string", readID)
	d.add("event_time", 0, "an integer", readTime)
	for i, label := range c.Labels() {
		d.add("label_"+label, i, "a number", readLabel)
		d.add("label_"+label+"_time", i, "an integer", readLabelTime)
		d.add("label_"+label+"_count", i, "an integer", readLabelCount)
	}
	for i, f := range c.Selected() {
		d.add(f.Name, i, "a value of type "+f.Type.String(), readSelected)
		d.fields[len(d.fields)-1].must = false
	}
	d.add("weight", 0, "a number", readWeight)
	d.add("revision", 0, "an integer", readRevision)
	d.add("final", 0, "true or false", func(d *JSONDecoder, _ *jsonField, into *Instance) bool { return d.boolean(&into.Final) })
	d.add("late", 0, "true or false", func(d *JSONDecoder, _ *jsonField, into *Instance) bool { return d.boolean(&into.Late) })
	d.add("degraded", 0, "a list of strings", readDegraded)
	d.seen = make([]uint64, (len(d.fields)+63)/64)
	return d
}

func (d *JSONDecoder) add(name string, at int, want string, read func(*JSONDecoder, *jsonField, *Instance) bool) {
	d.index[name] = len(d.fields)
	d.fields = append(d.fields, jsonField{key: string(append(appendJSONString(nil, name), ':')), name: name, at: at, read: read, want: want, must: true})
}

// Decode implements Decoder. It allocates nothing but for texts with escapes that
// are longer than any before, and for texts in `degraded` that are new.
func (d *JSONDecoder) Decode(value []byte, into *Instance) error {
	d.begin(value, into)
	s := &d.scan
	if !s.take('{') {
		return fmt.Errorf("instance: want a JSON object, found %s", s.found())
	}
	for next := 0; ; {
		col, err := d.column(next)
		if err != nil {
			return err
		}
		if col >= 0 {
			f := &d.fields[col]
			if !f.read(d, f, into) {
				return fmt.Errorf("instance: column %s: want %s, found %s at byte %d", f.name, f.want, s.found(), s.i)
			}
			d.seen[col/64] |= 1 << (col % 64)
			next = col + 1
		}
		if s.take(',') {
			continue
		}
		if !s.take('}') || s.i < len(s.data) {
			return fmt.Errorf("instance: want a comma or the object's end at byte %d, found %s", s.i, s.found())
		}
		return d.complete()
	}
}

func (d *JSONDecoder) begin(value []byte, into *Instance) {
	d.scan.begin(value)
	d.list = d.list[:0]
	clear(d.seen)
	into.Labels = slices.Grow(into.Labels[:0], len(d.columns.labels))[:len(d.columns.labels)]
	clear(into.Labels)
	into.Selected = slices.Grow(into.Selected[:0], len(d.columns.selected))[:len(d.columns.selected)]
	for i := range into.Selected {
		into.Selected[i] = mortise.NullValue()
	}
}

// column reads a key and returns its column: nearly always next, the one behind
// the last. What is no column, it passes over with its value: -1.
func (d *JSONDecoder) column(next int) (int, error) {
	s := &d.scan
	if next < len(d.fields) && s.word(d.fields[next].key) {
		s.space()
		return next, nil
	}
	key, ok := s.str()
	if !ok || !s.take(':') {
		return 0, fmt.Errorf("instance: want a key and a colon at byte %d, found %s", s.i, s.found())
	}
	if col, ok := d.index[string(key)]; ok {
		return col, nil
	}
	if !s.skip(0) {
		return 0, fmt.Errorf("instance: key %q: want a value at byte %d, found %s", key, s.i, s.found())
	}
	return -1, nil
}

// complete returns an error when a column is missing that every row has.
func (d *JSONDecoder) complete() error {
	for col := range d.fields {
		if d.seen[col/64]&(1<<(col%64)) == 0 && d.fields[col].must {
			return fmt.Errorf("instance: the row has no column %s: it was written by another experiment, or before its labels changed", d.fields[col].name)
		}
	}
	return nil
}

func readID(d *JSONDecoder, _ *jsonField, into *Instance) (ok bool) {
	into.ID, ok = d.scan.str()
	return ok
}

func readTime(d *JSONDecoder, _ *jsonField, into *Instance) (ok bool) {
	into.TimeMS, ok = d.scan.integer()
	return ok
}

func readLabel(d *JSONDecoder, f *jsonField, into *Instance) bool {
	return d.number(&into.Labels[f.at].Value)
}

func readLabelTime(d *JSONDecoder, f *jsonField, into *Instance) (ok bool) {
	if d.scan.word("null") {
		return true
	}
	into.Labels[f.at].FirstMS, ok = d.scan.integer()
	return ok
}

func readLabelCount(d *JSONDecoder, f *jsonField, into *Instance) (ok bool) {
	into.Labels[f.at].Count, ok = d.scan.integer()
	return ok
}

func readSelected(d *JSONDecoder, f *jsonField, into *Instance) bool {
	v, t := &into.Selected[f.at], d.columns.selected[f.at].Type
	if t.Kind == mortise.List {
		return d.elements(v, t.Elem)
	}
	return d.scalar(v, t.Kind)
}

func readWeight(d *JSONDecoder, _ *jsonField, into *Instance) bool { return d.number(&into.Weight) }

func readRevision(d *JSONDecoder, _ *jsonField, into *Instance) bool {
	n, ok := d.scan.integer()
	into.Revision = int32(n)
	return ok && int64(into.Revision) == n
}

// number reads a number of the row's own; one that was not finite is null.
func (d *JSONDecoder) number(into *float64) (ok bool) {
	if d.scan.word("null") {
		*into = math.NaN()
		return true
	}
	*into, ok = d.scan.float()
	return ok
}

func (d *JSONDecoder) boolean(into *bool) bool {
	*into = d.scan.word("true")
	return *into || d.scan.word("false")
}

// scalar reads a value of a kind, or null.
func (d *JSONDecoder) scalar(v *mortise.Value, kind mortise.Kind) bool {
	s := &d.scan
	if s.word("null") {
		*v = mortise.NullValue()
		return true
	}
	ok := false
	switch kind {
	case mortise.String:
		var text []byte
		text, ok = s.str()
		*v = mortise.TextValue(text)
	case mortise.Int, mortise.Timestamp:
		var n int64
		n, ok = s.integer()
		*v = mortise.IntValue(n)
		v.Kind = kind
	case mortise.Float:
		var f float64
		f, ok = s.float()
		*v = mortise.FloatValue(f)
	case mortise.Bool:
		var b bool
		ok = d.boolean(&b)
		*v = mortise.BoolValue(b)
	}
	return ok
}

// elements reads a list, or null. Its elements lie in d.list, which keeps what
// earlier lists of the row have in its old place when it grows.
func (d *JSONDecoder) elements(v *mortise.Value, elem mortise.Kind) bool {
	s := &d.scan
	if s.word("null") {
		*v = mortise.NullValue()
		return true
	}
	if !s.take('[') {
		return false
	}
	from := len(d.list)
	for !s.take(']') {
		if len(d.list) > from && !s.take(',') {
			return false
		}
		var e mortise.Value
		if !d.scalar(&e, elem) {
			return false
		}
		d.list = append(d.list, e)
	}
	*v = mortise.ListValue(d.list[from:len(d.list):len(d.list)])
	return true
}

// maxTexts bounds what is remembered of `degraded`: dimensions times outcomes.
const maxTexts = 1024

func readDegraded(d *JSONDecoder, _ *jsonField, into *Instance) bool {
	s := &d.scan
	if !s.take('[') {
		return false
	}
	into.Degraded = into.Degraded[:0]
	for !s.take(']') {
		if len(into.Degraded) > 0 && !s.take(',') {
			return false
		}
		text, ok := s.str()
		if !ok {
			return false
		}
		known, ok := d.texts[string(text)]
		if !ok {
			known = string(text)
			if len(d.texts) < maxTexts {
				d.texts[known] = known
			}
		}
		into.Degraded = append(into.Degraded, known)
	}
	return true
}
