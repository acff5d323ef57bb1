package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
)

// Pebble does not expect that a write fails. It ends the process then, by way of
// its logger or by a panic on a goroutine of its own, where nobody can catch it;
// a compaction that fails it tries again at once, for ever. So it does not get to
// see such a failure: the goroutine that meets one notes it and stands still from
// there on, whatever it holds. What may wait for that is called by way of do,
// which returns as soon as something is noted.

// stop notes why Pebble cannot go on. The first reason stays.
func (db *DB) stop(why error) {
	if !isEnvironment(why) {
		why = fmt.Errorf("%w: %w (start again: it is rebuilt)", why, joiner.ErrCorrupt)
	}
	if !db.fatal.CompareAndSwap(nil, &why) {
		return
	}
	if errors.Is(why, joiner.ErrCorrupt) {
		db.noteDamage(why)
	}
	close(db.stopped)
}

// stand is stop on a goroutine that must not go on. It returns in simulations
// only, when nothing that is done any more has an effect.
func (db *DB) stand(why error) {
	db.stop(why)
	<-db.opts.Gone
}

// failed returns why Pebble has stopped, nil while it has not.
func (db *DB) failed() error {
	if why := db.fatal.Load(); why != nil {
		return *why
	}
	return nil
}

// do calls fn, which calls Pebble. When Pebble stops it returns the reason, and
// what fn works on is not the caller's any more.
func (db *DB) do(fn func() error) error {
	if err := db.failed(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		defer func() {
			switch p := recover().(type) {
			case nil:
			case error:
				if errors.Is(p, pebble.ErrClosed) { // by somebody who is late, which says nothing of the directory
					done <- p
					return
				}
				db.stop(p)
			default:
				db.stop(fmt.Errorf("%v", p))
			}
		}()
		done <- fn()
	}()
	select {
	case err := <-done:
		return errors.Join(err, db.failed())
	case <-db.stopped:
		return db.failed()
	}
}

// write writes what fill puts into a batch, all of it or none. After an error
// nothing can be written until the directory is opened again, and whether the
// batch was written is unknown.
func (db *DB) write(fill func(*pebble.Batch) error) error {
	batch := db.pdb.NewBatch()
	if err := fill(batch); err != nil {
		return errors.Join(err, batch.Close())
	}
	if err := db.do(func() error { return batch.Commit(pebble.Sync) }); err != nil {
		return err // and the batch may be Pebble's still
	}
	return batch.Close()
}

// damagedFile says that the manifest was found damaged while it was in use: it
// cannot be gone on from, though it may open well enough.
const damagedFile = "DAMAGED"

// noteDamage leaves word for the next opening, if it can.
func (db *DB) noteDamage(why error) {
	f, err := db.fs.Create(db.fs.PathJoin(db.dir, damagedFile), writeCategory)
	if err != nil {
		return
	}
	_, _ = f.Write([]byte(why.Error() + "\n")) // that it is there says enough
	_, _ = f.Sync(), f.Close()
}

// checkDamage returns what noteDamage left.
func checkDamage(fsys vfs.FS, dir string) error {
	f, err := fsys.Open(fsys.PathJoin(dir, damagedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, 1<<10))
	return fmt.Errorf("it was found damaged while it was in use (%.300q): %w", text, joiner.ErrCorrupt)
}
