package recorded

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	mortise "github.com/mortise-dev/mortise"
)

// Table is an open file of columns, such as Parquet (joiner/recorded/parquet).
type Table interface {
	// Columns are the columns, in their order, and those within groups of them.
	Columns() []Column
	// Fit says why the member's column cannot be read as its type; nil if it can.
	Fit(m *Member) error
	// Groups are the file's pieces that can be read apart, in order.
	Groups() []Group
	// Rows reads the columns of members, of groups [from, to), in order, as objects
	// laid out as layout says.
	Rows(members []Member, layout Layout, from, to int) (TableRows, error)
}

// Group is a piece of a Table.
type Group struct {
	Rows  int64
	Bytes int64 // on disk, all columns
}

// TableRows reads rows as JSON objects. One goroutine uses it.
type TableRows interface {
	// Next returns the next row, valid until the next call, and io.EOF after the last.
	Next() ([]byte, error)
	// Close lets go of what it holds, not of the file.
	Close() error
}

// openTable opens a file of columns.
func (f *file) openTable(o *Options) (Table, readerAt, error) {
	if o.OpenTable == nil {
		return nil, nil, fmt.Errorf("opening %s: it is a Parquet file, which is not read here: give JSON lines or CSV", f.name)
	}
	r, err := f.openAt()
	if err != nil {
		return nil, nil, err
	}
	t, err := o.OpenTable(r, f.sizeBytes)
	if err != nil {
		fault := &ReadError{File: f.name, Line: -1, Byte: -1, Err: err, Cause: "the Parquet file cannot be opened"}
		return nil, nil, errors.Join(fault, r.Close())
	}
	return t, r, nil
}

// tableRows are rows of a Table as lines.
type tableRows struct {
	name  string
	file  readerAt
	rows  TableRows
	next  int64 // row
	count progress
}

// tableRows reads row groups [from, to), or all when to is negative.
func (f *file) tableRows(o *Options, from, to int, read *atomic.Int64) (RowReader, error) {
	t, file, err := f.openTable(o)
	if err != nil {
		return nil, err
	}
	groups := t.Groups()
	if to < 0 {
		to = len(groups)
	}
	if to > len(groups) {
		return nil, errors.Join(&ReadError{File: f.name, Line: -1, Byte: -1, Err: io.ErrUnexpectedEOF, Cause: "the file has fewer row groups than it had when it was looked at"}, file.Close())
	}
	r := &tableRows{name: f.name, file: file}
	before, mine := total(groups[:from]), total(groups[from:to])
	r.next = before.Rows
	r.count = progress{n: read, rows: mine.Rows, bytes: f.groupBytes(groups, to) - f.groupBytes(groups, from)}
	members, folders := f.members(o, t.Columns())
	members = slices.DeleteFunc(members, func(m Member) bool { return m.Type.Kind == mortise.Invalid && t.Fit(&m) != nil })
	if r.rows, err = t.Rows(members, newLayout(members, folders.json()), from, to); err != nil {
		return nil, errors.Join(r.damage(err), file.Close())
	}
	return r, nil
}

// Next implements RowReader.
func (r *tableRows) Next() (Line, error) {
	data, err := r.rows.Next()
	if errors.Is(err, io.EOF) {
		r.count.end()
		return Line{}, io.EOF
	}
	if err != nil {
		return Line{}, r.damage(err)
	}
	line := Line{Data: data, File: r.name, Number: r.next + 1, Position: r.next}
	r.next++
	r.count.row()
	return line, nil
}

func (r *tableRows) damage(err error) *ReadError {
	if isFar(err) {
		return &ReadError{File: r.name, Line: r.next, Err: err, Cause: fmt.Sprintf("the object cannot be read on; the %d rows before were read", r.next)}
	}
	return &ReadError{File: r.name, Line: r.next, Err: err, Cause: fmt.Sprintf("the Parquet file is damaged: get it anew; the %d rows before were read", r.next)}
}

// Close implements RowReader.
func (r *tableRows) Close() error { return errors.Join(r.rows.Close(), r.file.Close()) }

// progress counts bytes as rows go by: how much of a file of columns is read
// says nothing about how far it is.
type progress struct {
	n          *atomic.Int64
	bytes      int64
	rows, done int64
	counted    int64
}

func (p *progress) row() {
	const every = 1024
	if p.done++; p.done%every == 0 {
		p.count(int64(float64(p.bytes) * float64(p.done) / float64(p.rows)))
	}
}

func (p *progress) end() { p.count(p.bytes) }

func (p *progress) count(bytes int64) {
	p.n.Add(bytes - p.counted)
	p.counted = bytes
}

// groupBytes returns how much of the file on disk counts as that of the first n
// groups: all of it as that of all.
func (f *file) groupBytes(groups []Group, n int) int64 {
	if n == len(groups) {
		return f.sizeBytes
	}
	return int64(float64(f.sizeBytes) * float64(total(groups[:n]).Bytes) / float64(total(groups).Bytes))
}

func total(groups []Group) (sum Group) {
	for _, g := range groups {
		sum.Rows += g.Rows
		sum.Bytes += g.Bytes
	}
	return sum
}
