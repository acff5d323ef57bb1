// Package csvrow splits rows of comma- or tab-separated values (RFC 4180) into
// cells, which lie where they lay in the row: joiner/recorded reads recorded events
// with it, dimjoin/file dimension tables.
package csvrow

import "bytes"

// Cell is where a cell's text lies in its row.
type Cell struct {
	From, To int
	Quoted   bool
	Doubled  bool // it holds quotes, written twice
}

// Cells splits a row.
type Cells struct {
	List   []Cell
	Broken bool // a closing quote is followed by text
	open   bool // within quotes: the cell goes on in the next line
	at     int  // where to go on
	cur    Cell
}

// Reset begins a new row.
func (c *Cells) Reset() { c.List, c.Broken, c.open, c.at = c.List[:0], false, false, 0 }

// Split goes on splitting row, which is what it was given before and more. It
// reports whether the row is whole, which it is not within quotes.
func (c *Cells) Split(row []byte, comma byte) (whole bool) {
	for {
		if !c.open && c.at < len(row) && row[c.at] == '"' {
			c.open, c.cur = true, Cell{From: c.at + 1, Quoted: true}
			c.at++
		}
		if !c.open {
			end := bytes.IndexByte(row[c.at:], comma)
			if end < 0 {
				c.List = append(c.List, Cell{From: c.at, To: len(row)})
				return true
			}
			c.List = append(c.List, Cell{From: c.at, To: c.at + end})
			c.at += end + 1
			continue
		}
		end := bytes.IndexByte(row[c.at:], '"')
		if end < 0 {
			c.at = len(row)
			return false
		}
		c.cur.To = c.at + end
		c.at += end + 1
		if c.at < len(row) && row[c.at] == '"' {
			c.cur.Doubled = true
			c.at++
			continue
		}
		if c.close(row, comma) {
			return true
		}
	}
}

// close ends a quoted cell; true at the end of the row.
func (c *Cells) close(row []byte, comma byte) (last bool) {
	c.open = false
	if c.at < len(row) && row[c.at] != comma {
		c.Broken = true
		end := bytes.IndexByte(row[c.at:], comma)
		if end < 0 {
			end = len(row) - c.at
		}
		c.at += end
		c.cur = Cell{From: c.cur.From - 1, To: c.at} // as it stands
	}
	c.List = append(c.List, c.cur)
	if c.at == len(row) {
		return true
	}
	c.at++
	return false
}

// Text returns the text of cell i of a row that is split. buf is overwritten, and
// returned, where the cell holds quotes.
func (c *Cells) Text(row []byte, i int, buf []byte) (text, newBuf []byte) {
	at := c.List[i]
	text = row[at.From:at.To]
	if !at.Doubled {
		return text, buf
	}
	buf = buf[:0]
	for {
		q := bytes.IndexByte(text, '"')
		if q < 0 {
			buf = append(buf, text...)
			return buf, buf
		}
		buf = append(buf, text[:q+1]...)
		text = text[q+1:]
		if len(text) > 0 && text[0] == '"' {
			text = text[1:]
		}
	}
}
