package pebble

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/internal/pebblefs"
)

// Rows, by the first byte of their keys.
const (
	rowFormat   = 'f' // → the format of all rows
	rowNumber   = 'n' // uvarint length of scope, scope, name → uvarint number
	rowPosition = 'p' // task → position
	rowChunk    = 't' // features.Key → chunk
)

const format = "1"

// DB is an open directory of tiles: a features.Store.
type DB struct {
	path string
	dir  *pebblefs.Directory

	mu        sync.Mutex
	numbers   map[string]map[string]uint32
	positions map[string][]byte
}

// Open opens the tiles in dir, making it if it does not exist. An error that wraps
// features.ErrCorrupt says that they do not verify: Wipe and reading the sources
// again is the way out.
func Open(dir string, opts Options) (*DB, error) {
	db := &DB{path: dir, numbers: map[string]map[string]uint32{}, positions: map[string][]byte{}}
	if err := db.open(opts); err != nil {
		return nil, fmt.Errorf("opening the feature store in %s: %w", dir, err)
	}
	return db, nil
}

func (db *DB) open(opts Options) (err error) {
	if db.dir, err = pebblefs.OpenDirectory(db.path, opts.directory()); err != nil {
		return err
	}
	if err := db.load(); err != nil {
		return errors.Join(err, db.dir.Close())
	}
	return nil
}

// load reads the rows that are kept in memory.
func (db *DB) load() error {
	if err := db.dir.CheckFormat([]byte{rowFormat}, format); err != nil {
		return err
	}
	return db.dir.Scan([]byte{rowNumber}, []byte{rowPosition + 1}, db.loadRow)
}

func (db *DB) loadRow(key, value []byte) error {
	if key[0] == rowPosition {
		db.positions[string(key[1:])] = slices.Clone(value)
		return nil
	}
	size, n := binary.Uvarint(key[1:])
	number, m := binary.Uvarint(value)
	if key[0] != rowNumber || n <= 0 || m != len(value) || size > uint64(len(key)-1-n) {
		return fmt.Errorf("row %q: %w", key, features.ErrCorrupt)
	}
	scope, name := key[1+n:1+n+int(size)], key[1+n+int(size):]
	db.scope(string(scope))[string(name)] = uint32(number)
	return nil
}

func (db *DB) scope(scope string) map[string]uint32 {
	if db.numbers[scope] == nil {
		db.numbers[scope] = map[string]uint32{}
	}
	return db.numbers[scope]
}

// Numbers implements features.Store.
func (db *DB) Numbers(_ context.Context, scope string, names []string) ([]uint32, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	known := db.scope(scope)
	batch := db.dir.NewBatch()
	out, made := make([]uint32, len(names)), map[string]uint32{}
	for i, name := range names {
		number, ok := known[name]
		if !ok {
			if number, ok = made[name]; !ok {
				number = uint32(len(known) + len(made))
				made[name] = number
				key := binary.AppendUvarint([]byte{rowNumber}, uint64(len(scope)))
				if err := batch.Set(append(append(key, scope...), name...), binary.AppendUvarint(nil, uint64(number)), nil); err != nil {
					return nil, errors.Join(err, batch.Close())
				}
			}
		}
		out[i] = number
	}
	if len(made) == 0 {
		return out, batch.Close()
	}
	if err := db.apply(batch); err != nil {
		return nil, fmt.Errorf("writing to the feature store in %s: %w", db.path, err)
	}
	for name, number := range made {
		known[name] = number
	}
	return out, nil
}

// Positions implements features.Store.
func (db *DB) Positions(context.Context) (map[string][]byte, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	out := make(map[string][]byte, len(db.positions))
	for task, p := range db.positions {
		out[task] = slices.Clone(p)
	}
	return out, nil
}

// Read implements features.Store. Keys in order are read the fastest.
func (db *DB) Read(ctx context.Context, keys []features.Key, fn func(i int, chunk []byte) error) error {
	return db.dir.Do(func(pdb *pebble.DB) error { return db.read(ctx, pdb, keys, fn) })
}

