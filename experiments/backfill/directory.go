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

// Directory is a directory of this machine as an FS, for one process at a time.
type Directory struct {
	root string
	held *os.File // the directory, locked
}

// OpenDirectory opens a directory, which is made when it is missing.
func OpenDirectory(path string) (*Directory, error) {
	path, err := filepath.Abs(path)
	if err == nil {
		err = os.MkdirAll(path, 0o777)
	}
	if err != nil {
		return nil, fmt.Errorf("making the scratch folder: %w; name another with --scratch", err)
	}
	d := &Directory{root: path}
	if d.held, err = os.Open(path); err != nil {
		return nil, fmt.Errorf("opening the scratch folder: %w; name another with --scratch", err)
	}
	if alone, err := tryLock(d.held); err != nil || !alone {
		_ = d.held.Close()
		if err == nil {
			err = fmt.Errorf("scratch folder %s is in use: the same backfill is running already; name another with --scratch to run a second one", path)
		}
		return nil, err
	}
	return d, nil
}

// Close lets others use the directory, and removes it if it is empty.
func (d *Directory) Close() error {
	_ = os.Remove(d.root) // fails when there is something in it
	return d.held.Close()
}

func (d *Directory) path(name string) string { return filepath.Join(d.root, name) }

// Create implements FS.
func (d *Directory) Create(name string) (io.WriteCloser, error) {
	f, err := os.Create(d.path(name))
	if err != nil {
		return nil, d.advise(err)
	}
	return roomFor{f, d}, nil
}

// Open implements FS.
func (d *Directory) Open(name string) (extsort.File, int64, error) {
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
func (d *Directory) Rename(from, to string) error { return os.Rename(d.path(from), d.path(to)) }

// Remove implements FS.
func (d *Directory) Remove(name string) error { return os.Remove(d.path(name)) }

// List implements FS. Folders in it are not its own.
func (d *Directory) List() (names []string, err error) {
	entries, err := os.ReadDir(d.root)
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// String implements FS.
func (d *Directory) String() string { return d.root }

// advise says what helps against an error.
func (d *Directory) advise(err error) error {
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
	dir *Directory
}

// Write implements io.Writer.
func (f roomFor) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, f.dir.advise(err)
}

// Close implements io.Closer.
func (f roomFor) Close() error { return f.dir.advise(f.File.Close()) }
