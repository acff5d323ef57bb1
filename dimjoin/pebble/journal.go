package pebble

import (
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/internal/pebblefs"
)

// A DB is a dimjoin.Journal: its current version takes change streams in. Notes
// and positions belong to the version, so that a table which was filled anew has
// its stream read anew.

// Notes implements dimjoin.Journal.
func (db *DB) Notes(ctx context.Context, keys [][]byte) ([][]byte, error) {
	w := db.Writer()
	places := make([][]byte, len(keys)) // which stay ours when Pebble stops, unlike keys
	for i, key := range keys {
		places[i] = noteKey(nil, w.version, key)
	}
	notes := make([][]byte, len(keys))
	err := db.dir.Do(func(pdb *pebble.DB) (err error) {
		for i := 0; i < len(places) && err == nil; i++ {
			if i%256 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			notes[i], err = pebblefs.Get(pdb, places[i])
		}
		return db.dir.ReadError(err)
	})
	if err != nil {
		return nil, db.fail("reading", err)
	}
	return notes, nil
}

// Position implements dimjoin.Journal.
func (db *DB) Position(ctx context.Context, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	found, err := db.dir.Get(positionKey(db.Writer().version, name))
	if err != nil {
		return nil, db.fail("reading", err)
	}
	return found, nil
}

// Apply implements dimjoin.Journal.
func (db *DB) Apply(ctx context.Context, c *dimjoin.Commit) error {
	w := db.Writer()
	batch := db.dir.NewBatch()
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
