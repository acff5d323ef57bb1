package recorded

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
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

	cells cells
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
	for i := range c.cells.list {
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
	if len(c.cells.list) != len(c.columns) || c.cells.broken {
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
		c.out = c.members[i].AppendText(c.out, c.cell(row, at), c.cells.list[at].quoted)
	}
	c.out = append(c.out, c.layout.Tail...)
}

func (c *csvRows) appendCells(row []byte) {
	c.out = append(c.out[:0], '[')
	for i := range c.cells.list {
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
		c.cells.reset()
		if c.cells.split(row, c.comma) {
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
				Cause: fmt.Sprintf("the quote that opens column %d is never closed: double it (\"\") if it belongs to the value", len(c.cells.list)+1)}
		}
		if err != nil {
			return nil, err
		}
		c.row = append(c.row, line...)
		if row := c.row[:len(c.row)-len(line)+len(withoutEnd(line))]; c.cells.split(row, c.comma) {
			return row, nil
		}
	}
}

// cell returns a cell's text, valid until the next call.
func (c *csvRows) cell(row []byte, i int) []byte {
	at := c.cells.list[i]
	text := row[at.from:at.to]
	if !at.doubled {
		return text
	}
	c.plain = c.plain[:0]
	for {
		q := bytes.IndexByte(text, '"')
		if q < 0 {
			return append(c.plain, text...)
		}
		c.plain = append(c.plain, text[:q+1]...)
		text = text[q+1:]
		if len(text) > 0 && text[0] == '"' {
			text = text[1:]
		}
	}
}

// cell is where a cell's text lies in its row.
type cell struct {
	from, to int
	quoted   bool
	doubled  bool // it holds quotes, written twice
}

// cells splits a row.
type cells struct {
	list   []cell
	broken bool // a closing quote is followed by text
	open   bool // within quotes: the cell goes on in the next line
	at     int  // where to go on
	cur    cell
}

func (c *cells) reset() { c.list, c.broken, c.open, c.at = c.list[:0], false, false, 0 }

// split goes on splitting row, which is what it was given before and more. It
// reports whether the row is whole, which it is not within quotes.
func (c *cells) split(row []byte, comma byte) (whole bool) {
	for {
		if !c.open && c.at < len(row) && row[c.at] == '"' {
			c.open, c.cur = true, cell{from: c.at + 1, quoted: true}
			c.at++
		}
		if !c.open {
			end := bytes.IndexByte(row[c.at:], comma)
			if end < 0 {
				c.list = append(c.list, cell{from: c.at, to: len(row)})
				return true
			}
			c.list = append(c.list, cell{from: c.at, to: c.at + end})
			c.at += end + 1
			continue
		}
		end := bytes.IndexByte(row[c.at:], '"')
		if end < 0 {
			c.at = len(row)
			return false
		}
		c.cur.to = c.at + end
		c.at += end + 1
		if c.at < len(row) && row[c.at] == '"' {
			c.cur.doubled = true
			c.at++
			continue
		}
		if c.close(row, comma) {
			return true
		}
	}
}

// close ends a quoted cell; true at the end of the row.
func (c *cells) close(row []byte, comma byte) (last bool) {
	c.open = false
	if c.at < len(row) && row[c.at] != comma {
		c.broken = true
		end := bytes.IndexByte(row[c.at:], comma)
		if end < 0 {
			end = len(row) - c.at
		}
		c.at += end
		c.cur = cell{from: c.cur.from - 1, to: c.at} // as it stands
	}
	c.list = append(c.list, c.cur)
	if c.at == len(row) {
		return true
	}
	c.at++
	return false
}
