package memory

import (
	"errors"
	"slices"

	"github.com/mortise-dev/mortise/joiner"
)

// Disk plays the part of a disk: it keeps what a store committed last.
type Disk struct {
	saved image
	open  *store
}

// image is a store's contents as of one commit. Entries are only ever appended,
// so that it shares their memory with the store.
type image struct {
	meta     []byte
	spanMS   [joiner.NumLogs]int64
	nextFile uint32
	logs     [joiner.NumLogs][]bucket
}

// New makes an empty disk.
func New() *Disk { return &Disk{} }

// Open opens what was committed last. A store that is still open ends there, as
// if its process had been killed. As on disk, a store that holds state keeps the
// BucketMS it was made with.
func (d *Disk) Open(opts joiner.StoreOptions) (joiner.Store, error) {
	opts.EnsureDefaults()
	if d.open != nil {
		d.open.disk = nil
	}
	s := &store{disk: d, nextFile: max(d.saved.nextFile, 1), meta: d.saved.meta}
	held := false
	for kind := range s.logs {
		s.spanMS[kind] = opts.SpanMS(joiner.LogKind(kind))
		held = held || len(d.saved.logs[kind]) > 0
	}
	if held {
		s.spanMS = d.saved.spanMS
	}
	for kind := range s.logs {
		s.logs[kind].open(s, s.spanMS[kind], d.saved.logs[kind])
	}
	d.open = s
	return s, nil
}

// store implements joiner.Store.
type store struct {
	disk     *Disk                 // nil once closed
	spanMS   [joiner.NumLogs]int64 // of a bucket
	nextFile uint32
	meta     []byte
	logs     [joiner.NumLogs]log
}

var errClosed = errors.New("state in memory is closed")

func (s *store) usable() error {
	if s.disk == nil {
		return errClosed
	}
	return nil
}

// Log implements joiner.Store.
func (s *store) Log(kind joiner.LogKind) joiner.Log { return &s.logs[kind] }

// Meta implements joiner.Store.
func (s *store) Meta() []byte { return s.meta }

// Commit implements joiner.Store.
func (s *store) Commit(meta []byte) error {
	if err := s.usable(); err != nil {
		return err
	}
	s.meta = slices.Clone(meta)
	saved := image{meta: s.meta, spanMS: s.spanMS, nextFile: s.nextFile}
	for kind := range s.logs {
		buckets := make([]bucket, len(s.logs[kind].buckets))
		for i, b := range s.logs[kind].buckets {
			buckets[i] = b.freeze()
		}
		saved.logs[kind] = buckets
	}
	s.disk.saved = saved
	return nil
}

// Close implements joiner.Store.
func (s *store) Close() error {
	if s.disk != nil {
		s.disk.open, s.disk = nil, nil
	}
	return nil
}
