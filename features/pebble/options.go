package pebble

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

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

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = 64 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 16 << 20
	}
}

// memTables is how many memtables Pebble may hold: one that is written to, and
// those that wait for it to be written to tables.
const memTables = 4

func (db *DB) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS: pebblefs.HandOverInOrder(db.watch.FS(db.opts.FS)),
		// Pebble takes memtables out of the cache's size.
		CacheSize:                   db.opts.CacheBytes + memTables*int64(db.opts.MemTableBytes),
		MemTableSize:                db.opts.MemTableBytes,
		MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       32,
		LBaseMaxBytes:               64 << 20,
		FormatMajorVersion:          pebble.FormatNewest,
		Merger:                      &pebble.Merger{Name: "mortise.tiles.1", Merge: newValueMerger},
		Logger:                      logger{db},
		// Who reads gets the error too. By default it would end the process.
		EventListener: &pebble.EventListener{
			DataCorruption:  func(pebble.DataCorruptionInfo) {},
			BackgroundError: func(err error) { db.watch.Stand(fmt.Errorf("compacting tiles: %w", err)) },
			FlushBegin:      func(pebble.FlushInfo) { db.watch.AtWork() },
			CompactionBegin: func(pebble.CompactionInfo) { db.watch.AtWork() },
		},
	}
	if db.opts.Sync {
		o.FS = db.watch.FS(db.opts.FS)
	}
	o.Levels[0] = pebble.LevelOptions{BlockSize: 8 << 10, IndexBlockSize: 64 << 10, FilterPolicy: bloom.FilterPolicy(10)}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	return o
}
