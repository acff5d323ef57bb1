package disk

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/segment"
)

// record writes a changed file's row, and the index of its new blocks.
func (s *Store) record(batch *pebble.Batch, f *file, h *head) error {
	s.key = appendIndexKey(s.key[:0], s.number, f.number, uint32(f.committed))
	s.row = segment.AppendIndex(s.row[:0], f.index[f.committed:])
	if err := batch.Set(s.key, s.row, nil); err != nil {
		return err
	}
	if f.committed == 0 {
		h.files++
	}
	h.digest -= f.digest
	f.digest += rowDigest(s.key, s.row) - f.rowDigest

	s.key = appendFileKey(s.key[:0], s.number, f.number)
	s.row = appendFileRow(s.row[:0], f)
	if err := batch.Set(s.key, s.row, nil); err != nil {
		return err
	}
	f.rowDigest = rowDigest(s.key, s.row)
	f.digest += f.rowDigest
	h.digest += f.digest
	f.committed, f.dirty = len(f.index), false
	return nil
}

// forget deletes the rows of a dropped file, if it has any.
func (s *Store) forget(batch *pebble.Batch, f *file, h *head) error {
	if f.committed == 0 {
		return nil
	}
	h.files--
	h.digest -= f.digest
	first := appendIndexKey(nil, s.number, f.number, 0)
	end := appendIndexKey(nil, s.number, f.number+1, 0)
	return errors.Join(batch.Delete(appendFileKey(nil, s.number, f.number), nil), batch.DeleteRange(first, end, nil))
}

// openStore reads a task's manifest and checks its files against it.
func openStore(db *DB, task string, opts joiner.StoreOptions) (*Store, error) {
	number, err := db.storeNumber(task)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, task: task, number: number, dir: db.taskDir(task, number), opts: opts, opening: newOpening(), nextFile: 1}
	s.handles.init(db.fs, s.dir, db.opts.OpenFiles)
	if err := db.fs.MkdirAll(s.dir, 0o777); err != nil {
		return nil, err
	}
	if db.opts.Sync {
		if err := syncDir(db.fs, db.fs.PathDir(s.dir)); err != nil {
			return nil, err
		}
	}
	row, err := db.get(headKey(number))
	if err != nil {
		return nil, err
	}
	if row != nil {
		if s.head, err = parseHead(row); err != nil {
			return nil, err
		}
		s.nextFile = s.head.nextFile
		if s.head.files > 0 {
			s.opts.BucketMS, s.opts.CoarseMS = s.head.bucketMS, s.head.coarseMS
		}
	}
	for kind := range s.logs {
		s.logs[kind].init(s, joiner.LogKind(kind))
	}
	if err := s.loadFiles(); err != nil {
		return nil, err
	}
	if err := s.checkFiles(); err != nil {
		return nil, errors.Join(err, s.handles.closeAll())
	}
	return s, nil
}

// loadFiles reads the manifest's rows, which the head's digest must vouch for.
func (s *Store) loadFiles() error {
	prefix := storeKey(s.number)
	l := loader{s: s, files: map[uint32]*loading{}}
	err := s.db.scan(append(prefix, rowFile), storeKey(s.number+1), l.row)
	if err == nil {
		if err = l.finish(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("reading the manifest in %s: %w", s.db.dir, err)
}

// loader builds the buckets from the manifest's rows. Rows of files come before
// rows of blocks.
type loader struct {
	s      *Store
	files  map[uint32]*loading
	digest uint64
}

// loading is a file whose blocks are not all read yet.
type loading struct {
	*file
	row fileRow
}

func (l *loader) row(key, value []byte) error {
	tail := key[len(storeKey(0)):]
	digest := rowDigest(key, value)
	switch {
	case tail[0] == rowHead:
		return nil
	case tail[0] == rowFile && len(tail) == 5:
		row, err := parseFileRow(value)
		if err != nil {
			return err
		}
		number := binary.BigEndian.Uint32(tail[1:])
		f := l.s.logs[row.kind].reopen(number, &row)
		f.digest, f.rowDigest = digest, digest
		l.files[number] = &loading{f, row}
	case tail[0] == rowIndex && len(tail) == 9:
		number, ordinal := binary.BigEndian.Uint32(tail[1:]), binary.BigEndian.Uint32(tail[5:])
		f := l.files[number]
		if f == nil || int(ordinal) != len(f.index) {
			return fmt.Errorf("blocks from %d on of file %d follow on nothing: %w", ordinal, number, joiner.ErrCorrupt)
		}
		var err error
		if f.index, err = segment.ParseIndex(f.index, value); err != nil {
			return err
		}
		f.digest += digest
	default:
		return fmt.Errorf("unknown row %q: %w", key, joiner.ErrCorrupt)
	}
	l.digest += digest
	return nil
}

// finish checks the whole against the head, and each file against its blocks.
func (l *loader) finish() error {
	h := &l.s.head
	if l.digest != h.digest || uint64(len(l.files)) != h.files {
		return fmt.Errorf("commit %d has %d files with another digest than its rows, which have %d: %w", h.commit, h.files, len(l.files), joiner.ErrCorrupt)
	}
	for number, f := range l.files {
		f.committed = len(f.index)
		end, entries := int64(segment.HeaderBytes), int64(0)
		for i := range f.index {
			end, entries = end+int64(f.index[i].Bytes), entries+int64(f.index[i].Count)
		}
		if f.committed != f.row.blocks || f.committed == 0 || end != f.length || entries != f.entries || number >= h.nextFile {
			return fmt.Errorf("file %d of %d blocks does not match its index of %d: %w", number, f.row.blocks, f.committed, joiner.ErrCorrupt)
		}
	}
	return nil
}

// reopen adds a file that the manifest names. Files come in order of number.
func (l *log) reopen(number uint32, row *fileRow) *file {
	b := l.bucketAt(row.bucket)
	f := &file{number: number, kind: l.kind, opening: row.opening, bucket: b, length: row.length, entries: row.entries, lows: row.lows, sealed: true}
	h := l.header(f)
	f.place = h.Place()
	b.files = append(b.files, f)
	l.files[number] = f
	l.entries += f.entries
	l.bytes += f.length
	return f
}
