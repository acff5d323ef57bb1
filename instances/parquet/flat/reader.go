package flat

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	mortise "github.com/mortise-dev/mortise"
)

// Reader reads the rows of one file. One goroutine uses it.
type Reader struct {
	file    *parquet.File
	names   []string
	left    []string
	leaves  []leaf // by the file's column number
	groups  []parquet.RowGroup
	rows    parquet.Rows
	batch   []parquet.Row
	at, n   int // in batch
	row     mortise.Row
	lists   [][]mortise.Value
	visited int64
}

// leaf is one of the file's columns.
type leaf struct {
	field    int // position in a row; -1 for one that is left out
	list     bool
	element  int // of a list: the definition level from which on there is an element
	readable func(parquet.Value) mortise.Value
}

const batchRows = 64

// Open reads the footer. r is read at several places at once.
func Open(r io.ReaderAt, sizeBytes int64) (_ *Reader, err error) {
	defer guard(&err)
	f, err := parquet.OpenFile(r, sizeBytes, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(256<<10))
	if err != nil {
		return nil, fmt.Errorf("opening as Parquet: %w", err)
	}
	d := &Reader{file: f, groups: f.RowGroups(), batch: make([]parquet.Row, batchRows)}
	d.leaves = make([]leaf, len(f.Schema().Columns()))
	for i := range d.leaves {
		d.leaves[i].field = -1
	}
	for _, column := range f.Root().Columns() {
		at := listElement(column)
		if at == nil {
			d.left = append(d.left, column.Name())
			continue
		}
		l := leaf{field: len(d.names), list: at.MaxRepetitionLevel() > 0, readable: reading(at.Type())}
		if l.list {
			l.element = elementLevel(column)
		}
		d.leaves[at.Index()] = l
		d.names = append(d.names, column.Name())
	}
	d.row, d.lists = make(mortise.Row, len(d.names)), make([][]mortise.Value, len(d.names))
	return d, nil
}

// guard makes an error of what the library panics with on a damaged file.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the file is damaged: %v", p)
	}
}

// listElement returns the leaf that holds a column's values; nil for what is
// neither a scalar nor a list of scalars. Lists have one, two or three levels,
// by who wrote them.
func listElement(c *parquet.Column) *parquet.Column {
	for !c.Leaf() {
		inner := c.Columns()
		if len(inner) != 1 {
			return nil
		}
		c = inner[0]
	}
	if c.MaxRepetitionLevel() > 1 || c.MaxRepetitionLevel() == 0 && len(c.Path()) > 1 {
		return nil // a list of lists, or a struct of one field
	}
	return c
}

// elementLevel is the definition level of the node that repeats.
func elementLevel(c *parquet.Column) int {
	for !c.Repeated() {
		c = c.Columns()[0]
	}
	return c.MaxDefinitionLevel()
}

// Names returns the columns' names, in the order of a row's values.
func (d *Reader) Names() []string { return d.names }

// Left returns the columns that are left out: structs, maps, lists of lists.
func (d *Reader) Left() []string { return d.left }

// NumRows returns how many rows the file has.
func (d *Reader) NumRows() int64 { return d.file.NumRows() }

// Lookup returns a value of the file's own metadata; empty when there is none.
func (d *Reader) Lookup(key string) string {
	value, _ := d.file.Lookup(key)
	return value
}

// Next returns the next row, valid until the next call; io.EOF after the last.
func (d *Reader) Next() (_ mortise.Row, err error) {
	defer guard(&err)
	for d.at == d.n {
		if err := d.fill(); err != nil {
			return nil, err
		}
	}
	d.at++
	return d.decode(d.batch[d.at-1]), nil
}

// fill reads the next rows, from the next row group where one has ended.
func (d *Reader) fill() (err error) {
	for {
		if d.rows == nil {
			if len(d.groups) == 0 {
				return io.EOF
			}
			d.rows, d.groups = d.groups[0].Rows(), d.groups[1:]
		}
		d.at = 0
		d.n, err = d.rows.ReadRows(d.batch)
		d.visited += int64(d.n)
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("reading row %d: %w", d.visited+1, err)
		case d.n > 0:
			return nil
		}
		err = d.rows.Close()
		if d.rows = nil; err != nil {
			return fmt.Errorf("reading row %d: %w", d.visited+1, err)
		}
	}
}

func (d *Reader) decode(row parquet.Row) mortise.Row {
	for i := range d.row {
		d.row[i] = mortise.NullValue()
		d.lists[i] = d.lists[i][:0]
	}
	for _, v := range row {
		l := &d.leaves[v.Column()]
		switch {
		case l.field < 0:
		case !l.list:
			if !v.IsNull() {
				d.row[l.field] = l.readable(v)
			}
		case v.DefinitionLevel() < l.element-1: // no list
		default:
			list := d.lists[l.field]
			if v.DefinitionLevel() >= l.element {
				element := mortise.NullValue()
				if !v.IsNull() {
					element = l.readable(v)
				}
				list = append(list, element)
			}
			d.lists[l.field] = list
			d.row[l.field] = mortise.ListValue(list)
		}
	}
	return d.row
}

// Close ends the reading. The reader that Open was given stays open.
func (d *Reader) Close() error {
	if d.rows == nil {
		return nil
	}
	return d.rows.Close()
}
