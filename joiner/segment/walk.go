package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/mortise-dev/mortise/joiner"
)

// Extent is what a file is known to hold from elsewhere: a file alone cannot
// tell that its last block is missing.
type Extent struct {
	Bytes   int64
	Entries int64
}

// Walk reads a whole file without an index and calls fn for every entry in
// append order, until the first error. What does not verify, or is not of the
// extent that the caller expects, is an error wrapping joiner.ErrCorrupt.
func Walk(r io.ReaderAt, want Extent, fn func(e *joiner.Entry) error) error {
	head, err := readExactly(r, nil, 0, HeaderBytes, want.Bytes)
	if err != nil {
		return err
	}
	h, err := ParseHeader(head)
	if err != nil {
		return err
	}
	if h.BucketMS <= 0 || h.Layout != Blocks && h.Layout != Frames {
		return fmt.Errorf("file header: layout %d, bucket of %d ms: %w", h.Layout, h.BucketMS, joiner.ErrCorrupt)
	}
	w := walk{r: r, place: h.Place(), want: want, off: HeaderBytes}
	for w.off < want.Bytes {
		if err := w.step(fn); err != nil {
			return err
		}
	}
	if w.entries != want.Entries {
		return fmt.Errorf("file holds %d entries instead of %d: %w", w.entries, want.Entries, joiner.ErrCorrupt)
	}
	var past [1]byte
	if n, _ := r.ReadAt(past[:], want.Bytes); n > 0 {
		return fmt.Errorf("file goes on after byte %d, its end: %w", want.Bytes, joiner.ErrCorrupt)
	}
	return nil
}

type walk struct {
	r       io.ReaderAt
	place   Place
	want    Extent
	off     int64
	ordinal int
	entries int64
	block   Block
	buf     []byte
}

// step reads the block or frame at w.off.
func (w *walk) step(fn func(e *joiner.Entry) error) (err error) {
	var e joiner.Entry
	if w.place.Layout == Frames {
		need := FrameBytes
		for need > 0 {
			n := int64(need)
			if w.buf, err = readExactly(w.r, w.buf, w.off, n, w.want.Bytes); err != nil {
				return err
			}
			if need, err = ReadFrame(&w.place, w.buf, w.off, &e); err != nil {
				return err
			}
		}
		w.off, w.entries = w.off+int64(len(w.buf)), w.entries+1
		return fn(&e)
	}
	if w.buf, err = readExactly(w.r, w.buf, w.off, BlockHeaderBytes, w.want.Bytes); err != nil {
		return err
	}
	ix := headerIndex(w.buf, &w.place, w.off)
	if w.buf, err = readExactly(w.r, w.buf, w.off, int64(ix.Bytes), w.want.Bytes); err != nil {
		return err
	}
	if err := w.block.Load(w.place, &ix, w.ordinal, w.buf); err != nil {
		return err
	}
	for i := range w.block.Len() {
		w.block.Entry(i, &e)
		if err := fn(&e); err != nil {
			return err
		}
	}
	w.off, w.ordinal, w.entries = w.off+int64(ix.Bytes), w.ordinal+1, w.entries+int64(ix.Count)
	return nil
}

// headerIndex reads, unverified, the index of a block off its header.
func headerIndex(head []byte, place *Place, off int64) Index {
	le := binary.LittleEndian
	return Index{
		Off: uint32(off), Bytes: BlockHeaderBytes + le.Uint32(head), Count: le.Uint16(head[8:]),
		MinTimeMS: uint32(le.Uint64(head[16:]) - uint64(place.StartMS)), MaxTimeMS: uint32(le.Uint64(head[32:]) - uint64(place.StartMS)),
		MinOffset: int64(le.Uint64(head[24:])), MinPartition: int32(le.Uint32(head[48:])),
	}
}

// readExactly reads n bytes at off into buf, grown as needed. It allocates
// nothing for a length that reaches past the file's end.
func readExactly(r io.ReaderAt, buf []byte, off, n, end int64) ([]byte, error) {
	if n < 0 || n > end-off {
		return buf, fmt.Errorf("%d bytes at byte %d reach past the end at %d: %w", n, off, end, joiner.ErrCorrupt)
	}
	if int64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if got, err := r.ReadAt(buf, off); got < len(buf) {
		if errors.Is(err, io.EOF) {
			err = joiner.ErrCorrupt
		}
		return buf, fmt.Errorf("reading %d bytes at byte %d, got %d: %w", n, off, got, err)
	}
	return buf, nil
}
