package recorded

import (
	"fmt"
	"io"
	"os"
)

// place is where one file's bytes are.
type place interface {
	// open returns the bytes from byte off to the end.
	open(off int64) (io.ReadCloser, error)
}

// local is a file of this machine.
type local string

func (path local) open(off int64) (io.ReadCloser, error) {
	f, err := os.Open(string(path))
	if err == nil && off > 0 {
		if _, err = f.Seek(off, io.SeekStart); err != nil {
			_ = f.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("opening input file: %w", err)
	}
	return f, nil
}

// pipe can be read once, from its beginning.
type pipe struct{ io.Reader }

func (p pipe) open(int64) (io.ReadCloser, error) { return io.NopCloser(p), nil }

// file is one input file.
type file struct {
	name string // as messages call it
	place
	sizeBytes int64 // on disk; -1 when it cannot be known: it can then be read once only
	plain     bool  // lines that are not compressed
}

// openFile finds the file that path names.
func openFile(path string, stdin io.Reader) *file {
	if path == Stdin {
		return &file{name: "stdin", place: pipe{stdin}, sizeBytes: -1}
	}
	f := &file{name: path, place: local(path), sizeBytes: -1}
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		f.sizeBytes = info.Size()
	}
	return f
}
