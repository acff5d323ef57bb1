package disk

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// handOverFS is the manifest's file system: syncing Pebble's write-ahead log
// hands it to the operating system and does not wait for the device.
//
// Pebble knows two ways to write a batch. NoSync keeps it in the process, where
// kill -9 takes it: a commit would be lost after files that only an older one
// names were already unlinked. Sync waits for the device, which state that is a
// cache does not need. This is the way between.
type handOverFS struct{ vfs.FS }

func (fs handOverFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return handOver(name)(fs.FS.Create(name, category))
}

func (fs handOverFS) ReuseForWrite(oldName, newName string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return handOver(newName)(fs.FS.ReuseForWrite(oldName, newName, category))
}

// Unwrap returns the file system below.
func (fs handOverFS) Unwrap() vfs.FS { return fs.FS }

func handOver(name string) func(f vfs.File, err error) (vfs.File, error) {
	return func(f vfs.File, err error) (vfs.File, error) {
		if err != nil || !strings.HasSuffix(name, ".log") {
			return f, err
		}
		return unsyncedFile{f}, nil
	}
}

type unsyncedFile struct{ vfs.File }

func (unsyncedFile) Sync() error                { return nil }
func (unsyncedFile) SyncData() error            { return nil }
func (unsyncedFile) SyncTo(int64) (bool, error) { return false, nil }
