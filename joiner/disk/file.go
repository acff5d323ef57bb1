package disk

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/segment"
)

// file is one segment file: what is known of it, and its handle while it is open.
type file struct {
	number  uint32
	kind    joiner.LogKind
	opening uint64 // the one that made it
	bucket  *bucket
	place   segment.Place
	length  int64 // bytes written; 0 until the first block is
	entries int64 // written and not
	index   []segment.Index
	lows    []low

	// sealed says that the file is of an earlier opening. It is not appended to:
	// a crash may have left bytes behind its end that no commit names.
	sealed    bool
	committed int    // blocks that the manifest has
	dirty     bool   // it has more
	digest    uint64 // of its rows in the manifest
	rowDigest uint64 // of its own row among them

	handle     vfs.File
	prev, next *file // among the open files of the store
}

// end is the byte at which the next block starts.
func (f *file) end() int64 { return max(f.length, segment.HeaderBytes) }

// note takes an appended entry into account.
func (f *file) note(e *joiner.Entry) {
	f.entries++
	for i := range f.lows {
		if l := &f.lows[i]; l.source == e.Source {
			l.offset = min(l.offset, e.Offset)
			return
		}
	}
	f.lows = append(f.lows, low{offset: e.Offset, source: e.Source})
}

// blockAt returns the number of the block that holds byte off, -1 when none does.
func (f *file) blockAt(off uint32) int {
	lo, hi := 0, len(f.index)
	for lo < hi {
		if mid := (lo + hi) / 2; f.index[mid].Off <= off {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 || int64(off) >= f.length {
		return -1
	}
	return lo - 1
}

// handles keeps the files of a store that were used last open, up to a bound.
type handles struct {
	fs   vfs.FS
	dir  string
	max  int
	n    int
	ring file // its next is the file used last, its prev the one used longest ago
}

func (h *handles) init(fs vfs.FS, dir string, max int) {
	h.fs, h.dir, h.max = fs, dir, max
	h.ring.next, h.ring.prev = &h.ring, &h.ring
}

func (h *handles) path(f *file) string { return h.fs.PathJoin(h.dir, fileName(f.kind, f.number)) }

// open returns the file's handle, opening it if need be.
func (h *handles) open(f *file) (vfs.File, error) {
	if f.handle != nil {
		if h.ring.next != f {
			h.unlink(f)
			h.link(f)
		}
		return f.handle, nil
	}
	if h.n == h.max {
		if err := h.close(h.ring.prev); err != nil {
			return nil, err
		}
	}
	var err error
	if f.sealed {
		f.handle, err = h.fs.Open(h.path(f))
	} else {
		f.handle, err = h.fs.OpenReadWrite(h.path(f), writeCategory)
	}
	if err != nil {
		f.handle = nil
		return nil, fmt.Errorf("opening segment %s: %w", h.path(f), err)
	}
	h.link(f)
	h.n++
	return f.handle, nil
}

func (h *handles) link(f *file) {
	f.prev, f.next = &h.ring, h.ring.next
	f.prev.next, f.next.prev = f, f
}

func (h *handles) unlink(f *file) {
	f.prev.next, f.next.prev = f.next, f.prev
	f.prev, f.next = nil, nil
}

func (h *handles) close(f *file) error {
	if f.handle == nil {
		return nil
	}
	h.unlink(f)
	h.n--
	err := f.handle.Close()
	f.handle = nil
	if err != nil {
		return fmt.Errorf("closing segment %s: %w", h.path(f), err)
	}
	return nil
}

func (h *handles) closeAll() error {
	var errs []error
	for h.n > 0 {
		errs = append(errs, h.close(h.ring.next))
	}
	return errors.Join(errs...)
}

// read fills buf from byte off of the file. A file that ends too early does not verify.
func (h *handles) read(f *file, buf []byte, off int64) error {
	handle, err := h.open(f)
	if err != nil {
		return err
	}
	n, err := handle.ReadAt(buf, off)
	if n == len(buf) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = joiner.ErrCorrupt
	}
	return fmt.Errorf("reading segment %s: %d of %d bytes at byte %d: %w", h.path(f), n, len(buf), off, err)
}

// write puts data at byte off of the file.
func (h *handles) write(f *file, data []byte, off int64) error {
	handle, err := h.open(f)
	if err != nil {
		return err
	}
	if n, err := handle.WriteAt(data, off); err != nil {
		return fmt.Errorf("writing segment %s: %d of %d bytes at byte %d: %w", h.path(f), n, len(data), off, err)
	}
	return nil
}
