package extsort

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"
)

// ErrCorrupt says that a spill file is not what was written.
var ErrCorrupt = errors.New("spill file does not verify")

// File is a spill file as it is read. ReadAt may be called concurrently.
type File interface {
	io.ReaderAt
	io.Closer
}

// Spill is what a spill file holds.
type Spill struct {
	Name     string
	Note     []byte // the caller's
	segments []segment
}

// ReadSpill reads a spill file's footer; size is the file's.
func ReadSpill(name string, f io.ReaderAt, size int64) (*Spill, error) {
	bad := func(what string) error { return fmt.Errorf("%s: %s: %w", name, what, ErrCorrupt) }
	if size < trailerBytes {
		return nil, bad("it is cut off")
	}
	trailer := make([]byte, trailerBytes)
	if err := readFull(f, trailer, size-trailerBytes); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	n := int64(binary.LittleEndian.Uint32(trailer))
	if string(trailer[12:]) != magic || n > size-trailerBytes {
		return nil, bad("it has no end")
	}
	footer := make([]byte, n)
	if err := readFull(f, footer, size-trailerBytes-n); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if xxh3.Hash(footer) != binary.LittleEndian.Uint64(trailer[4:]) {
		return nil, bad("footer checksum")
	}
	s := &Spill{Name: name}
	if !s.parse(footer, size-trailerBytes-n) {
		return nil, bad("footer")
	}
	return s, nil
}

// parse reads a footer that verifies; false if it cannot be of a file with so
// many bytes of blocks.
func (s *Spill) parse(footer []byte, blocks int64) bool {
	d := decoder{data: footer}
	splits := d.uint()
	if splits > MaxSplits {
		return false
	}
	s.segments = make([]segment, splits)
	off := int64(0)
	for i := range s.segments {
		g := &s.segments[i]
		if g.records = int64(d.uint()); g.records == 0 {
			continue
		}
		g.rawBytes, g.bytes, g.minMS = int64(d.uint()), int64(d.uint()), d.int()
		g.maxMS = g.minMS + int64(d.uint())
		g.off = off
		off += g.bytes
	}
	s.Note = d.bytes(d.uint())
	return !d.bad && off == blocks
}

// Splits returns how many splits the file was written for.
func (s *Spill) Splits() int { return len(s.segments) }

// Records returns how many records of a split the file holds, and how many bytes
// they have, uncompressed.
func (s *Spill) Records(split int) (records, rawBytes int64) {
	return s.segments[split].records, s.segments[split].rawBytes
}

// Span returns the least and greatest event time of a split's records.
func (s *Spill) Span(split int) (minMS, maxMS int64, any bool) {
	g := &s.segments[split]
	return g.minMS, g.maxMS, g.records > 0
}

// readFull reads len(b) bytes at off; a file that ends before is corrupt.
func readFull(f io.ReaderAt, b []byte, off int64) error {
	n, err := f.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("it ends before byte %d: %w", off+int64(len(b)), ErrCorrupt)
	}
	return err
}

// decoder reads varints; bad stays true after the first that is none.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) uint() uint64 {
	if len(d.data) > 0 && d.data[0] < 0x80 {
		v := uint64(d.data[0])
		d.data = d.data[1:]
		return v
	}
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.bad, d.data = true, nil
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) int() int64 {
	v := d.uint()
	return int64(v>>1) ^ -int64(v&1)
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.data)) {
		d.bad, d.data = true, nil
		return nil
	}
	b := d.data[:n:n]
	d.data = d.data[n:]
	return b
}
