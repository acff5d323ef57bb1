package disk

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/internal/pebblefs"
	"github.com/mortise-dev/mortise/joiner"
)

// openPebble locks the manifest and opens it.
func (db *DB) openPebble() (err error) {
	dir := db.fs.PathJoin(db.dir, manifestDir)
	if db.lock, err = db.fs.Lock(db.fs.PathJoin(dir, "LOCK")); err != nil {
		return fmt.Errorf("locking %s, which another process may have open: %w", dir, err)
	}
	opts := &pebble.Options{
		FS: db.watch.FS(db.fs),

		MemTableSize: pebbleMem, CacheSize: pebbleCache, MaxOpenFiles: 64,
		DisableTableStats:  true,
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             pebbleLogger{db},
		// Who reads gets the error too. By default it would be fatal, and the directory
		// could not be wiped and opened again by this process.
		EventListener: &pebble.EventListener{
			DataCorruption:  func(pebble.DataCorruptionInfo) {},
			BackgroundError: func(err error) { db.watch.Stand(fmt.Errorf("compacting the manifest: %w", err)) },
			FlushBegin:      func(pebble.FlushInfo) { db.watch.AtWork() },
			CompactionBegin: func(pebble.CompactionInfo) { db.watch.AtWork() },
		},
	}
	if !db.opts.Sync {
		opts.FS = pebblefs.HandOver(opts.FS)
	}
	if db.opts.Quiet {
		opts.Experimental.CompactionScheduler = noCompactions{}
	}
	opened := make(chan error, 1)
	go func() {
		opened <- caught(func() (err error) {
			if db.pdb, err = pebble.Open(dir, opts); err != nil {
				return err
			}
			db.watch.AtWork()
			err = db.checkSequence()
			switch {
			case err == nil:
				return nil
			case db.watch.Failed() != nil:
				<-db.opts.Gone
			}
			return errors.Join(err, db.pdb.Close())
		})
	}()
	select {
	case err = <-opened:
	case <-db.watch.Stopped():
		db.watch.Quiesce()
		err = db.watch.Failed()
	}
	if err != nil {
		err = errors.Join(err, db.lock.Close())
	}
	return err
}

// checkSequence compares the number that the next write gets with those that the
// tables hold. Pebble takes a damaged end of its own manifest for the end, and
// would then give numbers out a second time; where two of a key meet, in a
// compaction, it panics where nobody can catch it.
func (db *DB) checkSequence() error {
	var next uint64
	var levels [][]pebble.SSTableInfo
	err := db.watch.Do(func() (err error) {
		batch := db.pdb.NewBatch()
		if err = batch.LogData([]byte("opened"), nil); err == nil {
			err = batch.Commit(pebble.Sync)
		}
		if err != nil {
			return err
		}
		next = uint64(batch.SeqNum())
		levels, err = db.pdb.SSTables()
		return errors.Join(err, batch.Close())
	})
	if err != nil {
		return err
	}
	for _, tables := range levels {
		for i := range tables {
			if last := tables[i].LargestSeqNum; uint64(last) >= next {
				return fmt.Errorf("table %s holds write %d, and the next one is %d: the end of Pebble's manifest is lost", tables[i].FileNum, last, next)
			}
		}
	}
	return nil
}

// caught calls fn, of Pebble's, which gives up on some damage by a panic.
func caught(fn func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			err = manifestError(p)
		default:
			err = fmt.Errorf("%v: %w", p, joiner.ErrCorrupt)
		}
	}()
	return manifestError(fn())
}

// manifestError says of an error that is not the file system's that the
// manifest does not verify.
func manifestError(err error) error {
	if err == nil || pebblefs.IsEnvironment(err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, joiner.ErrCorrupt)
}
