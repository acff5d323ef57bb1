// Package pebblefs is what the users of Pebble agree on about its files and its
// failures. It serves joiner/disk, features/pebble and dimjoin/pebble; the latter two
// have it open their directories too.
package pebblefs

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// HandOver is fs for a Pebble whose commits survive the end of the process, but
// need not survive the loss of power: syncing its write-ahead log hands it to the
// operating system and does not wait for the device.
//
// Pebble knows two ways to write a batch. NoSync keeps it in the process, where
// kill -9 takes it: a commit would be lost after files that only an older one
// names were already unlinked. Sync waits for the device, which state that is a
// cache does not need. This is the way between.
//
// After a loss of power, logs that were not synced may be gone, and the next ones
// not: what is left can be of several commits. A Pebble that cannot tell uses
// HandOverInOrder.
func HandOver(fs vfs.FS) vfs.FS { return handOverFS{FS: fs} }

// HandOverInOrder is HandOver for a Pebble of which the loss of power may take the
// last commits, but none before one that it leaves: a log is synced when it is
// closed, which Pebble does before it writes to the next one. Within a log Pebble
// stops reading where it is damaged.
func HandOverInOrder(fs vfs.FS) vfs.FS { return handOverFS{FS: fs, inOrder: true} }

type handOverFS struct {
	vfs.FS
	inOrder bool
}

func (fs handOverFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	return fs.handOver(name, f, err)
}

func (fs handOverFS) ReuseForWrite(oldName, newName string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldName, newName, category)
	return fs.handOver(newName, f, err)
}

// Unwrap returns the file system below.
func (fs handOverFS) Unwrap() vfs.FS { return fs.FS }

func (fs handOverFS) handOver(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	if fs.inOrder {
		return closedFile{unsyncedFile{f}}, nil
	}
	return unsyncedFile{f}, nil
}

type unsyncedFile struct{ vfs.File }

func (unsyncedFile) Sync() error                { return nil }
func (unsyncedFile) SyncData() error            { return nil }
func (unsyncedFile) SyncTo(int64) (bool, error) { return false, nil }

// closedFile is synced when it is closed.
type closedFile struct{ unsyncedFile }

func (f closedFile) Close() error { return errors.Join(f.File.Sync(), f.File.Close()) }
