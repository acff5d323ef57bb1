package pebble

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/internal/pebblefs"
)

// Options sets up a table's directory. Zero fields take their defaults.
type Options struct {
	// Create makes the table where there is none. The default is an error: a table
	// that nobody has filled answers nothing.
	Create bool
	// FS is the file system. The default is the operating system's.
	FS vfs.FS
	// Sync makes every write survive the loss of power, at the price of an fsync. The
	// default is false: a write survives the end of the process, and after a loss of
	// power what is left is the table after some earlier write. A version that was switched to
	// is on disk in any case.
	Sync bool
	// CacheBytes bounds the blocks that are kept in memory. The default is 64 MiB.
	CacheBytes int64
	// MemTableBytes is the size at which what was written goes to a table on disk. The
	// default is 16 MiB.
	MemTableBytes uint64
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
}

// ErrCorrupt says that a table does not verify.
var ErrCorrupt = errors.New("the table is damaged")

var errForeign = errors.New("another version of Mortise made it, or another program: fill a new directory with mortise load")

// again is the way out where a table cannot be opened or used.
const again = "remove the directory, and fill it again with mortise load or from its change stream"

func (o *Options) directory() pebblefs.Options {
	return pebblefs.Options{
		What:          "rows",
		Corrupt:       ErrCorrupt,
		Foreign:       errForeign,
		Again:         again,
		Comparer:      comparer,
		FS:            o.FS,
		Sync:          o.Sync,
		CacheBytes:    o.CacheBytes,
		MemTableBytes: o.MemTableBytes,
	}
}
