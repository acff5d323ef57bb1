package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/segment"
)

// Restoration puts a task's state into a directory, as a Capture noted it: files
// first, under a store number of their own, then the manifest in one batch. Until
// Commit returns the task has the state that it had before, whatever happens; what
// a crash leaves behind is removed when the directory is opened. Files may be
// written by many goroutines at once, everything else is for one.
type Restoration struct {
	db    *DB
	s     *Store // under construction; it keeps the task from being opened
	files []*file
	ended bool

	opening sync.Mutex
}

// RestoreStore begins to restore a task, which must not be open and cannot be
// until Commit or Abort. rows are the files', each as CapturedFile.AppendRows
// wrote it. An error wrapping joiner.ErrCorrupt says that these do not fit together.
func (db *DB) RestoreStore(task string, h Head, rows [][]byte) (*Restoration, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.open[task] != nil {
		return nil, fmt.Errorf("restoring state of task %q: it is open", task)
	}
	r, err := db.beginRestoration(task, h, rows)
	if err != nil {
		return nil, fmt.Errorf("restoring state of task %q in %s: %w", task, db.dir, err)
	}
	db.open[task] = r.s
	return r, nil
}

func (db *DB) beginRestoration(task string, h Head, rows [][]byte) (*Restoration, error) {
	opts := joiner.StoreOptions{BucketMS: h.BucketMS, CoarseMS: h.CoarseMS}
	if opts.BucketMS <= 0 || opts.CoarseMS <= 0 {
		return nil, fmt.Errorf("buckets of %d and %d ms: %w", h.BucketMS, h.CoarseMS, joiner.ErrCorrupt)
	}
	opts.EnsureDefaults()
	if err := checkStoreOptions(&opts); err != nil {
		return nil, fmt.Errorf("%w: %w", err, joiner.ErrCorrupt)
	}
	number, err := db.reserveNumber()
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, task: task, number: number, dir: db.taskDir(task, number), opts: opts, nextFile: h.NextFile}
	s.head = head{commit: h.Commit, nextFile: h.NextFile, bucketMS: h.BucketMS, coarseMS: h.CoarseMS, meta: h.Meta}
	s.handles.init(db.fs, s.dir, db.opts.OpenFiles)
	for kind := range s.logs {
		s.logs[kind].init(s, joiner.LogKind(kind))
	}
	r := &Restoration{db: db, s: s}
	if err := r.parse(rows); err != nil {
		return nil, err
	}
	return r, db.fs.MkdirAll(s.dir, 0o777)
}

// reserveNumber takes a store number that no task will get.
func (db *DB) reserveNumber() (uint64, error) {
	last, err := db.number([]byte{rowNumber})
	if err != nil {
		return 0, err
	}
	return last + 1, db.write(func(batch *pebble.Batch) error {
		return batch.Set([]byte{rowNumber}, binary.LittleEndian.AppendUint64(nil, last+1), nil)
	})
}

// parse reads the files' rows into the store's buckets, in order of number.
func (r *Restoration) parse(rows [][]byte) error {
	parsed := make([]parsedRows, len(rows))
	order := make([]int, len(rows))
	for i, data := range rows {
		var err error
		if parsed[i], err = parseRows(data); err != nil {
			return fmt.Errorf("file %d of %d: %w", i, len(rows), err)
		}
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(parsed[a].number) - int(parsed[b].number) })
	r.files = make([]*file, len(rows))
	last := uint32(0)
	for _, i := range order {
		p := &parsed[i]
		if p.number == last || p.number >= r.s.nextFile {
			return fmt.Errorf("file number %d comes twice or is not below %d: %w", p.number, r.s.nextFile, joiner.ErrCorrupt)
		}
		last = p.number
		f := r.s.logs[p.row.kind].reopen(p.number, &p.row)
		f.index, f.sealed = p.index, false // it is being written
		r.files[i] = f
	}
	return nil
}

// parsedRows is what appendRows wrote.
type parsedRows struct {
	number uint32
	row    fileRow
	index  []segment.Index
}

