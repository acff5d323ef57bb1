package pebble

import (
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/dimjoin"
)

// A DB is a dimjoin.Journal: its current version takes change streams in. Notes
// and positions belong to the version, so that a table which was filled anew has
// its stream read anew.

// Notes implements dimjoin.Journal.
func (db *DB) Notes(ctx context.Context, keys [][]byte) ([][]byte, error) {
	w := db.Writer()
	notes := make([][]byte, len(keys))
	var place []byte
	for i, key := range keys {
		if i%256 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		place = noteKey(place[:0], w.version, key)
		found, err := db.get(place)
		if err != nil {
			return nil, db.fail("reading", err)
		}
		notes[i] = found
	}
	return notes, nil
}

// Position implements dimjoin.Journal.
func (db *DB) Position(ctx context.Context, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found, err := db.get(positionKey(db.Writer().version, name))
	if err != nil {
		return nil, db.fail("reading", err)
	}
	return found, nil
}

// get returns a copy of a value; nil where there is none.
func (db *DB) get(key []byte) ([]byte, error) {
	found, closer, err := db.pdb.Get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	out := append([]byte{}, found...)
	return slices.Clip(out), closer.Close()
}

// Apply implements dimjoin.Journal.
func (db *DB) Apply(ctx context.Context, c *dimjoin.Commit) error {
	w := db.Writer()
	batch := db.pdb.NewBatch()
	defer func() { _ = batch.Close() }() // it only lets go of memory
	if err := w.fill(ctx, batch, c.Records, 0); err != nil {
		return err
	}
	var place []byte
	for i := range c.Notes {
		n := &c.Notes[i]
		place = noteKey(place[:0], w.version, n.Key)
		err := batch.Delete(place, nil)
		if n.Value != nil {
			err = batch.Set(place, n.Value, nil)
		}
		if err != nil {
			return w.fail(err)
		}
	}
	if err := w.fillPositions(batch, map[string][]byte{c.Name: c.Position}); err != nil {
		return err
	}
	return w.apply(batch)
}
