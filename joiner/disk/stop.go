package disk

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/internal/pebblefs"
	"github.com/mortise-dev/mortise/joiner"
)

// newWatch makes what keeps Pebble's failures for who calls it next.
func (db *DB) newWatch() *pebblefs.Watch {
	return pebblefs.NewWatch(pebblefs.WatchOptions{
		What: "the manifest",
		Explain: func(why error) error {
			if pebblefs.IsEnvironment(why) {
				return why
			}
			return fmt.Errorf("%w: %w (start again: it is rebuilt)", why, joiner.ErrCorrupt)
		},
		Noted: func(why error) {
			if errors.Is(why, joiner.ErrCorrupt) {
				pebblefs.NoteDamage(db.fs, db.dir, why)
			}
		},
		Harmless: func(err error) bool { return errors.Is(err, pebble.ErrClosed) }, // by somebody who is late
		Gone:     db.opts.Gone,
	})
}

// write writes what fill puts into a batch, all of it or none. After an error
// nothing can be written until the directory is opened again, and whether the
// batch was written is unknown.
func (db *DB) write(fill func(*pebble.Batch) error) error {
	batch := db.pdb.NewBatch()
	if err := fill(batch); err != nil {
		return errors.Join(err, batch.Close())
	}
	if err := db.watch.Do(func() error { return batch.Commit(pebble.Sync) }); err != nil {
		return err // and the batch may be Pebble's still
	}
	return batch.Close()
}

// checkDamage says that the manifest was found damaged while it was in use: it
// cannot be gone on from, though it may open well enough.
func checkDamage(fsys vfs.FS, dir string) error {
	text, err := pebblefs.Damage(fsys, dir)
	if err != nil || text == "" {
		return err
	}
	return fmt.Errorf("it was found damaged while it was in use (%.300q): %w", text, joiner.ErrCorrupt)
}
