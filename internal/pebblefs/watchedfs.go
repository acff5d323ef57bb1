package pebblefs

import (
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// watchedFS is Pebble's file system, which stands still where something cannot
// be written, and lets nothing be changed once Pebble has stopped: the directory
// can be locked and opened again, though some of Pebble's goroutines may go on.
// Until Pebble works in the background it gets errors as they are: who opens it is
// told.
type watchedFS struct {
	vfs.FS
	watch *Watch
}

// change makes a change that Pebble may go on from only if it is made.
func (w watchedFS) change(make func() error) error {
	for {
		err := w.changeOnce(make)
		if err == nil || !w.watch.atWork.Load() {
			return err
		}
		w.watch.Stand(fmt.Errorf("writing %s: %w", w.watch.opts.What, err))
	}
}

// changeOnce makes a change of which Pebble is told whether it was made.
func (w watchedFS) changeOnce(make func() error) error {
	w.watch.changing.RLock()
	if w.watch.Failed() != nil {
		w.watch.changing.RUnlock()
		<-w.watch.opts.Gone
		return make() // which has no effect
	}
	defer w.watch.changing.RUnlock()
	return make()
}

func (w watchedFS) file(open func() (vfs.File, error)) (f vfs.File, err error) {
	err = w.change(func() (err error) {
		f, err = open()
		return err
	})
	if err != nil {
		return f, err
	}
	return watchedFile{f, w}, nil
}

func (w watchedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return w.file(func() (vfs.File, error) { return w.FS.Create(name, category) })
}

func (w watchedFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return w.file(func() (vfs.File, error) { return w.FS.OpenReadWrite(name, category, opts...) })
}

func (w watchedFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return w.file(func() (vfs.File, error) { return w.FS.ReuseForWrite(oldname, newname, category) })
}

func (w watchedFS) OpenDir(name string) (vfs.File, error) {
	return w.file(func() (vfs.File, error) { return w.FS.OpenDir(name) })
}

func (w watchedFS) Rename(oldname, newname string) error {
	return w.change(func() error { return w.FS.Rename(oldname, newname) })
}

func (w watchedFS) Link(oldname, newname string) error {
	return w.changeOnce(func() error { return w.FS.Link(oldname, newname) })
}

func (w watchedFS) Remove(name string) error {
	return w.changeOnce(func() error { return w.FS.Remove(name) })
}

func (w watchedFS) RemoveAll(name string) error {
	return w.changeOnce(func() error { return w.FS.RemoveAll(name) })
}

// Lock does nothing: who uses Pebble has locked the directory, and lets go of it
// though Pebble may not.
func (w watchedFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// Unwrap returns the file system below.
func (w watchedFS) Unwrap() vfs.FS { return w.FS }

// watchedFile is a file of it.
type watchedFile struct {
	vfs.File
	fs watchedFS
}

func (f watchedFile) Write(p []byte) (n int, err error) {
	err = f.fs.change(func() (err error) {
		n, err = f.File.Write(p)
		return err
	})
	return n, err
}

func (f watchedFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.change(func() (err error) {
		n, err = f.File.WriteAt(p, off)
		return err
	})
	return n, err
}

func (f watchedFile) Sync() error     { return f.fs.change(f.File.Sync) }
func (f watchedFile) SyncData() error { return f.fs.change(f.File.SyncData) }

func (f watchedFile) SyncTo(length int64) (all bool, err error) {
	err = f.fs.change(func() (err error) {
		all, err = f.File.SyncTo(length)
		return err
	})
	return all, err
}
