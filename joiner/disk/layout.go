package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
)

// A state directory:
//
//	FORMAT                        which layout this is
//	manifest/                     Pebble
//	tasks/<task>.<store number>/  segment files, named by number and log
const (
	manifestDir = "manifest"
	tasksDir    = "tasks"
)

// writeCategory labels segment files in Pebble's accounts of what is written.
const writeCategory vfs.DiskWriteCategory = "mortise-segment"

var logNames = [joiner.NumLogs]string{"impressions", "labels", "seen", "index", "observed"}

// prepareDir makes dir a state directory if it is none, and refuses one of
// another format or owner.
func prepareDir(fsys vfs.FS, dir string) error {
	err := checkFormat(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = writeFormat(fsys, dir)
	}
	for _, sub := range []string{manifestDir, tasksDir} {
		if err == nil {
			err = fsys.MkdirAll(fsys.PathJoin(dir, sub), 0o777)
		}
	}
	if err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (db *DB) taskDir(task string, number uint64) string {
	return db.fs.PathJoin(db.dir, tasksDir, fmt.Sprintf("%s.%d", escape(task), number))
}

// escape makes any task name a file name: what is not plain becomes %xx.
func escape(task string) string {
	var b strings.Builder
	for i := range len(task) {
		switch c := task[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

func fileName(kind joiner.LogKind, number uint32) string {
	return fmt.Sprintf("%010d.%s", number, logNames[kind])
}
