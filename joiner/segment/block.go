package segment

import (
	"encoding/binary"
	"fmt"

	"github.com/mortise-dev/mortise/joiner"
)

const (
	// MaxEntries bounds the entries of one block, so that a Ref has 12 bits for
	// the index and 20 for the block's ordinal.
	MaxEntries = 1 << 12
	// MaxBlocks bounds the blocks of one file.
	MaxBlocks = 1 << 20
	// FrameBytes is what a frame adds to its record: checksum, then length.
	FrameBytes = 12
)

// Block is a batch of entries of one file: unwritten and growing after Begin,
// or read back by Load. Entries are numbered from 0 in append order. It holds
// the records in one buffer and is reused through a Pool.
type Block struct {
	place      Place
	baseOffset int64  // what the records' offsets are relative to; 0 in frames
	off        int64  // byte of the file at which the block starts
	data       []byte // records; in frames, each behind its checksum and length
	starts     []uint32
	min, max   joiner.Cursor
	refs       int32
}

// Begin empties the block for entries of the file at place; the block is to be
// written at byte off of the file.
func (b *Block) Begin(place Place, off int64) {
	b.place, b.off, b.baseOffset = place, off, 0
	b.data, b.starts = b.data[:0], b.starts[:0]
}

// Append copies e to the end and returns its offset within the file if the
// layout is Frames. The event time must lie in the file's bucket.
func (b *Block) Append(e *joiner.Entry) (off int64) {
	at := e.Position()
	if len(b.starts) == 0 {
		b.min, b.max = at, at
		if b.place.Layout == Blocks {
			b.baseOffset = e.Offset
		}
	} else if at.Less(b.min) {
		b.min = at
	} else if b.max.Less(at) {
		b.max = at
	}
	if b.place.Layout == Blocks {
		b.starts = append(b.starts, uint32(len(b.data)))
		b.data = appendRecord(b.data, e, b.place.StartMS, b.baseOffset)
		return 0
	}
	start := len(b.data)
	off = b.off + int64(start)
	b.data = append(b.data, make([]byte, FrameBytes)...)
	b.starts = append(b.starts, uint32(len(b.data)))
	b.data = appendRecord(b.data, e, b.place.StartMS, 0)
	frame := b.data[start:]
	binary.LittleEndian.PutUint32(frame[8:], uint32(len(frame)-FrameBytes))
	binary.LittleEndian.PutUint64(frame, b.place.sum(frame[8:], off))
	return off
}

// Len returns the number of entries.
func (b *Block) Len() int { return len(b.starts) }

// Footprint returns how much memory the block takes.
func (b *Block) Footprint() int { return cap(b.data) + 4*cap(b.starts) }

// Bytes returns the size of the records, uncompressed.
func (b *Block) Bytes() int { return len(b.data) }

// Entry reads entry i into e; Key and Value alias the block.
func (b *Block) Entry(i int, e *joiner.Entry) {
	readRecord(b.data, int(b.starts[i]), e, b.place.StartMS, b.baseOffset)
}

// Cursor returns the position of entry i.
func (b *Block) Cursor(i int) joiner.Cursor {
	return readCursor(b.data, int(b.starts[i]), b.place.StartMS, b.baseOffset)
}

// FrameAt returns the number of the entry whose frame starts at byte off of the
// file, -1 when none does.
func (b *Block) FrameAt(off int64) int {
	want := off - b.off + FrameBytes
	lo, hi := 0, len(b.starts)
	for lo < hi {
		if mid := (lo + hi) / 2; int64(b.starts[mid]) < want {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(b.starts) && int64(b.starts[lo]) == want {
		return lo
	}
	return -1
}

// FrameOff returns the byte of the file at which the frame of entry i starts.
func (b *Block) FrameOff(i int) int64 { return b.off + int64(b.starts[i]) - FrameBytes }

// Index describes the block as it lies in the file once written with length bytes.
func (b *Block) Index(length int) Index {
	return Index{
		MinOffset: b.min.Offset, MinPartition: b.min.Partition,
		MinTimeMS: uint32(b.min.TimeMS - b.place.StartMS), MaxTimeMS: uint32(b.max.TimeMS - b.place.StartMS),
		Off: uint32(b.off), Bytes: uint32(length), Count: uint16(len(b.starts)),
	}
}

// Frames returns the frames' bytes as they are to be written; they alias the block.
func (b *Block) Frames() []byte { return b.data }

// Room returns n bytes of the block's buffer, for the caller to read the file's
// bytes into before LoadFrames.
func (b *Block) Room(n int) []byte {
	if cap(b.data) < n {
		b.data = make([]byte, n)
	}
	b.data = b.data[:n]
	return b.data
}

// LoadFrames takes what was read into Room for the frames that make up the
// block at ix of the file.
func (b *Block) LoadFrames(place Place, ix *Index) error {
	b.place, b.off, b.baseOffset, b.starts = place, int64(ix.Off), 0, b.starts[:0]
	for i := 0; i < len(b.data); {
		n, err := checkFrame(&place, b.data[i:], b.off+int64(i))
		if err != nil {
			return err
		}
		b.starts = append(b.starts, uint32(i+FrameBytes))
		i += n
	}
	return b.checkIndex(ix)
}

// ReadFrame reads the frame at the start of data, which lies at byte off of its
// file, into e. When data ends before the frame does, need is the frame's size
// in bytes and e is untouched; the caller bounds it by what the file holds.
func ReadFrame(place *Place, data []byte, off int64, e *joiner.Entry) (need int, err error) {
	if len(data) < FrameBytes {
		return FrameBytes, nil
	}
	if n := FrameBytes + int(binary.LittleEndian.Uint32(data[8:])); n > len(data) {
		return n, nil
	}
	if _, err := checkFrame(place, data, off); err != nil {
		return 0, err
	}
	readRecord(data, FrameBytes, e, place.StartMS, 0)
	return 0, nil
}

// checkFrame returns the size of the frame at the start of data.
func checkFrame(place *Place, data []byte, off int64) (int, error) {
	if len(data) < FrameBytes {
		return 0, fmt.Errorf("frame at byte %d is cut off: %w", off, joiner.ErrCorrupt)
	}
	n := FrameBytes + int(binary.LittleEndian.Uint32(data[8:]))
	if n > len(data) {
		return 0, fmt.Errorf("frame at byte %d: length %d reaches past its end: %w", off, n, joiner.ErrCorrupt)
	}
	if binary.LittleEndian.Uint64(data) != place.sum(data[8:n], off) {
		return 0, fmt.Errorf("frame at byte %d: checksum: %w", off, joiner.ErrCorrupt)
	}
	if checkRecord(data[:n], FrameBytes, place.SpanMS) != n {
		return 0, fmt.Errorf("frame at byte %d: record does not fill it: %w", off, joiner.ErrCorrupt)
	}
	return n, nil
}
