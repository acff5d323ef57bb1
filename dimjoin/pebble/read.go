package pebble

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Read implements dimjoin.Table. Keys are read in their order, through one iterator.
// When Pebble has stopped, rows are read as they were then.
func (db *DB) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	if len(lookups) == 0 {
		return ctx.Err()
	}
	r := newReading(db, lookups)
	err := db.dir.Do(func(pdb *pebble.DB) error { return r.read(ctx, pdb) })
	if db.dir.Failed() != nil {
		r = newReading(db, lookups) // the other one may be written to still
		err = db.dir.DoFrozen(func(pdb *pebble.DB) error { return r.read(ctx, pdb) })
	}
	if err != nil {
		return db.fail("reading", err)
	}
	for i := range r.lookups {
		found := &r.lookups[i]
		l := &lookups[r.order[i]]
		l.Row, l.FromMS, l.ToMS, l.Err = found.Row, found.FromMS, found.ToMS, found.Err
	}
	return nil
}

// reading is one Read with nothing of it shared with who called it, who may be told
// that Pebble has stopped while this goes on.
type reading struct {
	db      *DB
	order   []int32          // of the caller's lookups
	lookups []dimjoin.Lookup // in the order of their keys, the latest first
	keys    []byte           // theirs
	it      *pebble.Iterator
	version uint32
	key     []byte
}

func newReading(db *DB, lookups []dimjoin.Lookup) *reading {
	r := &reading{db: db, order: make([]int32, len(lookups)), lookups: make([]dimjoin.Lookup, len(lookups))}
	size := 0
	for i := range lookups {
		r.order[i] = int32(i)
		size += len(lookups[i].Key)
	}
	slices.SortFunc(r.order, func(a, b int32) int {
		return cmp.Or(bytes.Compare(lookups[a].Key, lookups[b].Key), cmp.Compare(lookups[b].AsOfMS, lookups[a].AsOfMS))
	})
	r.keys = make([]byte, 0, size)
	for i, at := range r.order {
		from := len(r.keys)
		r.keys = append(r.keys, lookups[at].Key...)
		r.lookups[i] = dimjoin.Lookup{Key: r.keys[from:], AsOfMS: lookups[at].AsOfMS}
	}
	return r
}

func (r *reading) read(ctx context.Context, pdb *pebble.DB) (err error) {
	if err := r.begin(pdb); err != nil {
		return err
	}
	for i := 0; i < len(r.lookups) && err == nil; i++ {
		if i%256 == 0 && ctx.Err() != nil {
			err = ctx.Err()
			break
		}
		err = r.one(&r.lookups[i])
	}
	return errors.Join(err, r.it.Close())
}

// begin makes an iterator over the rows of the version that is current.
func (r *reading) begin(pdb *pebble.DB) (err error) {
	r.db.mu.RLock()
	defer r.db.mu.RUnlock()
	r.version = r.db.versions[r.db.current]
	from, to := span(keepRow, r.version)
	r.it, err = pdb.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	return err
}

// maxNewer bounds how many newer versions of a row are passed over for the sake of
// knowing how long the answer holds.
const maxNewer = 16

func (r *reading) one(l *dimjoin.Lookup) error {
	history := r.db.def.History.Kept()
	if history {
		l.FromMS, l.ToMS = dimjoin.Always, dimjoin.Latest
	}
	r.key = appendRowKey(r.key[:0], r.version, l.Key)
	found := r.seek(dimjoin.Latest)
	if !history {
		if !found {
			return r.it.Error()
		}
		return r.row(l)
	}
	for newer := 0; found; newer++ {
		at := timeOf(r.it.Key())
		if at <= l.AsOfMS {
			l.FromMS = at
			return r.row(l)
		}
		if newer == maxNewer {
			// As far as is known now, the answer holds for this time alone.
			l.FromMS, l.ToMS = l.AsOfMS, l.AsOfMS+1
			if !r.seek(l.AsOfMS) {
				return r.it.Error()
			}
			l.FromMS = timeOf(r.it.Key())
			return r.row(l)
		}
		l.ToMS = at
		found = r.it.Next()
	}
	return r.it.Error()
}

// seek goes to the newest version of the key that is no newer than ms.
func (r *reading) seek(ms int64) bool {
	r.key = appendTime(r.key, ms)
	defer func() { r.key = r.key[:len(r.key)-timeBytes] }()
	return r.it.SeekPrefixGE(r.key)
}

func (r *reading) row(l *dimjoin.Lookup) error {
	value, err := r.it.ValueAndErr()
	if err != nil || len(value) == 0 {
		return err
	}
	if l.Row, l.Err = r.db.packing.Read(value); l.Err != nil {
		l.Row = nil
	}
	return nil
}
