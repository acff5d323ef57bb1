package recorded

import (
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// file is one input file.
type file struct {
	path string // as patterns named it, or a URL without its parameters
	name string // as messages call it
	place
	sizeBytes int64 // on disk; -1 when it cannot be known: it can then be read once only
	modified  time.Time

	// Found by check.
	format  format
	packed  string   // its compression, of text
	columns []Column // of CSV and Parquet
	groups  []Group  // of Parquet
	sound   bool
	empty   bool
	first   *Line // if it is known, and short
}

// openFile finds the file that path names.
func openFile(path string, stdin io.Reader) *file {
	if path == Stdin {
		return &file{path: Stdin, name: "stdin", place: pipe{stdin}, sizeBytes: -1}
	}
	f := &file{path: path, name: path, place: local(path), sizeBytes: -1}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		f.sizeBytes, f.modified = info.Size(), info.ModTime()
	}
	return f
}

// rows reads the file from its beginning. What it reads is counted in read.
func (f *file) rows(o *Options, read *atomic.Int64) (RowReader, error) {
	if f.format == columnar {
		return f.tableRows(o, 0, -1, read)
	}
	t, err := openText(f, read)
	if err != nil {
		return nil, err
	}
	return f.textRows(t, o)
}

// textRows reads the rows of a text. It closes the text, be it after an error.
func (f *file) textRows(t *text, o *Options) (RowReader, error) {
	switch f.format {
	case commas:
		return openCSV(f, t, ',', o)
	case tabs:
		return openCSV(f, t, '\t', o)
	}
	_, folders := f.members(o, nil)
	return &lines{text: t, folders: folders}, nil
}

// members returns what is read of a file with the given columns: those that are
// declared, or all, and what its folders add. A column goes before a folder.
func (f *file) members(o *Options, columns []Column) (read []Member, from folders) {
	all := o.Members()
	from = foldersOf(f.name, all)
	used := map[string]bool{"": true}
	for _, m := range all {
		if m.find(columns) {
			read = append(read, m)
			used[m.Column] = true
			from = slices.DeleteFunc(from, func(d folder) bool { return d.member.field == m.field })
		}
	}
	for _, c := range columns {
		if o.Whole && !used[c.Name] {
			m := newMember(c.Path)
			m.Column = c.Name
			read = append(read, m)
			used[c.Name] = true
		}
	}
	return arrange(read, 0), from
}
