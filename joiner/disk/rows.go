package disk

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/zeebo/xxh3"

	"github.com/mortise-dev/mortise/joiner"
)

// The manifest's rows, of which all but the first two belong to one store:
//
//	r task                   the store's number
//	n                        the number that the last store got; none is given twice
//	s store h                head
//	s store f file           file
//	s store x file ordinal   index of the blocks from ordinal on, as of one commit
//
// Numbers in keys are big-endian.
const (
	rowTask   = 'r'
	rowNumber = 'n'
	rowStore  = 's'
	rowFile   = 'f'
	rowHead   = 'h'
	rowIndex  = 'x'
)

func taskKey(task string) []byte { return append([]byte{rowTask}, task...) }

func storeKey(store uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{rowStore}, store)
}

func headKey(store uint64) []byte { return append(storeKey(store), rowHead) }

func appendFileKey(dst []byte, store uint64, file uint32) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, rowStore), store)
	return binary.BigEndian.AppendUint32(append(dst, rowFile), file)
}

func appendIndexKey(dst []byte, store uint64, file uint32, ordinal uint32) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, rowStore), store)
	dst = binary.BigEndian.AppendUint32(append(dst, rowIndex), file)
	return binary.BigEndian.AppendUint32(dst, ordinal)
}

// head is the row that a commit is known by. It vouches for all other rows of
// the store: were one missing, of another commit, or another store's, then the
// digest would differ.
type head struct {
	commit   uint64 // counts up
	nextFile uint32
	bucketMS int64
	coarseMS int64
	files    uint64
	digest   uint64 // sum of the hashes of the store's file and index rows
	meta     []byte // nil differs from empty
}

func (h *head) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, h.commit)
	dst = binary.AppendUvarint(dst, uint64(h.nextFile))
	dst = binary.AppendUvarint(dst, uint64(h.bucketMS))
	dst = binary.AppendUvarint(dst, uint64(h.coarseMS))
	dst = binary.AppendUvarint(dst, h.files)
	dst = binary.LittleEndian.AppendUint64(dst, h.digest)
	if h.meta != nil {
		dst = append(append(dst, 1), h.meta...)
	}
	return binary.LittleEndian.AppendUint64(dst, xxh3.Hash(dst))
}

func parseHead(row []byte) (head, error) {
	bad := fmt.Errorf("head row: %w", joiner.ErrCorrupt)
	if len(row) < 16 || binary.LittleEndian.Uint64(row[len(row)-8:]) != xxh3.Hash(row[:len(row)-8]) {
		return head{}, bad
	}
	r := rowReader{data: row[:len(row)-8]}
	h := head{commit: r.uvarint(math.MaxUint64), nextFile: uint32(r.uvarint(math.MaxUint32)), bucketMS: int64(r.uvarint(math.MaxUint32)),
		coarseMS: int64(r.uvarint(math.MaxUint32)), files: r.uvarint(math.MaxUint32)}
	if r.bad || len(r.data) < 8 || h.bucketMS == 0 || h.coarseMS == 0 {
		return head{}, bad
	}
	h.digest = binary.LittleEndian.Uint64(r.data)
	if r.data = r.data[8:]; len(r.data) > 0 {
		h.meta = append([]byte{}, r.data[1:]...)
	}
	return h, nil
}

// low is the least offset of one source in a file.
type low struct {
	offset int64
	source uint16
}

// appendFileRow writes kind, opening, bucket, length, entries, blocks and lows.
func appendFileRow(dst []byte, f *file) []byte {
	dst = append(dst, byte(f.kind))
	dst = binary.LittleEndian.AppendUint64(dst, f.opening)
	dst = binary.AppendVarint(dst, f.bucket.index)
	dst = binary.AppendUvarint(dst, uint64(f.length))
	dst = binary.AppendUvarint(dst, uint64(f.entries))
	dst = binary.AppendUvarint(dst, uint64(len(f.index)))
	for _, l := range f.lows {
		dst = binary.AppendUvarint(dst, uint64(l.source))
		dst = binary.AppendVarint(dst, l.offset)
	}
	return dst
}

// fileRow is what appendFileRow wrote.
type fileRow struct {
	kind                    joiner.LogKind
	opening                 uint64
	bucket, length, entries int64
	blocks                  int
	lows                    []low
}

func parseFileRow(row []byte) (fileRow, error) {
	bad := fmt.Errorf("file row: %w", joiner.ErrCorrupt)
	if len(row) < 9 || row[0] >= byte(joiner.NumLogs) {
		return fileRow{}, bad
	}
	r := rowReader{data: row[9:]}
	f := fileRow{kind: joiner.LogKind(row[0]), opening: binary.LittleEndian.Uint64(row[1:]), bucket: r.varint(), length: int64(r.uvarint(math.MaxUint32)), entries: int64(r.uvarint(math.MaxInt64)), blocks: int(r.uvarint(math.MaxUint32))}
	for len(r.data) > 0 && !r.bad {
		f.lows = append(f.lows, low{source: uint16(r.uvarint(math.MaxUint16)), offset: r.varint()})
	}
	if r.bad {
		return fileRow{}, bad
	}
	return f, nil
}

// rowReader reads varints off a row and remembers whether one was bad.
type rowReader struct {
	data []byte
	bad  bool
}

func (r *rowReader) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 || v > limit {
		r.bad = true
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *rowReader) varint() int64 {
	v := r.uvarint(math.MaxUint64)
	return int64(v>>1) ^ -int64(v&1)
}

// rowDigest is a row's share of the head's digest.
func rowDigest(key, value []byte) uint64 {
	return xxh3.HashSeed(value, xxh3.Hash(key))
}
