package backfill

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mortise-dev/mortise/experiments/backfill/extsort"
)

// Directory is a directory of this machine as an FS. It is made when it is missing.
func Directory(path string) (FS, error) {
	path, err := filepath.Abs(path)
	if err == nil {
		err = os.MkdirAll(path, 0o777)
	}
	if err != nil {
		return nil, fmt.Errorf("making the scratch folder: %w; name another with --scratch", err)
	}
	return directory(path), nil
}

type directory string

func (d directory) path(name string) string { return filepath.Join(string(d), name) }

// Create implements FS.
func (d directory) Create(name string) (io.WriteCloser, error) {
	f, err := os.Create(d.path(name))
	if err != nil {
		return nil, d.advise(err)
	}
	return roomFor{f, d}, nil
}

// Open implements FS.
func (d directory) Open(name string) (extsort.File, int64, error) {
	f, err := os.Open(d.path(name))
	if err != nil {
		return nil, 0, d.advise(err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// Rename implements FS.
func (d directory) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

// Remove implements FS.
func (d directory) Remove(name string) error { return os.Remove(d.path(name)) }

// List implements FS.
func (d directory) List() (names []string, err error) {
	entries, err := os.ReadDir(string(d))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// String implements FS.
func (d directory) String() string { return string(d) }

// advise says what helps against an error.
func (d directory) advise(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: make room there, or name another folder with --scratch", err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fmt.Errorf("%w: allow more open files (ulimit -n)", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: name another folder with --scratch", err)
	}
	return err
}

// roomFor says what helps when there is no room to write.
type roomFor struct {
	*os.File
	dir directory
}

// Write implements io.Writer.
func (f roomFor) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, f.dir.advise(err)
}

// Close implements io.Closer.
func (f roomFor) Close() error { return f.dir.advise(f.File.Close()) }
