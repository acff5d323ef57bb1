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
func (db *DB) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	if len(lookups) == 0 {
		return ctx.Err()
	}
	order := make([]int32, len(lookups))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(bytes.Compare(lookups[a].Key, lookups[b].Key), cmp.Compare(lookups[b].AsOfMS, lookups[a].AsOfMS))
	})
	it, version, err := db.iterator()
	if err != nil {
		return db.fail("reading", err)
	}
	r := reader{db: db, it: it, version: version}
	for n, i := range order {
		if n%256 == 0 && ctx.Err() != nil {
			err = ctx.Err()
			break
		}
		if err = r.read(&lookups[i]); err != nil {
			break
		}
	}
	if err = errors.Join(err, it.Close()); err != nil {
		return db.fail("reading", err)
	}
	return nil
}

// iterator is one over the rows of the version that is current.
func (db *DB) iterator() (*pebble.Iterator, uint32, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	version := db.versions[db.current]
	from, to := span(keepRow, version)
	it, err := db.pdb.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	return it, version, err
}

type reader struct {
	db      *DB
	it      *pebble.Iterator
	version uint32
	key     []byte
}

// maxNewer bounds how many newer versions of a row are passed over for the sake of
// knowing how long the answer holds.
const maxNewer = 16

func (r *reader) read(l *dimjoin.Lookup) error {
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
func (r *reader) seek(ms int64) bool {
	r.key = appendTime(r.key, ms)
	defer func() { r.key = r.key[:len(r.key)-timeBytes] }()
	return r.it.SeekPrefixGE(r.key)
}

func (r *reader) row(l *dimjoin.Lookup) error {
	value, err := r.it.ValueAndErr()
	if err != nil || len(value) == 0 {
		return err
	}
	if l.Row, l.Err = r.db.packing.Read(value); l.Err != nil {
		l.Row = nil
	}
	return nil
}
