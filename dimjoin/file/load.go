package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// role is what a wanted column is for.
type role uint8

const (
	ofKey role = iota
	ofRow
	ofFrom
	ofTo
)

// want is a column that is wanted of the file. Its type has no kind where that is
// not known: keys without declared types, and times of history.
type want struct {
	name  string
	typ   mortise.Type
	role  role
	index int // of the key's part, or the field
}

// wants are the columns of a dimension. A column may be wanted twice.
func wants(def *dimjoin.Definition) (all []want) {
	for i, name := range def.Key {
		w := want{name: name, role: ofKey, index: i}
		if i < len(def.KeyTypes) {
			w.typ = def.KeyTypes[i]
		}
		all = append(all, w)
	}
	for i, f := range def.Fields {
		all = append(all, want{f.Name, f.Type, ofRow, i})
	}
	if def.History.Kept() {
		all = append(all, want{name: def.History.From, role: ofFrom})
		if def.History.To != "" {
			all = append(all, want{name: def.History.To, role: ofTo})
		}
	}
	return all
}

// rows reads a file's rows.
type rows interface {
	// next fills values, one for each want, null where there is none, valid until
	// the next call, and returns the line that the row begins on; io.EOF ends them.
	next(values []mortise.Value) (line int, err error)
}

// fault is what is wrong with a line, or with a column of it.
type fault struct {
	line   int
	column string // with its name, as the format counts; empty for the whole line
	err    error
}

// Error implements error.
func (f *fault) Error() string {
	if f.column == "" {
		return f.err.Error()
	}
	return f.column + ": " + f.err.Error()
}

// load reads a whole file.
func load(ctx context.Context, name string, r content, sizeBytes int64, def *dimjoin.Definition, opts *Options) (*contents, error) {
	l := newLoader(def)
	from, release, err := l.open(name, r, sizeBytes, opts)
	var c *contents
	if err == nil {
		if opts.firstRows > 0 {
			from = &firstRows{from, opts.firstRows}
		}
		c, err = l.load(ctx, from)
		release()
	}
	var at *fault
	if errors.As(err, &at) && at.line > 0 {
		return nil, fmt.Errorf("%s:%d: %w", name, at.line, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

type loader struct {
	def     *dimjoin.Definition
	wants   []want
	builder *builder
	key     mortise.Row
	row     mortise.Row
	text    []byte
}

func newLoader(def *dimjoin.Definition) *loader {
	return &loader{def: def, wants: wants(def), builder: newBuilder(def.Fields, def.History.Kept()),
		key: make(mortise.Row, len(def.Key)), row: make(mortise.Row, len(def.Fields))}
}

// open opens a file's rows by its name. release lets go of what they hold, but for
// the file.
func (l *loader) open(name string, r content, sizeBytes int64, opts *Options) (from rows, release func(), err error) {
	base := strings.ToLower(path.Base(name))
	for _, packed := range []string{".gz", ".gzip", ".zst", ".zstd"} {
		base = strings.TrimSuffix(base, packed)
	}
	var format func(t *text) (rows, error)
	switch path.Ext(base) {
	case ".csv":
		format = func(t *text) (rows, error) { return newCSV(t, ',', l.wants, l.def) }
	case ".tsv", ".tab":
		format = func(t *text) (rows, error) { return newCSV(t, '\t', l.wants, l.def) }
	case ".jsonl", ".ndjson", ".json":
		format = func(t *text) (rows, error) { return newJSONL(t, l.wants, l.def), nil }
	case ".parquet", ".parq", ".pq":
		return l.openColumns(r, sizeBytes, opts)
	default:
		return nil, nil, errors.New("its name does not say what it is: name it .csv, .tsv, .jsonl or .parquet, with .gz or .zst behind text")
	}
	t, err := newText(r)
	if err != nil {
		return nil, nil, err
	}
	if from, err = format(t); err != nil {
		t.release()
	}
	return from, t.release, err
}

func (l *loader) openColumns(r content, sizeBytes int64, opts *Options) (rows, func(), error) {
	if opts.OpenColumns == nil {
		return nil, nil, errors.New("it is a Parquet file, which this program does not read: give CSV or JSON lines")
	}
	c, err := opts.OpenColumns(r, sizeBytes)
	if err != nil {
		return nil, nil, err
	}
	from, err := newColumns(c, l.wants, l.def)
	if err != nil {
		return nil, nil, err
	}
	return from, func() { _ = from.objects.Close() }, nil // which was only read
}

func (l *loader) load(ctx context.Context, from rows) (*contents, error) {
	values := make([]mortise.Value, len(l.wants))
	for {
		line, err := from.next(values)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = l.add(values, line)
		}
		if err != nil {
			return nil, err
		}
		if l.builder.rows%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if l.builder.rows == 0 {
		return nil, errors.New("it has no rows: a table needs one at least")
	}
	return l.builder.build()
}

// add adds a row.
func (l *loader) add(values []mortise.Value, line int) error {
	fromMS, toMS := dimjoin.Always, dimjoin.Latest
	for i := range l.wants {
		w, v := &l.wants[i], values[i]
		ok := true
		switch w.role {
		case ofKey:
			if v.IsNull() {
				return &fault{line, "column " + w.name, errors.New("a part of the key is null: no impression could find this row")}
			}
			l.key[w.index] = v
		case ofRow:
			fitted, err := dimjoin.Fit(&l.def.Fields[w.index], v)
			if err != nil {
				return &fault{line, "", err}
			}
			l.row[w.index] = fitted
		case ofFrom:
			fromMS, ok = l.def.History.Begin(v)
		case ofTo:
			toMS, ok = l.def.History.End(v)
		}
		if !ok {
			return &fault{line, "column " + w.name, fmt.Errorf("%s is no time; the history's unit is %s", dimjoin.Excerpt(dimjoin.AppendText(nil, v)), l.unit())}
		}
	}
	if toMS < fromMS {
		return &fault{line, "", errors.New("the row's validity ends before it begins")}
	}
	var ok bool
	if l.text, ok = dimjoin.AppendKey(l.text[:0], l.key...); !ok {
		return &fault{line, "", errors.New("a list cannot be a part of the key")}
	}
	if err := l.builder.add(l.text, l.row, fromMS, toMS, line); err != nil {
		return &fault{line, "", err}
	}
	return nil
}

func (l *loader) unit() string {
	if l.def.History.Unit == "" {
		return dimjoin.DefaultUnit
	}
	return l.def.History.Unit
}

// lacking says that the file has no column of a want, or nil where it may lack it.
func (w *want) lacking(def *dimjoin.Definition, columns []string) error {
	if w.role == ofTo && w.name == dimjoin.DefaultTo {
		return nil // versions then end where the next one begins
	}
	what := map[role]string{ofKey: "the key", ofRow: "a field", ofFrom: "the history's from", ofTo: "the history's to"}[w.role]
	help := dimjoin.DidYouMean(w.name, columns)
	return fmt.Errorf("it has no column %s, which is declared as %s of the dimension %s; %s", w.name, what, def.Name, help)
}
