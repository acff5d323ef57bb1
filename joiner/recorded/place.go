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
	// openAt returns the bytes for reading in any order.
	openAt() (readerAt, error)
}

type readerAt interface {
	io.ReaderAt
	io.Closer
}

// local is a file of this machine.
type local string

func (path local) openFile() (*os.File, error) {
	f, err := os.Open(string(path))
	if err != nil {
		return nil, fmt.Errorf("opening input file: %w", err)
	}
	return f, nil
}

func (path local) open(off int64) (io.ReadCloser, error) {
	f, err := path.openFile()
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(off, io.SeekStart); err != nil && off > 0 {
		_ = f.Close()
		return nil, fmt.Errorf("opening input file: %w", err)
	}
	return f, nil
}

func (path local) openAt() (readerAt, error) { return path.openFile() }

// pipe can be read once, from its beginning.
type pipe struct{ io.Reader }

func (p pipe) open(int64) (io.ReadCloser, error) { return io.NopCloser(p), nil }

func (p pipe) openAt() (readerAt, error) { return nil, parquetText }
