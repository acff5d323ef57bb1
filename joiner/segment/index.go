package segment

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/mortise-dev/mortise/joiner"
)

// Index is what stays in memory of a written block: 32 bytes, no pointers.
// Times are relative to the start of the file's bucket.
type Index struct {
	MinOffset            int64 // of the least cursor
	Off, Bytes           uint32
	MinTimeMS, MaxTimeMS uint32
	MinPartition         int32 // of the least cursor
	Count                uint16
}

// Min returns the block's least cursor in a bucket that starts at startMS.
func (ix *Index) Min(startMS int64) joiner.Cursor {
	return joiner.Cursor{TimeMS: startMS + int64(ix.MinTimeMS), Partition: ix.MinPartition, Offset: ix.MinOffset}
}

// AppendIndex appends consecutive blocks of one file to dst, about 12 bytes a
// block.
func AppendIndex(dst []byte, blocks []Index) []byte {
	var lastOffset int64
	for i := range blocks {
		ix := &blocks[i]
		dst = binary.AppendUvarint(dst, uint64(ix.Bytes))
		dst = binary.AppendUvarint(dst, uint64(ix.Count))
		dst = binary.AppendUvarint(dst, uint64(ix.MinTimeMS))
		dst = binary.AppendUvarint(dst, uint64(ix.MaxTimeMS-ix.MinTimeMS))
		dst = binary.AppendUvarint(dst, uint64(uint32(ix.MinPartition)))
		dst = binary.AppendVarint(dst, ix.MinOffset-lastOffset)
		lastOffset = ix.MinOffset
	}
	return dst
}

// ParseIndex appends to blocks what AppendIndex wrote of the blocks that follow
// them in the file.
func ParseIndex(blocks []Index, data []byte) ([]Index, error) {
	off := uint64(HeaderBytes)
	if n := len(blocks); n > 0 {
		off = uint64(blocks[n-1].Off) + uint64(blocks[n-1].Bytes)
	}
	var lastOffset int64
	for i := 0; i < len(data); {
		var v [6]uint64
		for field := range v {
			if v[field], i = uvarint(data, i); i == 0 {
				return nil, fmt.Errorf("block index is cut off: %w", joiner.ErrCorrupt)
			}
		}
		lastOffset += unzigzag(v[5])
		if v[0] > math.MaxUint32 || off+v[0] > math.MaxUint32 || v[1] > MaxEntries || v[2] > math.MaxUint32 || v[2]+v[3] > math.MaxUint32 || v[4] > math.MaxUint32 {
			return nil, fmt.Errorf("block index of block %d is out of range: %w", len(blocks), joiner.ErrCorrupt)
		}
		blocks = append(blocks, Index{
			MinOffset: lastOffset, Off: uint32(off), Bytes: uint32(v[0]), MinTimeMS: uint32(v[2]), MaxTimeMS: uint32(v[2] + v[3]),
			MinPartition: int32(uint32(v[4])), Count: uint16(v[1]),
		})
		off += v[0]
	}
	return blocks, nil
}
