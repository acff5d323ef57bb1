package parquet

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

// readBufferBytes is what is read of a file at once, for each column.
const readBufferBytes = 64 << 10

// Reader reads instances back, from files of Writer and from others that have the
// same columns, in any order: what Spark or DuckDB made of them. It holds a page
// and a dictionary of each column that it reads. One goroutine uses it.
type Reader struct {
	file    *parquet.File
	layout  *instances.Columns
	scans   []scan // as layout's schema; those that are not read have no groups
	filler  *instances.Filler
	reading []bool
	left    int64 // rows
}

// NewReader reads the footer of a file of sizeBytes bytes. The error says what is
// wrong with it: it is damaged, or these are no instances.
func NewReader(file io.ReaderAt, sizeBytes int64) (r *Reader, err error) {
	defer guard(&err)
	if err := checkFooter(file, sizeBytes); err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(file, sizeBytes, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(readBufferBytes))
	if err != nil {
		return nil, err
	}
	all, err := describe(f)
	if err != nil {
		return nil, err
	}
	restoreTypes(f, all)
	layout, err := layoutOf(f, all)
	if err != nil {
		return nil, err
	}
	r = &Reader{file: f, layout: layout, left: f.NumRows(), filler: instances.NewFiller(layout)}
	for _, field := range layout.Schema() {
		at := slices.IndexFunc(all, func(s stored) bool { return s.Name == field.Name })
		s := scan{stored: all[at], kind: all[at].Type.Kind, groups: f.RowGroups()}
		if s.kind == mortise.List {
			s.kind = s.Type.Elem
		}
		r.scans = append(r.scans, s)
		r.reading = append(r.reading, true)
	}
	return r, nil
}

// guard makes an error of a panic: the library panics on some files that are
// damaged where its checksums do not reach.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the file is damaged: %v", p)
	}
}

// Columns returns the columns of the file.
func (r *Reader) Columns() *instances.Columns { return r.layout }

// Metadata returns where the rows come from, as far as the file says.
func (r *Reader) Metadata() Metadata { return readMetadata(r.file) }

// Rows returns how many rows the file has.
func (r *Reader) Rows() int64 { return r.file.NumRows() }

// Select reads only the named columns from now on; before the first Read. In what
// is read the others are zero: null, where they are selected fields.
func (r *Reader) Select(names ...string) {
	for i, field := range r.layout.Schema() {
		r.reading[i] = slices.Contains(names, field.Name)
	}
}

// Read reads up to len(rows) instances and returns how many; io.EOF comes alone,
// after the last. What the instances point to stays until the next Read. They may
// be reused: their Labels, Selected and Degraded are.
func (r *Reader) Read(rows []instances.Instance) (n int, err error) {
	defer guard(&err)
	for i := range r.scans {
		r.scans[i].text, r.scans[i].list = r.scans[i].text[:0], r.scans[i].list[:0]
	}
	for ; n < len(rows) && r.left > 0; n++ {
		if err := r.read(&rows[n]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, fmt.Errorf("row %d: %w", r.file.NumRows()-r.left, err)
		}
		r.left--
	}
	if n == 0 && len(rows) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Close releases pages. The file itself is its owner's.
func (r *Reader) Close() error {
	var errs []error
	for i := range r.scans {
		errs = append(errs, r.scans[i].close())
	}
	return errors.Join(errs...)
}

// read reads one row.
func (r *Reader) read(in *instances.Instance) error {
	r.filler.Begin(in)
	for i := range r.scans {
		if !r.reading[i] {
			continue
		}
		v, err := r.scans[i].row()
		part, at := r.layout.Part(i)
		if err == nil && v.IsNull() && part != instances.PartSelected && part != instances.PartLabelTime {
			err = errors.New("it is null")
		}
		if err != nil {
			return fmt.Errorf("column %s: %w", r.scans[i].Name, err)
		}
		r.filler.Set(in, part, at, &v)
	}
	return nil
}
