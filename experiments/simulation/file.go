package simulation

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is an open file or directory.
type file struct {
	mount    *mount
	name     string
	node     *inode
	at       int
	writable bool
}

var errNotWritable = errors.New("the file was not opened for writing")

// Close implements vfs.File.
func (f *file) Close() error { return nil }

// Read implements vfs.File.
func (f *file) Read(p []byte) (int, error) {
	f.mount.disk.mu.Lock()
	defer f.mount.disk.mu.Unlock()
	if f.at >= len(f.node.data) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[f.at:])
	f.at += n
	return n, nil
}

// ReadAt implements vfs.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.mount.disk.mu.Lock()
	defer f.mount.disk.mu.Unlock()
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Write implements vfs.File.
func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, int64(f.at))
	f.at += n
	return n, err
}

// WriteAt implements vfs.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	d := f.mount.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if !f.writable || f.node.isDir {
		return 0, errNotWritable
	}
	half := func() { f.put(p[:d.rand.IntN(len(p)+1)], off) }
	if err := f.mount.change("write to", f.name, half); err != nil {
		return 0, err
	}
	f.put(p, off)
	return len(p), nil
}

func (f *file) put(p []byte, off int64) {
	if grow := int(off) + len(p) - len(f.node.data); grow > 0 {
		f.node.data = append(f.node.data, make([]byte, grow)...)
	}
	copy(f.node.data[off:], p)
}

// Sync implements vfs.File.
func (f *file) Sync() error {
	d := f.mount.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := f.mount.change("sync", f.name, nil); err != nil {
		return err
	}
	n := f.node
	if n.isDir {
		n.synced = maps.Clone(n.kids)
		clear(n.gone)
		return nil
	}
	n.stable = append(n.stable[:0], n.data...)
	return nil
}

// SyncData implements vfs.File.
func (f *file) SyncData() error { return f.Sync() }

// SyncTo implements vfs.File. It promises nothing.
func (f *file) SyncTo(int64) (bool, error) { return false, nil }

// Preallocate implements vfs.File.
func (f *file) Preallocate(int64, int64) error { return nil }

// Prefetch implements vfs.File.
func (f *file) Prefetch(int64, int64) error { return nil }

// Fd implements vfs.File.
func (f *file) Fd() uintptr { return vfs.InvalidFd }

// Stat implements vfs.File.
func (f *file) Stat() (vfs.FileInfo, error) {
	f.mount.disk.mu.Lock()
	defer f.mount.disk.mu.Unlock()
	return info{path.Base(f.name), int64(len(f.node.data)), f.node.isDir}, nil
}

type info struct {
	name  string
	size  int64
	isDir bool
}

func (i info) Name() string           { return i.name }
func (i info) Size() int64            { return i.size }
func (i info) IsDir() bool            { return i.isDir }
func (i info) ModTime() time.Time     { return time.Time{} }
func (i info) Sys() any               { return nil }
func (i info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
func (i info) Mode() fs.FileMode {
	if i.isDir {
		return fs.ModeDir | 0o777
	}
	return 0o666
}
