package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// tempFolder is where objects of a directory are while they are being written.
const tempFolder = ".incomplete"

// tempAge is how old an unfinished object is that nobody can be writing any more.
const tempAge = 24 * time.Hour

// dir keeps objects as files below a directory, which is made by the first put.
type dir struct{ root string }

func openDir(root string) (*dir, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(root)
	if err == nil && !info.IsDir() {
		return nil, fmt.Errorf("opening %s: it is a file: name a directory", root)
	}
	d := &dir{root}
	if err := d.clearTemp(); err != nil {
		return nil, err
	}
	return d, nil
}

// clearTemp removes what a process that was killed left unfinished.
func (d *dir) clearTemp() error {
	temp := filepath.Join(d.root, tempFolder)
	entries, err := os.ReadDir(temp)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("opening %s: %w", d.root, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > tempAge {
			_ = os.Remove(filepath.Join(temp, e.Name())) // who may only read cannot, and need not
		}
	}
	return nil
}

func (d *dir) path(key string) string { return filepath.Join(d.root, filepath.FromSlash(key)) }

func (d *dir) put(ctx context.Context, key string, body io.Reader, create bool) (err error) {
	path := d.path(key)
	if create {
		if _, err := os.Lstat(path); err == nil {
			return fs.ErrExist
		}
	}
	temp := filepath.Join(d.root, tempFolder)
	if err := makeDirs(temp); err != nil {
		return err
	}
	f, err := os.CreateTemp(temp, "*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{body}, make([]byte, 256<<10))
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = errors.Join(f.Chmod(0o644), f.Sync())
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return err
	}
	if err := makeDirs(filepath.Dir(path)); err != nil {
		return err
	}
	if create {
		err = link(f.Name(), path)
	} else {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// link gives a finished object its name, if nothing has it.
func link(temp, path string) error {
	if err := os.Link(temp, path); err != nil {
		return err
	}
	return os.Remove(temp)
}

// makeDirs makes a directory and those above it, so that they outlive a loss of power.
func makeDirs(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	parent := filepath.Dir(path)
	if parent == path {
		return fmt.Errorf("making directories: %s does not exist", path)
	}
	if err := makeDirs(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil // who may write in a directory need not be able to read it
	}
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // some network file systems sync no directories
	}
	return errors.Join(err, f.Close())
}

func (d *dir) get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(d.path(key))
	if errors.Is(err, syscall.ENOTDIR) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return nil, errors.Join(err, f.Close(), fs.ErrNotExist)
	}
	if lengthBytes < 0 {
		lengthBytes = 1<<63 - 1 - off
	}
	return &section{io.NewSectionReader(f, off, min(lengthBytes, max(info.Size()-off, 0))), f}, nil
}

// section is a range of a file. It can be read at any place, too.
type section struct {
	*io.SectionReader
	io.Closer
}

func (d *dir) list(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error {
	type found struct {
		key  string
		info fs.FileInfo
	}
	var all []found
	below := prefix[:strings.LastIndex(prefix, "/")+1]
	err := filepath.WalkDir(d.path(below), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil // there is none, or it went meanwhile
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(d.root, path)
		if err != nil {
			return err
		}
		key := filepath.ToSlash(rel)
		if e.IsDir() {
			if key == tempFolder {
				return fs.SkipDir
			}
			return ctx.Err()
		}
		if !strings.HasPrefix(key, prefix) || !e.Type().IsRegular() {
			return nil
		}
		info, err := e.Info()
		if err == nil {
			all = append(all, found{key, info})
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b found) int { return strings.Compare(a.key, b.key) })
	for i := range all {
		if err := each(all[i].key, all[i].info.Size(), all[i].info.ModTime()); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (d *dir) remove(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path := d.path(key)
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func (d *dir) close() error { return nil }

func (d *dir) advise(err error) string {
	switch {
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		return "this user must be able to read and write there"
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return "make room there, or name another place"
	case isLinking(err):
		return "that file system must be able to make hard links and to rename; where a bucket is mounted there, name its URL (s3://, gs://, azblob://) instead"
	}
	return ""
}

func isLinking(err error) bool {
	var at *os.LinkError
	return errors.As(err, &at) && at.Op == "link"
}
