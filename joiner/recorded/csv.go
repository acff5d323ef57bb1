package recorded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mortise-dev/mortise/internal/csvrow"
)

// errOpenQuote is what a ReadError wraps for a quote that nothing closes.
var errOpenQuote = errors.New("unclosed quote")

// csvRows reads comma- or tab-separated values (RFC 4180) behind a line of
// names as JSON objects: the members in their order, each from the column of its
// name. A row that does not have as many cells as there are names, or has text
// behind a closing quote, becomes a JSON array of its cells, which readers refuse.
type csvRows struct {
	*text
	comma   byte
	columns []Column
	members []Member
	at      []int // the members' columns
	layout  Layout

	cells csvrow.Cells
	row   []byte // a row of several lines
	plain []byte // a cell without its doubled quotes
	out   []byte
}

// openCSV begins to read a text: its names.
func openCSV(f *file, t *text, comma byte, o *Options) (RowReader, error) {
	c := &csvRows{text: t, comma: comma}
	if err := c.header(f, o); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *csvRows) header(f *file, o *Options) error {
	row, _, err := c.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for i := range c.cells.List {
		name := string(bytes.TrimSpace(c.cell(row, i)))
		c.columns = append(c.columns, Column{name, []string{name}})
	}
	members, folders := f.members(o, c.columns)
	c.members, c.layout = members, newLayout(members, folders.json())
	for i := range members {
		c.at = append(c.at, slices.IndexFunc(c.columns, func(col Column) bool { return col.Name == members[i].Column }))
	}
	return nil
}

// Next implements RowReader. Every error but io.EOF is a *ReadError.
func (c *csvRows) Next() (Line, error) {
	row, begins, err := c.next()
	if err != nil {
		return Line{}, err
	}
	if len(c.cells.List) != len(c.columns) || c.cells.Broken {
		c.appendCells(row)
	} else {
		c.appendMembers(row)
	}
	return Line{Data: c.out, File: c.name, Number: begins.Number, Position: begins.Position}, nil
}

func (c *csvRows) appendMembers(row []byte) {
	c.out = c.out[:0]
	for i, at := range c.at {
		c.out = append(c.out, c.layout.Leads[i]...)
		c.out = c.members[i].AppendText(c.out, c.cell(row, at), c.cells.List[at].Quoted)
	}
	c.out = append(c.out, c.layout.Tail...)
}

func (c *csvRows) appendCells(row []byte) {
	c.out = append(c.out[:0], '[')
	for i := range c.cells.List {
		if i > 0 {
			c.out = append(c.out, ',')
		}
		c.out = AppendString(c.out, c.cell(row, i))
	}
	c.out = append(c.out, ']')
}

// next reads and splits the next row that is not blank. It is valid until the
// next call; begins tells where it begins.
func (c *csvRows) next() (row []byte, begins Line, err error) {
	for {
		begins = Line{Number: c.number + 1, Position: c.offset}
		line, err := c.line()
		if err != nil {
			return nil, begins, err
		}
		if row = withoutEnd(line); isBlank(row) && c.comma == ',' || len(row) == 0 {
			continue
		}
		c.cells.Reset()
		if c.cells.Split(row, c.comma) {
			return row, begins, nil
		}
		row, err = c.more(line, begins)
		return row, begins, err
	}
}

// more reads on behind a line that ends within quotes.
func (c *csvRows) more(line []byte, begins Line) ([]byte, error) {
	c.row = append(c.row[:0], line...)
	for {
		line, err := c.line()
		if errors.Is(err, io.EOF) || err == nil && len(c.row)+len(line) > MaxLineBytes {
			return nil, &ReadError{File: c.name, Line: begins.Number - 1, Byte: begins.Position, Err: errOpenQuote,
				Cause: fmt.Sprintf("the quote that opens column %d is never closed: double it (\"\") if it belongs to the value", len(c.cells.List)+1)}
		}
		if err != nil {
			return nil, err
		}
		c.row = append(c.row, line...)
		if row := c.row[:len(c.row)-len(line)+len(withoutEnd(line))]; c.cells.Split(row, c.comma) {
			return row, nil
		}
	}
}

// cell returns a cell's text, valid until the next call.
func (c *csvRows) cell(row []byte, i int) (text []byte) {
	text, c.plain = c.cells.Text(row, i, c.plain)
	return text
}
