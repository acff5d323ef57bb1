package disk

import (
	"fmt"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/segment"
)

// checkFiles removes the files that the manifest does not name, and checks of
// the others what a crash can have cost: the length, the header, the last block.
// The rest is verified when it is read.
func (s *Store) checkFiles() error {
	if err := s.removeUnknown(); err != nil {
		return err
	}
	for i := range s.logs {
		l := &s.logs[i]
		for _, b := range l.buckets {
			for _, f := range b.files {
				if err := l.checkFile(f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// removeUnknown removes what was created after the last commit, or dropped
// before it and not yet unlinked.
func (s *Store) removeUnknown() error {
	names, err := s.db.fs.List(s.dir)
	if err != nil {
		return fmt.Errorf("listing %s: %w", s.dir, err)
	}
	known := map[string]bool{}
	for i := range s.logs {
		for number := range s.logs[i].files {
			known[fileName(s.logs[i].kind, number)] = true
		}
	}
	for _, name := range names {
		if known[name] {
			delete(known, name)
			continue
		}
		if !segmentName.MatchString(name) {
			continue // not ours to remove
		}
		// A number that a lost opening used is not used again: nothing of its
		// file may be taken for one of ours.
		var number uint32
		if _, err := fmt.Sscanf(name, "%d.", &number); err == nil {
			s.nextFile = max(s.nextFile, number+1)
		}
		path := s.db.fs.PathJoin(s.dir, name)
		if err := s.db.fs.RemoveAll(path); err != nil {
			return fmt.Errorf("removing %s, which no commit names: %w", path, err)
		}
	}
	for name := range known {
		return fmt.Errorf("segment %s is missing: %w", s.db.fs.PathJoin(s.dir, name), joiner.ErrCorrupt)
	}
	return nil
}

func (l *log) checkFile(f *file) error {
	h := &l.s.handles
	handle, err := h.open(f)
	if err != nil {
		return err
	}
	info, err := handle.Stat()
	if err != nil {
		return fmt.Errorf("opening segment %s: %w", h.path(f), err)
	}
	if info.Size() < f.length {
		return fmt.Errorf("segment %s has %d bytes, the last commit %d: %w", h.path(f), info.Size(), f.length, joiner.ErrCorrupt)
	}
	data := l.s.room(segment.HeaderBytes)
	if err := h.read(f, data, 0); err != nil {
		return err
	}
	got, err := segment.ParseHeader(data)
	if err != nil {
		return fmt.Errorf("opening segment %s: %w", h.path(f), err)
	}
	if want := l.header(f); got != want {
		return fmt.Errorf("segment %s is of another file: %+v instead of %+v: %w", h.path(f), got, want, joiner.ErrCorrupt)
	}
	block, err := l.load(f, len(f.index)-1)
	if err != nil {
		return err
	}
	l.pool.Release(block)
	return nil
}

// Close implements joiner.Store.
func (s *Store) Close() error {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if s.closed {
		return nil
	}
	delete(s.db.open, s.task)
	return s.close()
}

func (s *Store) close() error {
	s.closed = true
	if err := s.handles.closeAll(); err != nil {
		return fmt.Errorf("closing state of task %q: %w", s.task, err)
	}
	return nil
}

var _ joiner.Store = (*Store)(nil)
