package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
)

// DB is an open state directory: the manifests of all tasks of a process, and a
// folder of segment files for each. Its methods may be called concurrently; each
// Store belongs to one goroutine.
type DB struct {
	dir   string
	opts  Options
	fs    vfs.FS
	pdb   *pebble.DB
	lock  *pebble.Lock
	fatal atomic.Pointer[error] // what ended Pebble's ability to write

	opening atomic.Bool
	gaveUp  chan struct{} // holds one when that happened while opening

	mu   sync.Mutex
	open map[string]*Store
}

// OpenDB opens the state directory dir, making it if it does not exist. An error
// wrapping joiner.ErrCorrupt says that the manifest does not verify; Wipe and a
// rebuild are the way out.
func OpenDB(dir string, opts Options) (*DB, error) {
	opts.EnsureDefaults()
	db := &DB{dir: dir, opts: opts, fs: opts.FS, open: map[string]*Store{}, gaveUp: make(chan struct{}, 1)}
	if err := prepareDir(db.fs, dir); err != nil {
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

// pebbleLogger keeps Pebble's fatal errors for the next commit to return. By
// default Pebble would end the process.
type pebbleLogger struct{ db *DB }

func (pebbleLogger) Infof(string, ...any)  {}
func (pebbleLogger) Errorf(string, ...any) {}
func (l pebbleLogger) Fatalf(format string, args ...any) {
	failed := fatalError{text: fmt.Sprintf(format, args...)}
	for _, arg := range args {
		if cause, ok := arg.(error); ok {
			failed.cause = cause
		}
	}
	var err error = failed
	l.db.fatal.CompareAndSwap(nil, &err)
	if l.db.opening.Load() {
		// Pebble does not expect to come back from here, and would try again and
		// again for ever.
		select {
		case l.db.gaveUp <- struct{}{}:
		default:
		}
		select {}
	}
}

// fatalError is what Pebble gave up for.
type fatalError struct {
	text  string
	cause error
}

func (e fatalError) Error() string { return e.text }
func (e fatalError) Unwrap() error { return e.cause }

// apply writes a batch, all of it or none. After an error nothing can be
// written until the directory is opened again, and whether the batch was
// written is unknown.
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

// get returns a copy of a row, nil when there is none.
func (db *DB) get(key []byte) ([]byte, error) {
	row, closer, err := db.pdb.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, db.readError(err)
	}
	return append([]byte{}, row...), closer.Close()
}

func (db *DB) readError(err error) error {
	if isEnvironment(err) {
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
	batch := db.pdb.NewBatch()
	defer batch.Close()
	if err := errors.Join(batch.Set(taskKey(task), row, nil), batch.Set([]byte{rowNumber}, row, nil)); err != nil {
		return 0, err
	}
	return last + 1, db.apply(batch)
}

// Tasks returns the names of the tasks that have state, in order of name.
func (db *DB) Tasks() ([]string, error) {
	it, err := db.pdb.NewIter(&pebble.IterOptions{LowerBound: []byte{rowTask}, UpperBound: []byte{rowTask + 1}})
	if err != nil {
		return nil, db.readError(err)
	}
	var tasks []string
	for ok := it.First(); ok; ok = it.Next() {
		tasks = append(tasks, string(it.Key()[1:]))
	}
	if err := it.Close(); err != nil {
		return nil, db.readError(err)
	}
	return tasks, nil
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
	batch := db.pdb.NewBatch()
	defer batch.Close()
	if err := errors.Join(batch.Delete(taskKey(task), nil), batch.DeleteRange(storeKey(number), storeKey(number+1), nil)); err != nil {
		return err
	}
	if err := db.apply(batch); err != nil {
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
	if db.fatal.Load() == nil {
		errs = append(errs, db.pdb.Close(), db.lock.Close())
	} // otherwise Pebble may wait for itself for ever, and its goroutines still own the directory
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing state directory %s: %w", db.dir, err)
	}
	return nil
}
