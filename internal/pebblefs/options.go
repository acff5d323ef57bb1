package pebblefs

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options set up a Directory. Zero fields of those with a default take it.
type Options struct {
	// What lies there, for errors, such as "tiles".
	What string
	// Corrupt is wrapped by errors that say that what lies there does not verify.
	Corrupt error
	// Foreign is wrapped by errors that say that the keys or values there are in the
	// order of another program, or another version. The default is Corrupt.
	Foreign error
	// Again says what to do when what lies there does not verify.
	Again string
	// Merger and Comparer are Pebble's; the defaults are Pebble's too.
	Merger   *pebble.Merger
	Comparer *pebble.Comparer

	// FS is the file system. The default is the operating system's.
	FS vfs.FS
	// Sync makes every commit survive the loss of power, at the price of an fsync.
	// The default is false: a commit survives the end of the process, and after a
	// loss of power some earlier commit is left, whole.
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

// pebbleOptions are those of the Pebble in the directory.
func (d *Directory) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS: HandOverInOrder(d.watch.FS(d.opts.FS)),
		// Pebble takes memtables out of the cache's size.
		CacheSize:                   d.opts.CacheBytes + memTables*int64(d.opts.MemTableBytes),
		MemTableSize:                d.opts.MemTableBytes,
		MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       32,
		LBaseMaxBytes:               64 << 20,
		FormatMajorVersion:          pebble.FormatNewest,
		Merger:                      d.opts.Merger,
		Comparer:                    d.opts.Comparer,
		Logger:                      logger{d.watch},
		// Who reads gets the error too. By default it would end the process.
		EventListener: &pebble.EventListener{
			DataCorruption:  func(pebble.DataCorruptionInfo) {},
			BackgroundError: func(err error) { d.watch.Stand(fmt.Errorf("compacting %s: %w", d.opts.What, err)) },
			FlushBegin:      func(pebble.FlushInfo) { d.watch.AtWork() },
			CompactionBegin: func(pebble.CompactionInfo) { d.watch.AtWork() },
		},
	}
	if d.opts.Sync {
		o.FS = d.watch.FS(d.opts.FS)
	}
	o.Levels[0] = pebble.LevelOptions{BlockSize: 8 << 10, IndexBlockSize: 64 << 10, FilterPolicy: bloom.FilterPolicy(10)}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionBalanced })
	return o
}

// logger keeps Pebble's fatal errors for who calls it next.
type logger struct{ watch *Watch }

func (logger) Infof(string, ...any)              {}
func (logger) Errorf(string, ...any)             {}
func (l logger) Fatalf(text string, args ...any) { l.watch.Stand(Fatal(text, args...)) }
