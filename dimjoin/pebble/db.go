package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/dimjoin"
)

// DB is an open table: a dimjoin.Table, and dimjoin.Versioned.
type DB struct {
	def     *dimjoin.Definition
	opts    Options
	packing *dimjoin.Packing
	lock    *pebble.Lock
	pdb     *pebble.DB
	fatal   atomic.Pointer[error] // what ended Pebble's ability to write

	mu       sync.RWMutex      // a read sees one version and all of it: held while it begins
	current  string            // the version that is read; empty: version 0, which has no name
	versions map[string]uint32 // by name, the current one too
}

// Open opens the table of a dimension, in the directory that its store names. One
// process at a time has it open.
func Open(ctx context.Context, def *dimjoin.Definition, opts Options) (*DB, error) {
	opts.EnsureDefaults()
	db := &DB{def: def, opts: opts, versions: map[string]uint32{"": 0}}
	if err := db.open(ctx); err != nil {
		return nil, fmt.Errorf("opening the dimension %s in %s: %w", def.Name, def.Store.Path, err)
	}
	return db, nil
}

func (db *DB) open(ctx context.Context) (err error) {
	if err := errors.Join(ctx.Err(), db.def.History.Check()); err != nil {
		return err
	}
	if db.packing, err = dimjoin.NewPacking(db.def.Fields); err != nil {
		return err
	}
	dir := db.def.Store.Path
	if _, err := db.opts.FS.Stat(dir); errors.Is(err, fs.ErrNotExist) && !db.opts.Create {
		return errors.New("there is no table: fill it with mortise load")
	}
	if err := db.opts.FS.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if db.lock, err = pebble.LockDirectory(dir, db.opts.FS); err != nil {
		return fmt.Errorf("another process may have it open, such as a run or mortise load, and only one can: %w", err)
	}
	if !db.opts.Create {
		if desc, err := pebble.Peek(dir, db.opts.FS); err == nil && !desc.Exists {
			return errors.Join(errors.New("there is no table in this directory: fill it with mortise load"), db.lock.Close())
		}
	}
	if db.pdb, err = openPebble(dir, db.pebbleOptions()); err != nil {
		return errors.Join(err, db.lock.Close())
	}
	if err := db.load(); err != nil {
		return errors.Join(err, db.Close())
	}
	return nil
}

// openPebble opens Pebble, which gives up on some damage by a panic.
func openPebble(dir string, opts *pebble.Options) (pdb *pebble.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it is damaged: %v", p)
		}
	}()
	pdb, err = pebble.Open(dir, opts)
	if err != nil && strings.Contains(err.Error(), "comparer name from file") { // it has no error of its own
		return nil, fmt.Errorf("another version of Mortise made it, or another program: fill a new directory with mortise load (%w)", err)
	}
	return pdb, err
}

// load reads the format and the versions.
func (db *DB) load() error {
	found, closer, err := db.pdb.Get([]byte{keepFormat})
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return db.pdb.Set([]byte{keepFormat}, []byte(format), pebble.Sync)
	case err != nil:
		return err
	}
	known := string(found) == format
	text := string(found)
	if err := closer.Close(); err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("it has format %q, and this version reads %q: fill it again, or use the version that made it", text, format)
	}
	if found, closer, err = db.pdb.Get([]byte{keepCurrent}); err == nil {
		db.current = string(found)
		err = closer.Close()
	}
	if err != nil && !errors.Is(err, pebble.ErrNotFound) {
		return err
	}
	it, err := db.pdb.NewIter(&pebble.IterOptions{LowerBound: []byte{keepVersion}, UpperBound: []byte{keepVersion + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if len(it.Value()) != 4 {
			return errors.Join(fmt.Errorf("version %q is damaged", it.Key()[1:]), it.Close())
		}
		db.versions[string(it.Key()[1:])] = binary.BigEndian.Uint32(it.Value())
	}
	if err := it.Close(); err != nil {
		return err
	}
	if _, ok := db.versions[db.current]; !ok {
		return fmt.Errorf("the current version %q is not there", db.current)
	}
	return nil
}

// apply writes a batch, all of it or none. After an error of Pebble's nothing can be
// written until the directory is opened again, and whether the batch was is unknown.
func (db *DB) apply(batch *pebble.Batch) (err error) {
	if failed := db.fatal.Load(); failed != nil {
		return *failed
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
			db.fatal.CompareAndSwap(nil, &err)
		}
	}()
	if err := batch.Commit(pebble.Sync); err != nil {
		return err
	}
	if failed := db.fatal.Load(); failed != nil {
		return *failed
	}
	return nil
}

// fail says what could not be done, and where.
func (db *DB) fail(doing string, err error) error {
	return fmt.Errorf("%s the dimension %s in %s: %w", doing, db.def.Name, db.def.Store.Path, err)
}

// DiskBytes is what the directory takes on disk.
func (db *DB) DiskBytes() int64 { return int64(db.pdb.Metrics().DiskSpaceUsage()) }

// Close implements dimjoin.Table.
func (db *DB) Close() error {
	var err error
	if db.fatal.Load() == nil { // otherwise Pebble may wait for itself for ever
		err = errors.Join(db.pdb.Close(), db.lock.Close())
	}
	if err != nil {
		return db.fail("closing", err)
	}
	return nil
}

// logger keeps Pebble's fatal errors for the next write to return. By default
// Pebble would end the process.
type logger struct{ db *DB }

func (logger) Infof(string, ...any)  {}
func (logger) Errorf(string, ...any) {}
func (l logger) Fatalf(text string, args ...any) {
	err := fmt.Errorf(text, args...)
	l.db.fatal.CompareAndSwap(nil, &err)
}
