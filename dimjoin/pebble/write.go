package pebble

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Writer writes one version of the table: a dimjoin.Writer. Several goroutines may
// use it at once.
type Writer struct {
	db      *DB
	version uint32
	name    string
}

// Writer writes the version that is current now.
func (db *DB) Writer() *Writer {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return &Writer{db, db.versions[db.current], db.current}
}

// batchBytes is at which size of it a batch is written.
const batchBytes = 4 << 20

// Write implements dimjoin.Writer.
func (w *Writer) Write(ctx context.Context, records []dimjoin.Record) error {
	return w.write(ctx, records, nil, batchBytes)
}

// WriteAt puts records and positions of where they came from, by name, all at
// once: after a crash either both are there, or neither. A position that is nil is
// forgotten. Positions belong to the version that is written.
func (w *Writer) WriteAt(ctx context.Context, records []dimjoin.Record, positions map[string][]byte) error {
	return w.write(ctx, records, positions, 0)
}

func (w *Writer) write(ctx context.Context, records []dimjoin.Record, positions map[string][]byte, batchBytes int) error {
	batch := w.db.dir.NewBatch()
	if err := w.fill(ctx, batch, records, batchBytes); err != nil {
		return err
	}
	if err := w.fillPositions(batch, positions); err != nil {
		return err
	}
	return w.apply(batch)
}

// fill puts records into a batch, which is written whenever it is larger than
// mostBytes; 0 never is.
func (w *Writer) fill(ctx context.Context, batch *pebble.Batch, records []dimjoin.Record, mostBytes int) error {
	var key, row []byte
	for i := range records {
		if i%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		r := &records[i]
		at := dimjoin.Always
		if w.db.def.History.Kept() {
			at = r.FromMS
		}
		key = appendTime(appendRowKey(key[:0], w.version, r.Key), at)
		if row = row[:0]; r.Row != nil {
			row = w.db.packing.Append(row, r.Row)
		}
		if err := batch.Set(key, row, nil); err != nil {
			return w.fail(err)
		}
		if mostBytes > 0 && batch.Len() > mostBytes {
			if err := w.apply(batch); err != nil {
				return err
			}
			batch.Reset()
		}
	}
	return nil
}

func (w *Writer) fillPositions(batch *pebble.Batch, positions map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(positions)) {
		err := batch.Delete(positionKey(w.version, name), nil)
		if positions[name] != nil {
			err = batch.Set(positionKey(w.version, name), positions[name], nil)
		}
		if err != nil {
			return w.fail(err)
		}
	}
	return nil
}

// apply writes a batch if its version is still there.
func (w *Writer) apply(batch *pebble.Batch) error {
	w.db.mu.RLock()
	defer w.db.mu.RUnlock()
	if number, ok := w.db.versions[w.name]; !ok || number != w.version {
		return w.fail(errors.New("it was dropped"))
	}
	if err := w.db.dir.Commit(batch); err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *Writer) fail(err error) error {
	if w.name == "" {
		return w.db.fail("writing to", err)
	}
	return w.db.fail(fmt.Sprintf("writing version %s of", w.name), err)
}

// Positions are those that were written, by name.
func (w *Writer) Positions(ctx context.Context) (map[string][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	from, to := span(keepPosition, w.version)
	out := map[string][]byte{}
	err := w.db.dir.Scan(from, to, func(key, position []byte) error {
		out[string(key[len(from):])] = slices.Clone(position)
		return nil
	})
	if err != nil {
		return nil, w.db.fail("reading", err)
	}
	return out, nil
}

// Close implements dimjoin.Writer. The table stays open.
func (w *Writer) Close() error { return nil }

// Current implements dimjoin.Versioned.
func (db *DB) Current(context.Context) (string, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.current, nil
}

// Prepare implements dimjoin.Versioned. The Writer is a *Writer.
func (db *DB) Prepare(ctx context.Context, version string) (dimjoin.Writer, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if version == "" || ctx.Err() != nil {
		return nil, db.fail("preparing a version of", cmp.Or(ctx.Err(), errors.New("it has no name")))
	}
	number, ok := db.versions[version]
	if !ok {
		for _, taken := range db.versions {
			number = max(number, taken)
		}
		number++
		batch := db.dir.NewBatch()
		if err := db.fillVersion(batch, version, number); err != nil {
			return nil, db.fail("preparing version "+version+" of", err)
		}
		db.versions[version] = number
	}
	return &Writer{db, number, version}, nil
}

// fillVersion notes a version, of which there are no rows, not even from before.
func (db *DB) fillVersion(batch *pebble.Batch, version string, number uint32) error {
	if err := db.deleteRows(batch, number); err != nil {
		return err
	}
	if err := batch.Set(append([]byte{keepVersion}, version...), binary.BigEndian.AppendUint32(nil, number), nil); err != nil {
		return err
	}
	return db.dir.Commit(batch)
}

func (db *DB) deleteRows(batch *pebble.Batch, number uint32) error {
	for _, kind := range []byte{keepRow, keepPosition, keepNote} {
		from, to := span(kind, number)
		if err := batch.DeleteRange(from, to, nil); err != nil {
			return err
		}
	}
	return nil
}

// Switch implements dimjoin.Versioned. What was written of the version is on disk
// before it is read.
func (db *DB) Switch(ctx context.Context, version string) error {
	doing := "switching to version " + version + " of"
	if err := ctx.Err(); err != nil {
		return db.fail(doing, err)
	}
	if err := db.dir.Flush(); err != nil {
		return db.fail(doing, err)
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if _, ok := db.versions[version]; !ok || version == "" {
		return db.fail(doing, errors.New("it was never filled"))
	}
	batch := db.dir.NewBatch()
	if err := batch.Set([]byte{keepCurrent}, []byte(version), nil); err != nil {
		return db.fail(doing, err)
	}
	if err := db.dir.Commit(batch); err != nil {
		return db.fail(doing, err)
	}
	db.current = version
	return nil
}

// Drop implements dimjoin.Versioned.
func (db *DB) Drop(ctx context.Context, version string) error {
	doing := "dropping version " + version + " of"
	db.mu.Lock()
	defer db.mu.Unlock()
	number, ok := db.versions[version]
	switch {
	case ctx.Err() != nil:
		return db.fail(doing, ctx.Err())
	case version == db.current:
		return db.fail(doing, errors.New("it is the one that is read: switch to another first"))
	case !ok:
		return nil
	}
	batch := db.dir.NewBatch()
	err := db.deleteRows(batch, number)
	if err == nil && version != "" {
		err = batch.Delete(append([]byte{keepVersion}, version...), nil)
	}
	if err == nil {
		err = db.dir.Commit(batch)
	}
	if err != nil {
		return db.fail(doing, err)
	}
	if version != "" {
		delete(db.versions, version)
	}
	return nil
}
