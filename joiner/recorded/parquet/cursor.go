package parquet

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// batchValues is how many values of a column are decoded at a time.
const batchValues = 256

// cursor walks over the values of one column chunk, nulls included. One
// goroutine uses it.
type cursor struct {
	pages
	page page

	def, rep [batchValues]uint32
	vals     [batchValues]value
	at, n    int // levels
	val      int // of vals, the next one
}

func (c *cursor) begin(leaf *node, chunk *format.ColumnMetaData, file io.ReaderAt, fileBytes int64) error {
	c.page, c.at, c.n = page{}, 0, 0
	return c.open(leaf, chunk, file, fileBytes)
}

// more reports whether there is a value at at; it decodes further ones if need be.
func (c *cursor) more() (bool, error) {
	if c.at < c.n {
		return true, nil
	}
	err := c.fill()
	if errors.Is(err, io.EOF) && !errors.Is(err, errDamaged) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("column %s: %w", c.leaf.Name, err)
	}
	return true, nil
}

// take passes the value at at; nil is for a null.
func (c *cursor) take() *value {
	null := c.def[c.at] != uint32(c.leaf.def)
	c.at++
	if null {
		return nil
	}
	c.val++
	return &c.vals[c.val-1]
}

// fill decodes the next values, of the next page if need be.
func (c *cursor) fill() (err error) {
	for c.page.values == 0 {
		if c.page, err = c.next(); err != nil {
			return err
		}
	}
	n := min(c.page.values, batchValues)
	if c.leaf.rep > 0 {
		if err := c.page.rep.read(c.rep[:n]); err != nil {
			return err
		}
	}
	there := n
	if most := uint32(c.leaf.def); most > 0 {
		if err := c.page.def.read(c.def[:n]); err != nil {
			return err
		}
		for _, d := range c.def[:n] {
			if d != most {
				there--
			}
		}
	}
	if err := c.page.data.read(c.vals[:there]); err != nil {
		return err
	}
	c.page.values -= n
	c.at, c.n, c.val = 0, n, 0
	return nil
}
