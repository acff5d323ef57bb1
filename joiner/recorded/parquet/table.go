package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/mortise-dev/mortise/joiner/recorded"
)

// errDamaged is wrapped by errors for what contradicts itself.
var errDamaged = errors.New("the file is damaged")

// table is an open file.
type table struct {
	file      io.ReaderAt
	sizeBytes int64
	meta      *format.FileMetaData
	columns   []column
	groups    []recorded.Group
}

// Open reads the footer of a file of sizeBytes bytes. The reader stays the
// caller's, and must outlive the table and its rows. Reads of several rows may
// go on at once.
func Open(r io.ReaderAt, sizeBytes int64) (t recorded.Table, err error) {
	defer recoverDamage(&err)
	if err := checkFooter(r, sizeBytes); err != nil {
		return nil, err
	}
	f, err := parquet.OpenFile(r, sizeBytes, parquet.SkipMagicBytes(true), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, err
	}
	opened := &table{file: r, sizeBytes: sizeBytes, meta: f.Metadata(), columns: columnsOf(tree(f.Metadata().Schema), nil)}
	for i := range opened.meta.RowGroups {
		g := &opened.meta.RowGroups[i]
		size := g.TotalCompressedSize
		if size == 0 {
			for j := range g.Columns {
				size += g.Columns[j].MetaData.TotalCompressedSize
			}
		}
		if g.NumRows < 0 || size < 0 {
			return nil, fmt.Errorf("%w: row group %d has %d rows and %d bytes", errDamaged, i, g.NumRows, size)
		}
		opened.groups = append(opened.groups, recorded.Group{Rows: g.NumRows, Bytes: size})
	}
	return opened, nil
}

// checkFooter tells a file that ends too early, or is no Parquet, from what is
// wrong inside.
func checkFooter(r io.ReaderAt, sizeBytes int64) error {
	const magic, footer = 4, 8
	var head [magic]byte
	var tail [footer]byte
	if sizeBytes < magic+footer {
		return fmt.Errorf("it has %d bytes, and no Parquet file is as small: it was cut off, or is something else", sizeBytes)
	}
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return err
	}
	if string(head[:]) == "PARE" {
		return errors.New("it is encrypted: decrypt it")
	}
	if string(head[:]) != "PAR1" {
		return fmt.Errorf("it begins with %q, not with PAR1: it is no Parquet file, in spite of its name", head[:])
	}
	if n, err := r.ReadAt(tail[:], sizeBytes-footer); n < footer {
		return err
	}
	if string(tail[4:]) != "PAR1" {
		return errors.New("it does not end with PAR1: it was cut off, or is still being written")
	}
	size := int64(binary.LittleEndian.Uint32(tail[:4]))
	if size > sizeBytes-magic-footer {
		return fmt.Errorf("%w: its footer would have %d bytes, the file has %d", errDamaged, size, sizeBytes)
	}
	data := make([]byte, size)
	if n, err := r.ReadAt(data, sizeBytes-footer-size); n < len(data) {
		return err
	}
	if err := checkThrift(data); err != nil {
		return fmt.Errorf("%w: its footer: %w", errDamaged, err)
	}
	return nil
}

// recoverDamage turns a panic of the library into an error: it takes what a file
// says of itself for true.
func recoverDamage(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", errDamaged, p)
	}
}

// column is a column that values are read from, or a group of them.
type column struct {
	recorded.Column
	*node
}

// columnsOf returns what is in a group, and in the groups within it that are
// there once a row at most.
func columnsOf(group *node, path []string) (all []column) {
	for _, c := range group.children {
		own := append(slices.Clone(path), c.Name)
		all = append(all, column{recorded.Column{Name: strings.Join(own, "."), Path: own}, c})
		if !c.isLeaf() && !c.isRepeated() && !c.isList() && !c.isMap() {
			all = append(all, columnsOf(c, own)...)
		}
	}
	return all
}

// Columns implements recorded.Table.
func (t *table) Columns() (all []recorded.Column) {
	for _, c := range t.columns {
		all = append(all, c.Column)
	}
	return all
}

// Groups implements recorded.Table.
func (t *table) Groups() []recorded.Group { return t.groups }

// Fit implements recorded.Table.
func (t *table) Fit(m *recorded.Member) error {
	_, err := t.plan(m)
	return err
}

// plan says how the column of the member's name is written.
func (t *table) plan(m *recorded.Member) (field, error) {
	for _, c := range t.columns {
		if c.Column.Name == m.Column {
			return planField(c.node, m)
		}
	}
	return field{}, fmt.Errorf("there is no column %s", m.Column)
}
