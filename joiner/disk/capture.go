package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/segment"
)

// Head is what a store is beside its files, as of one commit.
type Head struct {
	Meta     []byte // the owner's; nil differs from empty
	Commit   uint64 // counts up
	NextFile uint32 // above the number of every file
	BucketMS int64  // span of event time of a bucket of impressions
	CoarseMS int64  // span of a bucket of labels and of what was seen
}

// FileID names a segment file wherever it is copied to: the random number of the
// opening that made it, and its own within the store. Two files of one ID are one
// another's beginning.
type FileID struct {
	Opening uint64
	Number  uint32
}

// Capture is a store as of one commit: what a checkpoint copies. The store goes
// on meanwhile. It belongs to any one goroutine but for its files, which may be
// read by many at once. Close releases it.
type Capture struct {
	Head
	Files []CapturedFile // in order of number within each log

	fs   vfs.FS
	dir  string
	held *held
}

// CapturedFile is one segment file of a capture. Its first LengthBytes bytes
// never change.
type CapturedFile struct {
	ID          FileID
	Kind        joiner.LogKind
	LengthBytes int64

	capture  *Capture
	file     file // a copy: its index is the store's, of which it has the committed blocks
	released bool
}

// Capture notes the state as the last commit left it, which must have been the
// call before: nothing was appended, dropped or written since. It copies no
// data and opens no file, so it takes microseconds: some 300 for 1,000 files.
func (s *Store) Capture() (*Capture, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	if s.unsettled() {
		return nil, fmt.Errorf("capturing state of task %q: it has changed since its last commit", s.task)
	}
	c := &Capture{
		Head: Head{Meta: s.head.meta, Commit: s.head.commit, NextFile: s.head.nextFile, BucketMS: s.head.bucketMS, CoarseMS: s.head.coarseMS},
		fs:   s.db.fs, dir: s.dir, held: &s.held,
	}
	c.Files = make([]CapturedFile, 0, s.head.files)
	for i := range s.logs {
		for _, b := range s.logs[i].buckets {
			of := &bucket{index: b.index}
			for _, f := range b.files {
				c.Files = append(c.Files, CapturedFile{
					ID: FileID{f.opening, f.number}, Kind: f.kind, LengthBytes: f.length, capture: c,
					// Appending adds to the index behind this slice's end; lows change in place.
					file: file{number: f.number, kind: f.kind, opening: f.opening, bucket: of, length: f.length,
						entries: f.entries, index: f.index[:f.committed:f.committed], lows: append([]low(nil), f.lows...)},
				})
			}
		}
	}
	s.held.hold(c.Files)
	return c, nil
}

// unsettled reports whether the last commit does not have everything.
func (s *Store) unsettled() bool {
	if s.head.commit == 0 || len(s.dirty) > 0 || len(s.dropped) > 0 {
		return true
	}
	for i := range s.logs {
		if s.logs[i].nActive > 0 {
			return true
		}
	}
	return false
}

// AppendRows appends what the manifest has of the file: what Restoration needs
// beside its bytes.
func (f *CapturedFile) AppendRows(dst []byte) []byte {
	return appendRows(dst, &f.file)
}

func (f *CapturedFile) path() string {
	return f.capture.fs.PathJoin(f.capture.dir, fileName(f.Kind, f.file.number))
}

// Open opens the file for reading its first LengthBytes bytes. The caller closes
// what it opens, so that a capture of a thousand files needs no thousand handles.
func (f *CapturedFile) Open() (interface {
	io.ReaderAt
	io.Closer
}, error) {
	handle, err := f.capture.fs.Open(f.path())
	if err != nil {
		return nil, fmt.Errorf("opening captured segment %s: %w", f.path(), err)
	}
	return handle, nil
}

// Release says that the file is not read any more, ahead of Close.
func (f *CapturedFile) Release() error {
	if f.released {
		return nil
	}
	f.released = true
	return f.capture.held.release(f.capture.fs, f.file.number, f.path())
}

// Close releases all files. It may be called again, and after the store is closed.
func (c *Capture) Close() error {
	var errs []error
	for i := range c.Files {
		errs = append(errs, c.Files[i].Release())
	}
	return errors.Join(errs...)
}

// held are the files that captures still need, by number. A file that the store
// drops meanwhile is unlinked by whoever lets go of it last.
//
// Handles opened at once would keep the bytes too, but hundreds a task run into
// the limit of open files; hard links cost two system calls a file while the task
// waits, and not every file system has them.
type held struct {
	mu    sync.Mutex
	files map[uint32]*hold
}

type hold struct {
	captures int
	dropped  bool // to be unlinked
}

func (h *held) hold(files []CapturedFile) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.files == nil {
		h.files = map[uint32]*hold{}
	}
	for i := range files {
		number := files[i].ID.Number
		if h.files[number] == nil {
			h.files[number] = &hold{}
		}
		h.files[number].captures++
	}
}

// unlink removes a dropped file, or leaves that to release.
func (h *held) unlink(fsys vfs.FS, path string, number uint32) error {
	h.mu.Lock()
	f := h.files[number]
	if f != nil {
		f.dropped = true
	}
	h.mu.Unlock()
	if f != nil {
		return nil
	}
	return fsys.Remove(path)
}

func (h *held) release(fsys vfs.FS, number uint32, path string) error {
	h.mu.Lock()
	f := h.files[number]
	f.captures--
	last := f.captures == 0
	if last {
		delete(h.files, number)
	}
	h.mu.Unlock()
	if !last || !f.dropped {
		return nil
	}
	// The store may have been opened again, or discarded, which removed it.
	if err := fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing segment %s: %w", path, err)
	}
	return nil
}

// appendRows writes the file's number, its row behind the row's length, and the
// index of all its committed blocks.
func appendRows(dst []byte, f *file) []byte {
	row := appendFileRow(nil, f)
	dst = binary.AppendUvarint(dst, uint64(f.number))
	dst = append(binary.AppendUvarint(dst, uint64(len(row))), row...)
	return segment.AppendIndex(dst, f.index)
}
