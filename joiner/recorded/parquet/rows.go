package parquet

import (
	"errors"
	"fmt"
	"io"

	"github.com/mortise-dev/mortise/joiner/recorded"
)

// rows reads row groups as objects. One goroutine uses it.
type rows struct {
	table   *table
	fields  []field
	cursors []cursor
	layout  recorded.Layout

	codec codec

	group, end int   // row groups still to be opened
	left       int64 // rows of the one that is open
	out        []byte
}

// Rows implements recorded.Table.
func (t *table) Rows(members []recorded.Member, layout recorded.Layout, from, to int) (recorded.TableRows, error) {
	r := &rows{table: t, layout: layout, group: from, end: to}
	for i := range members {
		f, err := t.plan(&members[i])
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", members[i].Column, err)
		}
		r.fields = append(r.fields, f)
	}
	r.cursors = make([]cursor, len(r.fields))
	return r, nil
}

// Next implements recorded.TableRows.
func (r *rows) Next() ([]byte, error) {
	for r.left == 0 {
		if r.group == r.end {
			return nil, io.EOF
		}
		if err := r.open(); err != nil {
			return nil, err
		}
	}
	r.left--
	r.out = r.out[:0]
	for i := range r.fields {
		r.out = append(r.out, r.layout.Leads[i]...)
		if err := r.append(&r.fields[i], &r.cursors[i]); err != nil {
			return nil, err
		}
	}
	r.out = append(r.out, r.layout.Tail...)
	return r.out, nil
}

// open begins the next row group.
func (r *rows) open() error {
	if err := r.closeChunks(); err != nil {
		return err
	}
	g := &r.table.meta.RowGroups[r.group]
	for i := range r.fields {
		leaf := r.fields[i].leaf
		if leaf.leaf >= len(g.Columns) {
			return fmt.Errorf("%w: row group %d has no column %s", errDamaged, r.group, leaf.Name)
		}
		if path := g.Columns[leaf.leaf].FilePath; path != "" {
			return fmt.Errorf("column %s is in another file, %s: read that", leaf.Name, path)
		}
		chunk := &g.Columns[leaf.leaf].MetaData
		if chunk.Type != leaf.Type.V {
			return fmt.Errorf("%w: column %s is %s in its row group and %s in the schema", errDamaged, leaf.Name, chunk.Type, leaf.Type.V)
		}
		r.cursors[i].codec = &r.codec
		if err := r.cursors[i].begin(leaf, chunk, r.table.file, r.table.sizeBytes); err != nil {
			return fmt.Errorf("column %s: %w", leaf.Name, err)
		}
	}
	r.left = g.NumRows
	r.group++
	return nil
}

// append appends the row's value of a field.
func (r *rows) append(f *field, c *cursor) error {
	more, err := c.more()
	if err != nil {
		return err
	}
	if !more || c.rep[c.at] != 0 {
		return fmt.Errorf("%w: column %s has fewer values than there are rows", errDamaged, f.leaf.Name)
	}
	def := byte(c.def[c.at])
	if v := c.take(); !f.list {
		r.out = f.appendItem(r.out, v)
	} else {
		return r.appendList(f, c, def, v)
	}
	return nil
}

// appendList appends a list, whose first item is v, at level def.
func (r *rows) appendList(f *field, c *cursor, def byte, v *value) error {
	switch {
	case def < f.null:
		r.out = append(r.out, "null"...)
		return nil
	case def < f.item:
		r.out = append(r.out, "[]"...)
		return nil
	}
	r.out = append(r.out, '[')
	for {
		r.out = f.appendItem(r.out, v)
		more, err := c.more()
		if err != nil {
			return err
		}
		if !more || c.rep[c.at] == 0 {
			r.out = append(r.out, ']')
			return nil
		}
		if len(r.out) > recorded.MaxLineBytes {
			return fmt.Errorf("%w: a row of more than %d MiB", errDamaged, recorded.MaxLineBytes>>20)
		}
		v = c.take()
		r.out = append(r.out, ',')
	}
}

func (f *field) appendItem(dst []byte, v *value) []byte {
	if v == nil {
		return append(dst, "null"...)
	}
	return f.write(dst, v)
}

// Close implements recorded.TableRows.
func (r *rows) Close() error {
	err := r.closeChunks()
	r.codec.close()
	r.cursors, r.left, r.group = nil, 0, r.end
	return err
}

func (r *rows) closeChunks() (err error) {
	for i := range r.cursors {
		err = errors.Join(err, r.cursors[i].close())
	}
	return err
}
