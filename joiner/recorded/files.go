package recorded

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

// RowReader reads the lines of one file, or of a part of it, in their order. One
// goroutine uses it.
type RowReader interface {
	// Next returns the next line that is not blank, and io.EOF after the last. It
	// is valid until the next call. A *ReadError says where a file is damaged.
	Next() (Line, error)
	// Close closes the file.
	Close() error
}

// Files is a set of files, read one after another in order of their names, or
// in pieces (Units) by several goroutines. One goroutine calls Next; Progress
// may be called from any.
type Files struct {
	opts  Options
	files []*file
	paths []string
	total int64 // bytes on disk; -1 when it cannot be known
	read  atomic.Int64

	opened int // files that have been opened by Next
	cur    RowReader
}

// Open finds the files that patterns name, and looks into each to see that it
// can be read. A pattern is one of these; files that several name are read once.
//
//	imps.jsonl.gz                     a file; also file:///data/imps.csv
//	imps-*.jsonl, dt=*/**/*.parquet   a glob as in path/filepath, ** for any folders
//	data/imps                         a folder: the data files in and below it
//	s3://bucket/imps/dt=*/*.parquet   objects: one, a glob, or all below a prefix
//	-                                 the standard input
//
// One that names nothing is an error. What begins with _ or . is passed over in
// folders, and in globs that do not say so. ctx bounds the reading, too.
func Open(ctx context.Context, o Options, patterns ...string) (*Files, error) {
	o.ensureDefaults()
	files, err := expand(ctx, &o, patterns)
	if err != nil {
		return nil, err
	}
	f := &Files{opts: o, files: files}
	for _, file := range files {
		f.paths = append(f.paths, file.path)
		if file.sizeBytes < 0 || f.total < 0 {
			f.total = -1
			continue
		}
		f.total += file.sizeBytes
	}
	if err := checkAll(f.files, &f.opts); err != nil {
		return nil, err
	}
	return f, nil
}

// Paths returns the files, in order.
func (f *Files) Paths() []string { return f.paths }

// Progress returns how many bytes of the files have been read, as they lie on
// disk, and how many there are; total is -1 when that cannot be known.
func (f *Files) Progress() (readBytes, totalBytes int64) { return f.read.Load(), f.total }

// Next returns the next line that is not blank, and io.EOF after the last. The
// line is valid until the next call. A *ReadError says where a file is damaged.
func (f *Files) Next() (Line, error) {
	for {
		if f.cur == nil {
			if f.opened == len(f.files) {
				return Line{}, io.EOF
			}
			cur, err := f.files[f.opened].rows(&f.opts, &f.read)
			if err != nil {
				return Line{}, err
			}
			f.opened++
			f.cur = cur
		}
		line, err := f.cur.Next()
		if !errors.Is(err, io.EOF) {
			return line, err
		}
		if err := f.Close(); err != nil {
			return Line{}, err
		}
	}
}

// Close closes the file that is open.
func (f *Files) Close() error {
	if f.cur == nil {
		return nil
	}
	cur := f.cur
	f.cur = nil
	return cur.Close()
}

// Info is what a file was when it was opened.
type Info struct {
	Path      string    // as in Paths
	SizeBytes int64     // on disk; -1 when it cannot be known
	Modified  time.Time // zero when it cannot be known
}

// Infos describe the files, in order.
func (f *Files) Infos() (all []Info) {
	for _, file := range f.files {
		all = append(all, Info{file.path, file.sizeBytes, file.modified})
	}
	return all
}

// Empty returns how many of the files hold nothing.
func (f *Files) Empty() (n int) {
	for _, file := range f.files {
		if file.empty {
			n++
		}
	}
	return n
}

// FromStdin reports whether the standard input is one of the files.
func (f *Files) FromStdin() bool { return slices.Contains(f.paths, Stdin) }
