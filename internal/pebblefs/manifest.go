package pebblefs

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// manifestFirst has the name of a manifest on the device before anything refers to
// it. Pebble makes a manifest, then a marker with its name, and syncs the directory
// that both lie in only then: without power in between, the marker could be there and
// the manifest not, and nothing could be opened.
type manifestFirst struct{ vfs.FS }

func (fs manifestFirst) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	if err != nil || !strings.HasPrefix(fs.PathBase(name), "MANIFEST-") {
		return f, err
	}
	dir, err := fs.OpenDir(fs.PathDir(name))
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Unwrap returns the file system below.
func (fs manifestFirst) Unwrap() vfs.FS { return fs.FS }
