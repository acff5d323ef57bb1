package pebble

import (
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
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
	if o.CacheBytes <= 0 {
		o.CacheBytes = 64 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 16 << 20
	}
}

// memTables is how many memtables Pebble may hold.
const memTables = 4

func (db *DB) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:   pebblefs.HandOverInOrder(db.opts.FS),
		Lock: db.lock,
		// Pebble takes memtables out of the cache's size.
		CacheSize:                   db.opts.CacheBytes + memTables*int64(db.opts.MemTableBytes),
		MemTableSize:                db.opts.MemTableBytes,
		MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       32,
		LBaseMaxBytes:               64 << 20,
		FormatMajorVersion:          pebble.FormatNewest,
		Comparer:                    comparer,
		Logger:                      logger{db},
		// Who reads gets the error too. By default it would end the process.
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}},
	}
	if db.opts.Sync {
		o.FS = db.opts.FS
	}
	o.Levels[0] = pebble.LevelOptions{BlockSize: 8 << 10, IndexBlockSize: 64 << 10, FilterPolicy: bloom.FilterPolicy(10)}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	return o
}
