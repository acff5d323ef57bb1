package recorded

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
)

// Files is a set of files, read one after another in order of their names. One
// goroutine reads it; Progress may be called from any.
type Files struct {
	paths []string
	total int64 // bytes on disk; -1 when it cannot be known
	read  atomic.Int64
	stdin io.Reader

	opened int // paths that have been opened
	cur    *lines
}

// Open finds the files that patterns name. A pattern is a file, a glob as in
// path/filepath, or "-" for the standard input; one that names nothing is an
// error, as is a directory. Files that several patterns name are read once.
func Open(patterns ...string) (*Files, error) {
	paths, err := expand(patterns)
	if err != nil {
		return nil, err
	}
	f := &Files{paths: paths, stdin: os.Stdin}
	for _, path := range paths {
		size, known := sizeOf(path)
		if !known {
			f.total = -1
			break
		}
		f.total += size
	}
	return f, nil
}

// sizeOf returns the size of a file; false for pipes and the standard input.
func sizeOf(path string) (int64, bool) {
	if path == Stdin {
		return 0, false
	}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Size(), true
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
			if f.opened == len(f.paths) {
				return Line{}, io.EOF
			}
			cur, err := openLines(f.paths[f.opened], f.stdin, &f.read)
			if err != nil {
				return Line{}, err
			}
			f.opened++
			f.cur = cur
		}
		line, err := f.cur.next()
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
	return cur.close()
}
