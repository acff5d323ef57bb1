package pebblefs

import (
	"errors"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// DamagedFile says that what lies in its directory was found damaged while it was
// in use: it cannot be gone on from, though it may open well enough.
const DamagedFile = "DAMAGED"

// NoteDamage leaves word for the next opening of dir, if it can.
func NoteDamage(fsys vfs.FS, dir string, why error) {
	f, err := fsys.Create(fsys.PathJoin(dir, DamagedFile), vfs.WriteCategoryUnspecified)
	if err != nil {
		return
	}
	_, _ = f.Write([]byte(why.Error() + "\n")) // that it is there says enough
	_, _ = f.Sync(), f.Close()
}

// Damage returns what NoteDamage left in dir, empty for nothing.
func Damage(fsys vfs.FS, dir string) (why string, err error) {
	f, err := fsys.Open(fsys.PathJoin(dir, DamagedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, 1<<10))
	if len(text) == 0 {
		text = []byte("of which no more is known")
	}
	return string(text), nil
}
