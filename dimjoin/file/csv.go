package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/internal/csvrow"
)

// csvRows reads comma- or tab-separated values behind a line of names. A cell
// without anything in it is null; "" is the empty text, as is nothing where a text
// may not be null.
type csvRows struct {
	*text
	comma   byte
	wants   []want
	at      []int // the wants' columns; -1 for none
	columns []string

	cells csvrow.Cells
	row   []byte   // a row of several lines
	plain [][]byte // the wants' texts without their doubled quotes
}

func newCSV(t *text, comma byte, wants []want, def *dimjoin.Definition) (*csvRows, error) {
	c := &csvRows{text: t, comma: comma, wants: wants, plain: make([][]byte, len(wants))}
	row, line, err := c.split()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty: its first line must name the columns")
	}
	if err != nil {
		return nil, err
	}
	for i := range c.cells.List {
		name, _ := c.cells.Text(row, i, nil)
		if name = bytes.TrimSpace(name); slices.Contains(c.columns, string(name)) {
			return nil, &fault{line, "", fmt.Errorf("two columns are called %s", name)}
		}
		c.columns = append(c.columns, string(name))
	}
	for i := range wants {
		at := slices.Index(c.columns, wants[i].name)
		if at < 0 {
			if err := wants[i].lacking(def, c.columns); err != nil {
				return nil, &fault{line, "", err}
			}
		}
		c.at = append(c.at, at)
	}
	return c, nil
}

func (c *csvRows) next(values []mortise.Value) (int, error) {
	row, line, err := c.split()
	if err != nil {
		return line, err
	}
	if c.cells.Broken {
		return line, &fault{line, "", errors.New("text follows a closing quote: a quote within a value is written twice")}
	}
	if len(c.cells.List) != len(c.columns) {
		return line, &fault{line, "", fmt.Errorf("the row has %d cells, and there are %d columns", len(c.cells.List), len(c.columns))}
	}
	for i, at := range c.at {
		if values[i] = mortise.NullValue(); at < 0 {
			continue
		}
		var cell []byte
		cell, c.plain[i] = c.cells.Text(row, at, c.plain[i])
		v, ok := c.wants[i].parseCell(cell, c.cells.List[at].Quoted)
		if !ok {
			return line, &fault{line, fmt.Sprintf("column %s (%d)", c.columns[at], at+1), fmt.Errorf("%s is no %s", dimjoin.Excerpt(cell), c.wants[i].typ)}
		}
		values[i] = v
	}
	return line, nil
}

// parseCell reads a cell as what is wanted.
func (w *want) parseCell(cell []byte, quoted bool) (mortise.Value, bool) {
	t := w.typ
	if len(cell) == 0 && !quoted && (t.Kind != mortise.String || t.Nullable || w.role == ofKey) {
		return mortise.NullValue(), true
	}
	if t.Kind != mortise.Invalid {
		return dimjoin.ParseText(t, cell)
	}
	if w.role == ofFrom || w.role == ofTo {
		if n, err := strconv.ParseInt(string(cell), 10, 64); err == nil {
			return mortise.IntValue(n), true
		}
		if x, err := strconv.ParseFloat(string(cell), 64); err == nil {
			return mortise.FloatValue(x), true
		}
	}
	return mortise.TextValue(cell), true
}

// split splits the next row that is not blank, and returns it with the line that
// it begins on.
func (c *csvRows) split() (row []byte, line int, err error) {
	for {
		data, err := c.line()
		line = c.number
		if err != nil {
			return nil, line, err
		}
		if row = withoutEnd(data); len(row) == 0 {
			continue
		}
		c.cells.Reset()
		if c.cells.Split(row, c.comma) {
			return row, line, nil
		}
		row, err = c.more(data, line)
		return row, line, err
	}
}

// more reads on behind a line that ends within quotes.
func (c *csvRows) more(data []byte, line int) ([]byte, error) {
	c.row = append(c.row[:0], data...)
	for {
		data, err := c.line()
		if errors.Is(err, io.EOF) || len(c.row)+len(data) > maxLineBytes {
			return nil, &fault{line, "", fmt.Errorf("the quote that opens column %d is never closed: double it (\"\") if it belongs to the value", len(c.cells.List)+1)}
		}
		if err != nil {
			return nil, err
		}
		c.row = append(c.row, data...)
		if row := c.row[:len(c.row)-len(data)+len(withoutEnd(data))]; c.cells.Split(row, c.comma) {
			return row, nil
		}
	}
}
