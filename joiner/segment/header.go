package segment

import (
	"encoding/binary"
	"fmt"

	"github.com/zeebo/xxh3"

	"github.com/mortise-dev/mortise/joiner"
)

const (
	// Version is the format that this package writes, and the only one it reads.
	Version = 1
	// HeaderBytes is the size of a file header. The first block or frame follows it.
	HeaderBytes = 48

	magic = "MORTSEG\n"
)

// Layout says how the entries of a file are stored.
type Layout uint8

const (
	Blocks Layout = 1 // compressed batches
	Frames Layout = 2 // single entries, readable by offset
)

// Header stands at the start of every file and says what the file is. All of it
// goes into the file's salt, and the salt into every checksum, so that a block
// verifies in its own file and at its own offset only.
type Header struct {
	Layout   Layout
	Kind     joiner.LogKind
	File     uint32 // the file's number within its store
	Opening  uint64 // a random number, drawn whenever a store is opened
	Bucket   int64  // floor(event time / BucketMS) of every entry
	BucketMS int64
}

// Append appends the header's HeaderBytes bytes to dst.
func (h *Header) Append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint16(dst, Version)
	dst = append(dst, byte(h.Layout), byte(h.Kind))
	dst = binary.LittleEndian.AppendUint32(dst, h.File)
	dst = binary.LittleEndian.AppendUint64(dst, h.Opening)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.Bucket))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.BucketMS))
	return binary.LittleEndian.AppendUint64(dst, xxh3.Hash(dst[at:]))
}

// ParseHeader reads a header from the first HeaderBytes of data.
func ParseHeader(data []byte) (Header, error) {
	if len(data) < HeaderBytes {
		return Header{}, fmt.Errorf("file header of %d bytes is cut off at %d: %w", HeaderBytes, len(data), joiner.ErrCorrupt)
	}
	if string(data[:len(magic)]) != magic {
		return Header{}, fmt.Errorf("not a segment file: %w", joiner.ErrCorrupt)
	}
	le := binary.LittleEndian
	if le.Uint64(data[40:]) != xxh3.Hash(data[:40]) {
		return Header{}, fmt.Errorf("file header: checksum: %w", joiner.ErrCorrupt)
	}
	if v := le.Uint16(data[8:]); v != Version {
		return Header{}, fmt.Errorf("segment format version %d, this build reads %d: %w", v, Version, joiner.ErrCorrupt)
	}
	return Header{
		Layout: Layout(data[10]), Kind: joiner.LogKind(data[11]), File: le.Uint32(data[12:]),
		Opening: le.Uint64(data[16:]), Bucket: int64(le.Uint64(data[24:])), BucketMS: int64(le.Uint64(data[32:])),
	}, nil
}

// Place is what the blocks of one file need to know about it.
type Place struct {
	Layout  Layout
	StartMS int64 // event time at which the bucket starts
	SpanMS  int64 // length of the bucket
	salt    uint64
}

// Place derives the place of the file's blocks from its header.
func (h *Header) Place() Place {
	var buf [HeaderBytes]byte
	sum := xxh3.Hash(h.Append(buf[:0]))
	return Place{Layout: h.Layout, StartMS: h.Bucket * h.BucketMS, SpanMS: h.BucketMS, salt: sum}
}

// sum is the checksum of data that lies at byte off of the file. The place is
// mixed in after hashing, so that binding it costs nothing per byte.
func (p *Place) sum(data []byte, off int64) uint64 {
	z := p.salt + uint64(off)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return xxh3.Hash(data) ^ z ^ z>>31
}

// BucketOf returns the bucket of an event time: the floor of their quotient.
func BucketOf(timeMS, bucketMS int64) int64 {
	b := timeMS / bucketMS
	if timeMS%bucketMS < 0 {
		b--
	}
	return b
}