func parseRows(data []byte) (p parsedRows, err error) {
	r := rowReader{data: data}
	p.number = uint32(r.uvarint(1<<32 - 1))
	n := r.uvarint(uint64(len(r.data)))
	if r.bad || n > uint64(len(r.data)) {
		return p, fmt.Errorf("rows are cut off: %w", joiner.ErrCorrupt)
	}
	if p.row, err = parseFileRow(r.data[:n]); err != nil {
		return p, err
	}
	if p.index, err = segment.ParseIndex(nil, r.data[n:]); err != nil {
		return p, err
	}
	end, entries := int64(segment.HeaderBytes), int64(0)
	for i := range p.index {
		end, entries = end+int64(p.index[i].Bytes), entries+int64(p.index[i].Count)
	}
	if len(p.index) == 0 || len(p.index) != p.row.blocks || end != p.row.length || entries != p.row.entries {
		return p, fmt.Errorf("file %d of %d blocks does not match its index of %d: %w", p.number, p.row.blocks, len(p.index), joiner.ErrCorrupt)
	}
	return p, nil
}

// FileLengthBytes is how long file i of the given rows has to be.
func (r *Restoration) FileLengthBytes(i int) int64 { return r.files[i].length }

// Open opens file i for writing; the first Open makes it. The caller closes
// what it opens.
func (r *Restoration) Open(i int) (interface {
	io.WriterAt
	io.Closer
}, error) {
	path := r.s.handles.path(r.files[i])
	r.opening.Lock() // in memory, two that make one file make two
	defer r.opening.Unlock()
	f, err := r.db.fs.OpenReadWrite(path, writeCategory)
	if err != nil {
		return nil, fmt.Errorf("restoring segment %s: %w", path, err)
	}
	return f, nil
}

// Commit makes the files the task's state, in place of what it had. It checks of
// them what opening checks; an error wrapping joiner.ErrCorrupt says that they do
// not verify. After an error only Abort is of use.
func (r *Restoration) Commit() error {
	err := r.s.checkFiles()
	err = errors.Join(err, r.s.handles.closeAll())
	if err == nil && r.db.opts.Sync {
		err = r.sync()
	}
	if err == nil {
		err = r.switchOver()
	}
	if err != nil {
		return fmt.Errorf("restoring state of task %q in %s: %w", r.s.task, r.db.dir, err)
	}
	return nil
}

func (r *Restoration) sync() error {
	for _, f := range r.files {
		handle, err := r.s.handles.open(f)
		if err == nil {
			err = handle.Sync()
		}
		if err != nil {
			return fmt.Errorf("syncing segment %s: %w", r.s.handles.path(f), err)
		}
	}
	return errors.Join(r.s.handles.closeAll(), syncDir(r.db.fs, r.s.dir), syncDir(r.db.fs, r.db.fs.PathDir(r.s.dir)))
}

// switchOver writes the manifest: the new rows, and the old ones' deletion.
func (r *Restoration) switchOver() error {
	db, s := r.db, r.s
	old, err := db.number(taskKey(s.task))
	if err != nil {
		return err
	}
	filled := false
	err = db.write(func(batch *pebble.Batch) error {
		err := r.fill(batch, old)
		filled = err == nil
		return err
	})
	if !filled {
		return err
	}
	r.end()
	if err != nil { // or it was written all the same: no file may go
		return fmt.Errorf("committing the manifest: %w", err)
	}
	if old != 0 {
		// What cannot be removed is no task's, and goes when the directory is next opened.
		_ = db.fs.RemoveAll(db.taskDir(s.task, old))
	}
	return nil
}

func (r *Restoration) fill(batch *pebble.Batch, old uint64) error {
	s := r.s
	if old != 0 {
		if err := batch.DeleteRange(storeKey(old), storeKey(old+1), nil); err != nil {
			return err
		}
	}
	h := s.head
	for _, f := range r.files {
		if err := s.record(batch, f, &h); err != nil {
			return err
		}
	}
	return errors.Join(batch.Set(headKey(s.number), h.append(nil), nil), batch.Set(taskKey(s.task), binary.LittleEndian.AppendUint64(nil, s.number), nil))
}

// Abort gives the restoration up, unless it was committed, and removes its files.
func (r *Restoration) Abort() error {
	if r.ended {
		return nil
	}
	r.end()
	if err := errors.Join(r.s.handles.closeAll(), r.db.fs.RemoveAll(r.s.dir)); err != nil {
		return fmt.Errorf("removing what was restored of task %q: %w", r.s.task, err)
	}
	return nil
}

// end lets the task be opened again.
func (r *Restoration) end() {
	r.ended = true
	r.db.mu.Lock()
	defer r.db.mu.Unlock()
	r.s.closed = true
	if r.db.open[r.s.task] == r.s {
		delete(r.db.open, r.s.task)
	}
}
