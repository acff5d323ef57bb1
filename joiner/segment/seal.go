package segment

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/s2"

	"github.com/mortise-dev/mortise/joiner"
)

// BlockHeaderBytes is the size of the header before a compressed block.
const BlockHeaderBytes = 72

const (
	codecStored = 0 // the payload is the records
	codecS2     = 1

	// maxRawBytes bounds the records of a block: one entry of any size behind a
	// batch that was not yet full.
	maxRawBytes = 2*MaxEntryBytes + 1<<20
)

// Seal appends the block's header and compressed payload to dst, to be written
// at the byte given to Begin as block number ordinal of its file.
func (b *Block) Seal(dst []byte, ordinal int) []byte {
	at := len(dst)
	need := BlockHeaderBytes + s2.MaxEncodedLen(len(b.data))
	if cap(dst)-at < need {
		dst = append(make([]byte, 0, at+need), dst...)
	}
	head := dst[at : at+BlockHeaderBytes]
	payload := s2.Encode(dst[at+BlockHeaderBytes:at+need], b.data)
	codec := byte(codecS2)
	if len(payload) >= len(b.data) {
		payload = payload[:copy(payload[:len(b.data)], b.data)]
		codec = codecStored
	}
	le := binary.LittleEndian
	le.PutUint32(head, uint32(len(payload)))
	le.PutUint32(head[4:], uint32(len(b.data)))
	le.PutUint16(head[8:], uint16(len(b.starts)))
	head[10], head[11] = codec, 0
	le.PutUint32(head[12:], uint32(ordinal))
	le.PutUint64(head[16:], uint64(b.min.TimeMS))
	le.PutUint64(head[24:], uint64(b.min.Offset))
	le.PutUint64(head[32:], uint64(b.max.TimeMS))
	le.PutUint64(head[40:], uint64(b.max.Offset))
	le.PutUint32(head[48:], uint32(b.min.Partition))
	le.PutUint32(head[52:], uint32(b.max.Partition))
	le.PutUint64(head[56:], uint64(b.baseOffset))
	// The checksum stands between what it covers; it counts as zero.
	le.PutUint64(head[64:], 0)
	end := at + BlockHeaderBytes + len(payload)
	le.PutUint64(head[64:], b.place.sum(dst[at:end], b.off))
	return dst[:end]
}

// Load reads block number ordinal, whose header and payload are exactly data,
// at byte ix.Off of the file. It changes data and keeps no part of it. Nothing
// is allocated for lengths that the checksum has not vouched for.
func (b *Block) Load(place Place, ix *Index, ordinal int, data []byte) error {
	bad := func(what string) error {
		return fmt.Errorf("block %d at byte %d: %s: %w", ordinal, ix.Off, what, joiner.ErrCorrupt)
	}
	if len(data) < BlockHeaderBytes {
		return bad("cut off")
	}
	le := binary.LittleEndian
	want := le.Uint64(data[64:])
	le.PutUint64(data[64:], 0)
	if place.sum(data, int64(ix.Off)) != want {
		return bad("checksum")
	}
	b.Begin(place, int64(ix.Off))
	payload := data[BlockHeaderBytes:]
	rawBytes, count := int(le.Uint32(data[4:])), int(le.Uint16(data[8:]))
	if int(le.Uint32(data)) != len(payload) || rawBytes > maxRawBytes || int(le.Uint32(data[12:])) != ordinal || data[11] != 0 {
		return bad("header")
	}
	b.min = joiner.Cursor{TimeMS: int64(le.Uint64(data[16:])), Offset: int64(le.Uint64(data[24:])), Partition: int32(le.Uint32(data[48:]))}
	b.max = joiner.Cursor{TimeMS: int64(le.Uint64(data[32:])), Offset: int64(le.Uint64(data[40:])), Partition: int32(le.Uint32(data[52:]))}
	b.baseOffset = int64(le.Uint64(data[56:]))
	if err := b.unpack(data[10], payload, rawBytes); err != nil {
		return bad(err.Error())
	}
	for i := 0; i < len(b.data); {
		b.starts = append(b.starts, uint32(i))
		if i = checkRecord(b.data, i, place.SpanMS); i == 0 || len(b.starts) > count {
			return bad("records")
		}
	}
	return b.checkIndex(ix)
}

// unpack fills the records from a payload of rawBytes uncompressed bytes.
func (b *Block) unpack(codec byte, payload []byte, rawBytes int) error {
	b.Room(rawBytes)
	switch codec {
	case codecStored:
		if copy(b.data, payload) != rawBytes || len(payload) != rawBytes {
			return fmt.Errorf("stored %d bytes instead of %d", len(payload), rawBytes)
		}
	case codecS2:
		if n, err := s2.DecodedLen(payload); err != nil || n != rawBytes {
			return fmt.Errorf("s2 length is not %d", rawBytes)
		}
		if _, err := s2.Decode(b.data, payload); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown codec %d", codec)
	}
	return nil
}

// checkIndex compares what was read with what the index says was written.
func (b *Block) checkIndex(ix *Index) error {
	if len(b.starts) != int(ix.Count) || len(b.starts) == 0 {
		return fmt.Errorf("block at byte %d holds %d entries instead of %d: %w", ix.Off, len(b.starts), ix.Count, joiner.ErrCorrupt)
	}
	if b.place.Layout == Frames {
		b.min, b.max = b.Cursor(0), b.Cursor(0)
		for i := range b.starts {
			if c := b.Cursor(i); c.Less(b.min) {
				b.min = c
			} else if b.max.Less(c) {
				b.max = c
			}
		}
	}
	if b.min != ix.Min(b.place.StartMS) || b.max.TimeMS != b.place.StartMS+int64(ix.MaxTimeMS) {
		return fmt.Errorf("block at byte %d does not start or end where its index says: %w", ix.Off, joiner.ErrCorrupt)
	}
	return nil
}
