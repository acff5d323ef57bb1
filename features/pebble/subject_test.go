package pebble_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/pebble"
	"github.com/mortise-dev/mortise/internal/pebblefs/pebblefstest"
)

var history = featurestest.History{Task: "t"}

// subject commits the history.
var subject = &pebblefstest.Subject{
	Dir: "/features",
	Open: func(fs vfs.FS, sync bool) (pebblefstest.Writer, error) {
		db, err := pebble.Open("/features", pebble.Options{FS: fs, Sync: sync, MemTableBytes: 16 << 10})
		if err != nil {
			return nil, err
		}
		w, _, err := history.Writer(db)
		return committer{db, w}, err
	},
	Check:   func(fs vfs.FS) (int, error) { return checkHistory("/features", pebble.Options{FS: fs}) },
	Corrupt: func(err error) bool { return errors.Is(err, features.ErrCorrupt) },
}

type committer struct {
	*pebble.DB
	w *features.Writer
}

func (c committer) Write(n int) error { return history.Commit(c.w, n) }

func (c committer) Use() error {
	err := c.Read(context.Background(), []features.Key{{Entity: []byte("i0")}}, func(int, []byte) error { return nil })
	_, another := c.Numbers(context.Background(), "s", []string{"new"})
	if err == nil || another == nil {
		return fmt.Errorf("a store that has stopped is read: %w, written: %w", err, another)
	}
	return nil
}

// checkHistory opens what a crash left and returns the commit that it is at.
func checkHistory(dir string, opts pebble.Options) (commit int, err error) {
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return 0, err
	}
	commit, err = history.Check(db)
	return commit, errors.Join(err, db.Close())
}
