package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/internal/pebblefs"
)

// DB is an open table: a dimjoin.Table, and dimjoin.Versioned.
type DB struct {
	def     *dimjoin.Definition
	opts    Options
	packing *dimjoin.Packing
	dir     *pebblefs.Directory

	mu       sync.RWMutex      // a read sees one version and all of it: held while it begins
	current  string            // the version that is read; empty: version 0, which has no name
	versions map[string]uint32 // by name, the current one too
}

// Open opens the table of a dimension, in the directory that its store names. One
// process at a time has it open. An error that wraps ErrCorrupt says that it does not
// verify.
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
	if !db.opts.Create {
		if err := db.checkThere(); err != nil {
			return err
		}
	}
	if db.dir, err = pebblefs.OpenDirectory(db.def.Store.Path, db.opts.directory()); err != nil {
		return err
	}
	if err := db.load(); err != nil {
		return errors.Join(err, db.dir.Close())
	}
	return nil
}

// checkThere says that nobody has filled the table.
func (db *DB) checkThere() error {
	dir := db.def.Store.Path
	if _, err := db.opts.FS.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is no table: fill it with mortise load")
	}
	if desc, err := pebble.Peek(dir, db.opts.FS); err == nil && !desc.Exists {
		return errors.New("there is no table in this directory: fill it with mortise load")
	}
	return nil
}

// load reads the format and the versions.
func (db *DB) load() error {
	if err := db.dir.CheckFormat([]byte{keepFormat}, format); err != nil {
		return err
	}
	current, err := db.dir.Get([]byte{keepCurrent})
	if err != nil {
		return err
	}
	db.current = string(current)
	err = db.dir.Scan([]byte{keepVersion}, []byte{keepVersion + 1}, func(name, number []byte) error {
		if len(number) != 4 {
			return fmt.Errorf("version %q: %w", name[1:], ErrCorrupt)
		}
		db.versions[string(name[1:])] = binary.BigEndian.Uint32(number)
		return nil
	})
	if err != nil {
		return err
	}
	if _, ok := db.versions[db.current]; !ok {
		return fmt.Errorf("the current version %q is not there: %w", db.current, ErrCorrupt)
	}
	return nil
}

// fail says what could not be done, and where.
func (db *DB) fail(doing string, err error) error {
	return fmt.Errorf("%s the dimension %s in %s: %w", doing, db.def.Name, db.def.Store.Path, err)
}

// DiskBytes is what the directory takes on disk.
func (db *DB) DiskBytes() int64 { return db.dir.DiskBytes() }

// Close implements dimjoin.Table.
func (db *DB) Close() error {
	if err := db.dir.Close(); err != nil {
		return db.fail("closing", err)
	}
	return nil
}
