package parquet

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/mortise-dev/mortise/instances"
)

// Options tune a Writer. Zero fields take their defaults.
type Options struct {
	// RowGroupBytes is how much of the rows, uncompressed, a row group holds: 8 bytes a
	// value, and text's own. The default is 64 MiB.
	RowGroupBytes int64
	// PageBytes is how much of a column, uncompressed, a page holds. The default
	// is 256 KiB.
	PageBytes int
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.RowGroupBytes == 0 {
		o.RowGroupBytes = 64 << 20
	}
	if o.PageBytes == 0 {
		o.PageBytes = 256 << 10
	}
}

const (
	// chunkRows is how many rows are handed to the columns at once. Pages and row
	// groups end at a multiple of it, however the rows come.
	chunkRows = 256
	// dictionaryBytes is from which size on a dictionary no longer pays.
	dictionaryBytes = 1 << 20
	// pageBufferBytes is in which pieces finished pages wait for their row group's end.
	pageBufferBytes = 64 << 10
)

// Writer writes instances as Parquet files, one after the other. The same rows
// and metadata give the same bytes, however they are cut into calls. One
// goroutine uses it. While it writes a file it holds a row group as it will be
// stored, and of each column a page and a dictionary.
type Writer struct {
	layout  *instances.Columns
	config  []parquet.WriterOption
	opts    Options
	file    *parquet.GenericWriter[any]
	columns []column
	rows    int   // in columns, not handed on yet
	inGroup int64 // bytes of the row group
	meta    Metadata
	err     error
}

var errNotBegun = errors.New("parquet: no file has been begun")

// NewWriter makes a writer of the columns.
func NewWriter(c *instances.Columns, o Options) *Writer {
	o.EnsureDefaults()
	schema := schemaOf(c)
	w := &Writer{layout: c, opts: o, err: errNotBegun}
	w.config = []parquet.WriterOption{
		schema,
		parquet.CreatedBy("mortise", "1", "parquet-go"), // without a build's name: the same rows give the same bytes
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.PageBufferSize(o.PageBytes),
		parquet.DictionaryMaxBytes(dictionaryBytes),
		parquet.DataPageStatistics(false), // the page index has them
		parquet.ColumnPageBuffers(parquet.NewChunkBufferPool(pageBufferBytes)),
	}
	for i, f := range c.Schema() {
		leaf, _ := schema.Lookup(path(f)...)
		w.columns = append(w.columns, column{name: f.Name, index: i, typ: f.Type, level: leaf.MaxDefinitionLevel, holes: c.IsNullable(i)})
	}
	return w
}

// Begin begins a file, which is written to out. A file that was not ended is
// forgotten.
func (w *Writer) Begin(out io.Writer, m Metadata) {
	for i := range w.columns {
		c := &w.columns[i]
		c.values, c.text = c.values[:0], c.text[:0]
	}
	w.rows, w.inGroup, w.err, w.meta = 0, 0, nil, m
	// The library's Reset loses the columns' names.
	w.file = parquet.NewGenericWriter[any](out, w.config...)
	for i, writer := range w.file.ColumnWriters() {
		w.columns[i].writer = writer
	}
	m.set(w.file, w.layout)
}

// Write adds rows; it keeps nothing of them. An error leaves the file unusable:
// it is out's, or says which column of which instance is not what it is declared
// to be.
func (w *Writer) Write(rows []instances.Instance) error {
	if w.err != nil {
		return w.err
	}
	for i := range rows {
		if w.err = w.add(&rows[i]); w.err != nil {
			w.err = fmt.Errorf("instance %q: %w", rows[i].ID, w.err)
			return w.err
		}
		if w.rows++; w.rows == chunkRows {
			if w.err = w.flush(); w.err != nil {
				return w.err
			}
		}
	}
	return nil
}

// End writes what is left and the footer.
func (w *Writer) End() error {
	if w.err != nil {
		return w.err
	}
	err := w.flush()
	if err == nil {
		err = w.file.Close()
	}
	w.drop()
	return err
}

// drop lets go of the file.
func (w *Writer) drop() {
	w.file, w.err = nil, errNotBegun
	for i := range w.columns {
		w.columns[i].writer = nil
	}
}

// flush hands the collected rows on, and ends the row group when it is full.
func (w *Writer) flush() error {
	for i := range w.columns {
		size, err := w.columns[i].flush()
		if err != nil {
			return fmt.Errorf("column %s: %w", w.columns[i].name, err)
		}
		w.inGroup += size
	}
	w.rows = 0
	if w.inGroup < w.opts.RowGroupBytes {
		return nil
	}
	w.inGroup = 0
	return w.file.Flush()
}

// add adds one row to the columns.
func (w *Writer) add(in *instances.Instance) error {
	labels, selected := len(w.layout.Labels()), len(w.layout.Selected())
	if len(in.Labels) != labels || len(in.Selected) != selected {
		return fmt.Errorf("it has %d labels and %d selected fields, and the columns %d and %d", len(in.Labels), len(in.Selected), labels, selected)
	}
	w.columns[0].put(parquet.ByteArrayValue(keep(&w.columns[0], in.ID)))
	w.columns[1].put(parquet.Int64Value(in.TimeMS))
	for i := range in.Labels {
		if err := addLabel(w.columns[2+3*i:], &in.Labels[i]); err != nil {
			return err
		}
	}
	rest := w.columns[2+3*labels:]
	for i := range in.Selected {
		if err := rest[i].add(&in.Selected[i]); err != nil {
			return fmt.Errorf("column %s: %w", rest[i].name, err)
		}
	}
	rest = rest[selected:]
	if !isFinite(in.Weight) {
		return fmt.Errorf("column weight: it is %v", in.Weight)
	}
	rest[0].put(parquet.DoubleValue(in.Weight))
	rest[1].put(parquet.Int32Value(in.Revision))
	rest[2].put(parquet.BooleanValue(in.Final))
	rest[3].put(parquet.BooleanValue(in.Late))
	rest[4].putTexts(in.Degraded)
	return nil
}

// addLabel adds a label to its three columns.
func addLabel(c []column, v *instances.LabelValue) error {
	value := v.Value
	if v.Count == 0 {
		value = 0
	}
	if !isFinite(value) {
		return fmt.Errorf("column %s: it is %v", c[0].name, value)
	}
	c[0].put(parquet.DoubleValue(value))
	if v.Count == 0 {
		c[1].putNull(0)
	} else {
		c[1].put(parquet.Int64Value(v.FirstMS))
	}
	c[2].put(parquet.Int64Value(v.Count))
	return nil
}
