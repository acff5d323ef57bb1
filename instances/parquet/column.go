package parquet

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	mortise "github.com/mortise-dev/mortise"
)

// column collects the values of one column of a few rows.
type column struct {
	name   string
	index  int
	typ    mortise.Type
	level  int // the definition level of a value that is there, of a list's element in a list
	holes  bool
	writer *parquet.ColumnWriter
	values []parquet.Value
	text   []byte // of the values
	bytes  int64  // the values' size
}

// put adds a value that is there.
func (c *column) put(v parquet.Value, sizeBytes int) {
	c.values = append(c.values, v.Level(0, c.level, c.index))
	c.bytes += int64(sizeBytes)
}

func (c *column) putText(text []byte) { c.put(parquet.ByteArrayValue(c.keep(text)), 4+len(text)) }

// putNull adds that there is no value.
func (c *column) putNull() {
	c.values = append(c.values, parquet.Value{}.Level(0, 0, c.index))
	c.bytes++
}

// keep copies text, with U+FFFD in place of each byte that is not UTF-8: readers
// refuse whole files for less.
func (c *column) keep(text []byte) []byte {
	start := len(c.text)
	if utf8.Valid(text) {
		c.text = append(c.text, text...)
		return c.text[start:len(c.text):len(c.text)]
	}
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		c.text = utf8.AppendRune(c.text, r)
		text = text[size:]
	}
	return c.text[start:len(c.text):len(c.text)]
}

// add adds a selected value. The error says what is wrong with it.
func (c *column) add(v *mortise.Value) error {
	if c.typ.Kind == mortise.List {
		return c.addList(v)
	}
	if pv, size, ok := c.scalar(v, c.typ.Kind); ok {
		c.put(pv, size)
		return nil
	}
	if !c.holes || !isHole(v, c.typ.Kind) {
		return fmt.Errorf("it is %s, and declared as %s", v.Kind, c.typ)
	}
	c.putNull()
	return nil
}

// isHole reports whether a value that cannot be written is to be null.
func isHole(v *mortise.Value, kind mortise.Kind) bool {
	return v.IsNull() || v.Kind == mortise.Float && kind == mortise.Float
}

// addList adds a list. Elements have one definition level more than an empty
// list, and one more where they are there.
func (c *column) addList(v *mortise.Value) error {
	if v.Kind != mortise.List {
		if !v.IsNull() || !c.holes {
			return fmt.Errorf("it is %s, and declared as %s", v.Kind, c.typ)
		}
		c.putNull()
		return nil
	}
	list := v.List()
	if len(list) == 0 {
		c.values = append(c.values, parquet.Value{}.Level(0, c.level-2, c.index))
		c.bytes++
		return nil
	}
	for i := range list {
		again := min(i, 1)
		pv, size, ok := c.scalar(&list[i], c.typ.Elem)
		level := c.level
		if !ok {
			if !isHole(&list[i], c.typ.Elem) {
				return fmt.Errorf("element %d is %s, and declared as %s", i, list[i].Kind, c.typ.Elem)
			}
			pv, size, level = parquet.Value{}, 1, level-1
		}
		c.values = append(c.values, pv.Level(again, level, c.index))
		c.bytes += int64(size)
	}
	return nil
}

// scalar returns a value as the kind of its column, and its size. It is not ok
// where there is none: null, not finite, or of another kind.
func (c *column) scalar(v *mortise.Value, kind mortise.Kind) (pv parquet.Value, sizeBytes int, ok bool) {
	switch {
	case kind == mortise.String && v.Kind == mortise.String:
		return parquet.ByteArrayValue(c.keep(v.Text())), 4 + len(v.Text()), true
	case kind == mortise.Float && (v.Kind == mortise.Float || v.Kind == mortise.Int):
		f, _ := v.Number()
		return parquet.DoubleValue(f), 8, isFinite(f)
	case (kind == mortise.Int || kind == mortise.Timestamp) && (v.Kind == mortise.Int || v.Kind == mortise.Timestamp):
		return parquet.Int64Value(v.Int()), 8, true
	case kind == mortise.Bool && v.Kind == mortise.Bool:
		return parquet.BooleanValue(v.Bool()), 1, true
	}
	return parquet.Value{}, 0, false
}

func isFinite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// flush hands the rows to the file.
func (c *column) flush() error {
	_, err := c.writer.WriteRowValues(c.values)
	clear(c.values)
	c.values, c.text = c.values[:0], c.text[:0]
	return err
}
