package pebble

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/internal/pebblefs"
)

// Options sets up a store's directory. Zero fields take their defaults.
type Options struct {
	// FS is the file system. The default is the operating system's.
	FS vfs.FS
	// Sync makes every commit survive the loss of power, at the price of an fsync.
	// The default is false: a commit survives the end of the process, and after a
	// loss of power some earlier commit is left, of each task tiles and position
	// together.
	Sync bool
	// CacheBytes bounds the blocks that are kept in memory. The default is 64 MiB.
	CacheBytes int64
	// MemTableBytes is the size at which what was committed is written to a table.
	// Larger ones merge more before that, but block commits longer. The default is
	// 16 MiB.
	MemTableBytes uint64
}

func (o *Options) directory() pebblefs.Options {
	return pebblefs.Options{
		What:          "tiles",
		Corrupt:       features.ErrCorrupt,
		Again:         "start again: they are made anew",
		Merger:        &pebble.Merger{Name: "mortise.tiles.1", Merge: newValueMerger},
		FS:            o.FS,
		Sync:          o.Sync,
		CacheBytes:    o.CacheBytes,
		MemTableBytes: o.MemTableBytes,
	}
}