func (db *DB) read(ctx context.Context, pdb *pebble.DB, keys []features.Key, fn func(i int, chunk []byte) error) error {
	it, err := pdb.NewIter(&pebble.IterOptions{LowerBound: []byte{rowChunk}, UpperBound: []byte{rowChunk + 1}})
	if err != nil {
		return fmt.Errorf("reading the feature store in %s: %w", db.path, db.dir.ReadError(err))
	}
	key := make([]byte, 0, 300)
	for i := range keys {
		if i%256 == 0 && ctx.Err() != nil {
			return errors.Join(ctx.Err(), it.Close())
		}
		key = keys[i].Append(append(key[:0], rowChunk))
		if !it.SeekPrefixGE(key) {
			if err := it.Error(); err != nil {
				return fmt.Errorf("reading the feature store in %s: %w", db.path, db.dir.ReadError(errors.Join(err, it.Close())))
			}
			continue
		}
		if err := fn(i, it.Value()); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("reading the feature store in %s: %w", db.path, db.dir.ReadError(err))
	}
	return nil
}

// Commit implements features.Store.
func (db *DB) Commit(ctx context.Context, c *features.Commit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	batch := db.dir.NewBatchWithSize(batchBytes(c))
	if err := fill(batch, c); err != nil {
		return fmt.Errorf("writing to the feature store in %s: %w", db.path, errors.Join(err, batch.Close()))
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if !bytes.Equal(db.positions[c.Task], c.Before) {
		return errors.Join(features.ErrFenced, batch.Close())
	}
	if err := db.apply(batch); err != nil {
		return fmt.Errorf("writing to the feature store in %s: %w", db.path, err)
	}
	if c.After == nil {
		delete(db.positions, c.Task)
	} else {
		db.positions[c.Task] = slices.Clone(c.After)
	}
	return nil
}

func batchBytes(c *features.Commit) int {
	bytes := 1 << 10
	for i := range c.Chunks {
		bytes += len(c.Chunks[i].Data) + len(c.Chunks[i].Key.Entity) + 24
	}
	return bytes
}

func fill(batch *pebble.Batch, c *features.Commit) error {
	key := make([]byte, 0, 300)
	for i := range c.Chunks {
		key = c.Chunks[i].Key.Append(append(key[:0], rowChunk))
		if err := batch.Merge(key, c.Chunks[i].Data, nil); err != nil {
			return err
		}
	}
	for i := range c.Drop {
		from, to := bounds(c.Shard, &c.Drop[i])
		if err := batch.DeleteRange(from, to, nil); err != nil {
			return err
		}
	}
	position := append([]byte{rowPosition}, c.Task...)
	if c.After == nil {
		return batch.Delete(position, nil)
	}
	return batch.Set(position, c.After, nil)
}

// bounds are the first key of a range and the first behind it.
func bounds(shard uint16, r *features.Range) (from, to []byte) {
	first := features.Key{Shard: shard, Group: r.Group, Level: r.Level, Chunk: -1 << 31}
	last := first
	last.Chunk = r.Before
	if r.All {
		from = binary.BigEndian.AppendUint16([]byte{rowChunk}, shard)
		if to = binary.BigEndian.AppendUint16([]byte{rowChunk}, shard+1); shard+1 == 0 {
			to = []byte{rowChunk + 1}
		}
		return from, to
	}
	return first.Append([]byte{rowChunk}), last.Append([]byte{rowChunk})
}

// apply writes a batch, all of it or none, and closes it. After an error nothing
// can be written until the directory is opened again, and whether the batch was is
// unknown.
func (db *DB) apply(batch *pebble.Batch) error {
	if err := db.dir.Commit(batch); err != nil {
		return err // and the batch may be Pebble's still
	}
	return batch.Close()
}

// DiskBytes is what the directory takes on disk.
func (db *DB) DiskBytes() int64 { return db.dir.DiskBytes() }

// Flush writes what was committed to tables.
func (db *DB) Flush() error {
	if err := db.dir.Flush(); err != nil {
		return fmt.Errorf("flushing the feature store in %s: %w", db.path, err)
	}
	return nil
}

// Close closes the directory.
func (db *DB) Close() error {
	if err := db.dir.Close(); err != nil {
		return fmt.Errorf("closing the feature store in %s: %w", db.path, err)
	}
	return nil
}
