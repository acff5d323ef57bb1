package pebble

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/internal/pebblefs"
)

// newWatch makes what keeps Pebble's failures for who calls it next.
func (db *DB) newWatch() *pebblefs.Watch {
	return pebblefs.NewWatch(pebblefs.WatchOptions{
		What: "tiles",
		Explain: func(why error) error {
			if isEnvironment(why) {
				return why
			}
			return fmt.Errorf("%w (start again: they are made anew)", readError(why))
		},
		Noted: func(why error) {
			if errors.Is(why, features.ErrCorrupt) {
				pebblefs.NoteDamage(db.opts.FS, db.dir, why)
			}
		},
		Harmless: func(err error) bool { return errors.Is(err, pebble.ErrClosed) }, // by somebody who is late
	})
}

// checkDamage says that tiles were found damaged while they were in use.
func (db *DB) checkDamage() error {
	text, err := pebblefs.Damage(db.opts.FS, db.dir)
	if err != nil || text == "" {
		return err
	}
	return fmt.Errorf("tiles were found damaged while they were in use (%.300q): %w", text, features.ErrCorrupt)
}

// openPebble opens Pebble, which gives up on some damage by a panic.
func (db *DB) openPebble() (err error) {
	opened := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				opened <- fmt.Errorf("%v: %w", p, features.ErrCorrupt)
			}
		}()
		pdb, err := pebble.Open(db.dir, db.pebbleOptions())
		if err == nil {
			db.pdb = pdb
			db.watch.AtWork()
		}
		opened <- readError(err)
	}()
	select {
	case err := <-opened:
		return err
	case <-db.watch.Stopped():
		db.watch.Quiesce()
		return db.watch.Failed()
	}
}

// logger keeps Pebble's fatal errors for who calls it next.
type logger struct{ db *DB }

func (logger) Infof(string, ...any)              {}
func (logger) Errorf(string, ...any)             {}
func (l logger) Fatalf(text string, args ...any) { l.db.watch.Stand(pebblefs.Fatal(text, args...)) }
