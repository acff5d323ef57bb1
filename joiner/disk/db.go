package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/internal/pebblefs"
	"github.com/mortise-dev/mortise/joiner"
)

// DB is an open state directory: the manifests of all tasks of a process, and a
// folder of segment files for each. Its methods may be called concurrently; each
// Store belongs to one goroutine.
type DB struct {
	dir  string
	opts Options
	fs   vfs.FS
	pdb  *pebble.DB
	lock io.Closer

	watch *pebblefs.Watch // over Pebble's files

	mu   sync.Mutex
	open map[string]*Store
}

// OpenDB opens the state directory dir, making it if it does not exist. An error
// wrapping joiner.ErrCorrupt says that the manifest does not verify; Wipe and a
// rebuild are the way out.
func OpenDB(dir string, opts Options) (*DB, error) {
	opts.EnsureDefaults()
	db := &DB{dir: dir, opts: opts, fs: opts.FS, open: map[string]*Store{}}
	db.watch = db.newWatch()
	if err := errors.Join(prepareDir(db.fs, dir), checkDamage(db.fs, dir)); err != nil {
		return nil, advise(fmt.Errorf("opening state directory %s: %w", dir, err))
	}
	if err := db.openPebble(); err != nil {
		return nil, advise(fmt.Errorf("opening the manifest of state directory %s: %w", dir, err))
	}
	if err := db.removeStrays(); err != nil {
		return nil, errors.Join(fmt.Errorf("clearing state directory %s: %w", dir, err), db.Close())
	}
	return db, nil
}

// pebbleLogger keeps Pebble's fatal errors for who calls it next. By default
// Pebble would end the process.
type pebbleLogger struct{ db *DB }

func (pebbleLogger) Infof(string, ...any)  {}
func (pebbleLogger) Errorf(string, ...any) {}
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.db.watch.Stand(pebblefs.Fatal(format, args...)) // Pebble does not expect to come back from here
}

// get returns a copy of a row, nil when there is none.
func (db *DB) get(key []byte) ([]byte, error) {
	var copied []byte
	err := db.watch.Do(func() error {
		row, closer, err := db.pdb.Get(key)
		if err != nil {
			return err
		}
		copied = append([]byte{}, row...)
		return closer.Close()
	})
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, db.readError(err)
	}
	return copied, nil
}

func (db *DB) readError(err error) error {
	if pebblefs.IsEnvironment(err) {
		return fmt.Errorf("reading the manifest in %s: %w", db.dir, err)
	}
	return fmt.Errorf("reading the manifest in %s: %w: %w", db.dir, err, joiner.ErrCorrupt)
}

// number reads a row that holds a store's number, 0 when there is none.
func (db *DB) number(key []byte) (uint64, error) {
	row, err := db.get(key)
	if err != nil || row == nil {
		return 0, err
	}
	if len(row) != 8 {
		return 0, fmt.Errorf("row %q of the manifest in %s: %w", key, db.dir, joiner.ErrCorrupt)
	}
	return binary.LittleEndian.Uint64(row), nil
}

// storeNumber returns the number of the task's store, giving it one if it has none.
func (db *DB) storeNumber(task string) (uint64, error) {
	number, err := db.number(taskKey(task))
	if err != nil || number != 0 {
		return number, err
	}
	last, err := db.number([]byte{rowNumber})
	if err != nil {
		return 0, err
	}
	row := binary.LittleEndian.AppendUint64(nil, last+1)
	return last + 1, db.write(func(batch *pebble.Batch) error {
		return errors.Join(batch.Set(taskKey(task), row, nil), batch.Set([]byte{rowNumber}, row, nil))
	})
}

// Tasks returns the names of the tasks that have state, in order of name.
func (db *DB) Tasks() ([]string, error) {
	var tasks []string
	err := db.scan([]byte{rowTask}, []byte{rowTask + 1}, func(key, _ []byte) error {
		tasks = append(tasks, string(key[1:]))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return tasks, nil
}

// scan calls row for every row from lower to before upper, in order, until the
// first error.
func (db *DB) scan(lower, upper []byte, row func(key, value []byte) error) error {
	var refused error
	err := db.watch.Do(func() error {
		it, err := db.pdb.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			return err
		}
		for ok := it.First(); ok && refused == nil; ok = it.Next() {
			refused = row(it.Key(), it.Value())
		}
		return it.Close()
	})
	if err != nil {
		return db.readError(err)
	}
	return refused
}

// OpenStore opens the state of one task at its last commit, or new if it has
// none. An error wrapping joiner.ErrCorrupt says that it does not verify; Reset
// discards it. A store that holds state keeps the BucketMS it was made with.
func (db *DB) OpenStore(task string, opts joiner.StoreOptions) (*Store, error) {
	opts.EnsureDefaults()
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := checkStoreOptions(&opts); err != nil {
		return nil, fmt.Errorf("opening state of task %q: %w", task, err)
	}
	if db.open[task] != nil {
		return nil, fmt.Errorf("opening state of task %q: it is open already", task)
	}
	s, err := openStore(db, task, opts)
	if err != nil {
		return nil, advise(fmt.Errorf("opening state of task %q in %s: %w", task, db.dir, err))
	}
	db.open[task] = s
	return s, nil
}

// Reset discards the state of one task, which must not be open.
func (db *DB) Reset(task string) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.open[task] != nil {
		return fmt.Errorf("discarding state of task %q: it is open", task)
	}
	if err := db.discard(task); err != nil {
		return fmt.Errorf("discarding state of task %q in %s: %w", task, db.dir, err)
	}
	return nil
}

func (db *DB) discard(task string) error {
	number, err := db.number(taskKey(task))
	if err != nil || number == 0 {
		return err
	}
	err = db.write(func(batch *pebble.Batch) error {
		return errors.Join(batch.Delete(taskKey(task), nil), batch.DeleteRange(storeKey(number), storeKey(number+1), nil))
	})
	if err != nil {
		return err
	}
	return removeStore(db.fs, db.taskDir(task, number))
}

// Close closes the directory and every store that is still open, without
// committing.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	var errs []error
	for _, s := range db.open {
		errs = append(errs, s.close())
	}
	clear(db.open)
	if db.watch.Failed() != nil && db.opts.Gone != nil {
		go func() {
			<-db.opts.Gone
			_ = db.pdb.Close() // so that none of its goroutines is left
		}()
	}
	if db.watch.Failed() == nil {
		errs = append(errs, db.watch.Do(db.pdb.Close))
	}
	if db.watch.Failed() != nil {
		db.watch.Quiesce()
	}
	errs = append(errs, db.lock.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing state directory %s: %w", db.dir, err)
	}
	return nil
}
