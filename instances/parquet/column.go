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
}

// put adds a value that is there.
func (c *column) put(v parquet.Value) {
	if c.level > 0 { // otherwise nobody looks at it
		v = v.Level(0, c.level, c.index)
	}
	c.values = append(c.values, v)
}

// putNull adds that there is no value, or an empty list, by its definition level.
func (c *column) putNull(level int) {
	c.values = append(c.values, parquet.Value{}.Level(0, level, c.index))
}

// putTexts adds a list of text whose elements are never null.
func (c *column) putTexts(texts []string) {
	if len(texts) == 0 {
		c.putNull(0)
		return
	}
	for i, text := range texts {
		v := parquet.ByteArrayValue(keep(c, text))
		c.values = append(c.values, v.Level(min(i, 1), c.level, c.index))
	}
}

// keep copies text, with U+FFFD in place of each byte that is not UTF-8: readers
// refuse whole files for less.
func keep[T string | []byte](c *column, text T) []byte {
	start := len(c.text)
	c.text = append(c.text, text...)
	if kept := c.text[start:len(c.text):len(c.text)]; utf8.Valid(kept) {
		return kept
	}
	c.text = c.text[:start]
	for _, r := range string(text) {
		c.text = utf8.AppendRune(c.text, r)
	}
	return c.text[start:len(c.text):len(c.text)]
}

// add adds a selected value. The error says what is wrong with it.
func (c *column) add(v *mortise.Value) error {
	switch {
	case c.typ.Kind == mortise.List:
		return c.addList(v)
	case c.takes(v, c.typ.Kind):
		c.put(c.scalar(v, c.typ.Kind))
		return nil
	case c.holes && isHole(v, c.typ.Kind):
		c.putNull(0)
		return nil
	}
	return fmt.Errorf("it is %s, and declared as %s", v.Kind, c.typ)
}

// addList adds a list. Elements have one definition level more than an empty
// list, and one more where they are there.
func (c *column) addList(v *mortise.Value) error {
	list := v.List()
	switch {
	case v.IsNull() && c.holes:
		c.putNull(0)
		return nil
	case v.Kind != mortise.List:
		return fmt.Errorf("it is %s, and declared as %s", v.Kind, c.typ)
	case len(list) == 0:
		c.putNull(c.level - 2)
		return nil
	}
	for i := range list {
		e := &list[i]
		switch {
		case c.takes(e, c.typ.Elem):
			c.values = append(c.values, c.scalar(e, c.typ.Elem).Level(min(i, 1), c.level, c.index))
		case isHole(e, c.typ.Elem):
			c.values = append(c.values, parquet.Value{}.Level(min(i, 1), c.level-1, c.index))
		default:
			return fmt.Errorf("element %d is %s, and declared as %s", i, e.Kind, c.typ.Elem)
		}
	}
	return nil
}

// takes reports whether a value can stand in a column of a kind.
func (c *column) takes(v *mortise.Value, kind mortise.Kind) bool {
	switch kind {
	case mortise.Float:
		return v.Kind == mortise.Float && isFinite(v.Float()) || v.Kind == mortise.Int
	case mortise.Int, mortise.Timestamp:
		return v.Kind == mortise.Int || v.Kind == mortise.Timestamp
	}
	return v.Kind == kind
}

// scalar makes a value, which the column takes, one of its kind.
func (c *column) scalar(v *mortise.Value, kind mortise.Kind) parquet.Value {
	switch kind {
	case mortise.String:
		return parquet.ByteArrayValue(keep(c, v.Text()))
	case mortise.Float:
		f, _ := v.Number()
		return parquet.DoubleValue(f)
	case mortise.Bool:
		return parquet.BooleanValue(v.Bool())
	}
	return parquet.Int64Value(v.Int())
}

// isHole reports whether a value that a column does not take is null there.
func isHole(v *mortise.Value, kind mortise.Kind) bool {
	return v.IsNull() || v.Kind == mortise.Float && kind == mortise.Float
}

func isFinite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// flush hands the rows to the file, and returns their size.
func (c *column) flush() (sizeBytes int64, err error) {
	if len(c.values) == 0 {
		return 0, nil
	}
	sizeBytes = int64(8*len(c.values) + len(c.text))
	_, err = c.writer.WriteRowValues(c.values)
	c.values, c.text = c.values[:0], c.text[:0]
	return sizeBytes, err
}
