package disk

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/mortise-dev/mortise/joiner"
)

// Store is one task's logs on disk. It implements joiner.Store.
type Store struct {
	db      *DB
	task    string
	number  uint64
	opening uint64 // this one's, in the headers of the files that it makes
	dir     string
	opts    joiner.StoreOptions
	handles handles
	logs    [joiner.NumLogs]log

	nextFile uint32
	head     head    // of the last commit
	dirty    []*file // with blocks that the manifest does not have
	dropped  []*file // to be unlinked after the next commit
	held     held    // by captures
	newFiles bool    // since the folder was last synced

	scratch []byte // a block on its way to disk or from it
	key     []byte
	row     []byte

	failed error // a write failed: what lies on disk is known only by opening again
	closed bool
}

// scratchBytes bounds the scratch that is kept: four blocks of the default size.
const scratchBytes = 512 << 10

// Log implements joiner.Store.
func (s *Store) Log(kind joiner.LogKind) joiner.Log { return &s.logs[kind] }

// Meta implements joiner.Store.
func (s *Store) Meta() []byte { return s.head.meta }

// usable returns why the store cannot be used, if so.
func (s *Store) usable() error {
	if s.closed {
		return fmt.Errorf("state of task %q is closed", s.task)
	}
	return s.failed
}

// fail makes the store refuse everything from now on: after a failed write
// memory and disk may differ.
func (s *Store) fail(err error) error {
	if s.failed == nil {
		s.failed = advise(fmt.Errorf("state of task %q in %s: %w", s.task, s.db.dir, err))
	}
	return s.failed
}

// written takes notice that blocks were added to a file.
func (s *Store) written(f *file) {
	s.newFiles = s.newFiles || len(f.index) == 1
	if !f.dirty {
		f.dirty = true
		s.dirty = append(s.dirty, f)
	}
}

// room returns n bytes of scratch.
func (s *Store) room(n int) []byte {
	if n > scratchBytes {
		return make([]byte, n)
	}
	if cap(s.scratch) < n {
		s.scratch = make([]byte, n, max(n, 2*cap(s.scratch)))
	}
	return s.scratch[:n]
}

func (s *Store) keepScratch(data []byte) {
	if cap(data) <= scratchBytes {
		s.scratch = data[:0]
	}
}

// Commit implements joiner.Store. It writes what is unwritten, then one batch to
// the manifest, then unlinks the files that were dropped before.
func (s *Store) Commit(meta []byte) error {
	if err := s.usable(); err != nil {
		return err
	}
	for i := range s.logs {
		if err := s.logs[i].flushAll(); err != nil {
			return s.fail(err)
		}
	}
	if s.db.opts.Sync {
		if err := s.sync(); err != nil {
			return s.fail(err)
		}
	}
	if err := s.commitManifest(meta); err != nil {
		return s.fail(fmt.Errorf("committing the manifest: %w", err))
	}
	for _, f := range s.dropped {
		err := s.handles.close(f)
		if err = errors.Join(err, s.held.unlink(s.db.fs, s.handles.path(f), f.number)); err != nil {
			return s.fail(fmt.Errorf("removing segment %s: %w", s.handles.path(f), err))
		}
	}
	clear(s.dropped)
	s.dropped = s.dropped[:0]
	return nil
}

// sync makes all files that the next commit names durable.
func (s *Store) sync() error {
	for _, f := range s.dirty {
		handle, err := s.handles.open(f)
		if err == nil {
			err = handle.SyncData()
		}
		if err != nil {
			return fmt.Errorf("syncing segment %s: %w", s.handles.path(f), err)
		}
	}
	if !s.newFiles {
		return nil
	}
	s.newFiles = false
	if err := syncDir(s.db.fs, s.dir); err != nil {
		return fmt.Errorf("syncing %s: %w", s.dir, err)
	}
	return nil
}

// commitManifest writes the rows that changed since the last commit, as one batch.
func (s *Store) commitManifest(meta []byte) error {
	h := head{commit: s.head.commit + 1, nextFile: s.nextFile, bucketMS: s.opts.BucketMS, coarseMS: s.opts.CoarseMS, files: s.head.files, digest: s.head.digest}
	if meta != nil {
		h.meta = append([]byte{}, meta...)
	}
	if err := s.db.write(func(batch *pebble.Batch) error { return s.fill(batch, &h) }); err != nil {
		return err
	}
	s.head = h
	clear(s.dirty)
	s.dirty = s.dirty[:0]
	return nil
}

// fill puts the rows that changed into a batch, and counts them in h.
func (s *Store) fill(batch *pebble.Batch, h *head) error {
	for _, f := range s.dropped {
		if err := s.forget(batch, f, h); err != nil {
			return err
		}
	}
	for _, f := range s.dirty {
		if s.logs[f.kind].files[f.number] != f {
			continue // dropped before it was ever committed, or just now
		}
		if err := s.record(batch, f, h); err != nil {
			return err
		}
	}
	s.row = h.append(s.row[:0])
	return batch.Set(headKey(s.number), s.row, nil)
}
