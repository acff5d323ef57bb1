package dataset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// temp is a file in TempDir that has no name: it goes when it is closed, and with
// the process, however that ends.
type temp struct {
	file *os.File
	dir  string
	size int64
}

// openTemp makes a file, and dir where it is missing.
func openTemp(dir string) (*temp, error) {
	f, err := os.CreateTemp(dir, "mortise-part-*")
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(dir, 0o777); err == nil {
			f, err = os.CreateTemp(dir, "mortise-part-*")
		}
	}
	if err == nil {
		if err = os.Remove(f.Name()); err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		return nil, tempError(dir, err)
	}
	return &temp{file: f, dir: dir}, nil
}

// Write appends.
func (t *temp) Write(b []byte) (int, error) {
	n, err := t.file.WriteAt(b, t.size)
	t.size += int64(n)
	if err != nil {
		return n, tempError(t.dir, err)
	}
	return n, nil
}

// section reads a part of the file, from its beginning every time.
func (t *temp) section(off, sizeBytes int64) io.Reader {
	return io.NewSectionReader(t.file, off, sizeBytes)
}

func (t *temp) close() error {
	if t == nil {
		return nil
	}
	return t.file.Close()
}

// tempError says where rows could not be kept, and what to do.
func tempError(dir string, err error) error {
	what := "it must be a directory on a local disk that this user may write to"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		what = "make room there, or name another directory: parts wait there until they are published"
	}
	return fmt.Errorf("keeping rows in %s: %w: %s", dir, err, what)
}
