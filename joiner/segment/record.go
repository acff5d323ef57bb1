package segment

import (
	"encoding/binary"
	"math"

	"github.com/mortise-dev/mortise/joiner"
)

// An entry in a block is a record: eight varints, the key, the value.
//
//	time       event time less the bucket's start
//	offset     zigzag of the offset less the block's base offset
//	partition, source, flags, accept, length of key, length of value
//
// Nothing refers to the record before it, so any record is read by itself.

// MaxEntryBytes bounds key and value of one entry together: 64 MiB of value and
// room for a key.
const MaxEntryBytes = 65 << 20

func appendRecord(dst []byte, e *joiner.Entry, startMS, baseOffset int64) []byte {
	dst = binary.AppendUvarint(dst, uint64(e.TimeMS)-uint64(startMS))
	dst = binary.AppendVarint(dst, e.Offset-baseOffset)
	dst = binary.AppendUvarint(dst, uint64(uint32(e.Partition)))
	dst = binary.AppendUvarint(dst, uint64(e.Source))
	dst = binary.AppendUvarint(dst, uint64(e.Flags))
	dst = binary.AppendUvarint(dst, uint64(e.Accept))
	dst = binary.AppendUvarint(dst, uint64(len(e.Key)))
	dst = binary.AppendUvarint(dst, uint64(len(e.Value)))
	dst = append(dst, e.Key...)
	return append(dst, e.Value...)
}

// uvarint reads a varint at data[i:] and returns the index after it, 0 when
// there is none. Index 0 is never after a varint.
func uvarint(data []byte, i int) (uint64, int) {
	if i < len(data) && data[i] < 0x80 {
		return uint64(data[i]), i + 1
	}
	return longUvarint(data, i)
}

func longUvarint(data []byte, i int) (uint64, int) {
	if i > len(data) {
		return 0, 0
	}
	v, n := binary.Uvarint(data[i:])
	if n <= 0 {
		return 0, 0
	}
	return v, i + n
}

func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// recordLimits are the largest values of a record's varints; the first is the
// bucket's to limit.
var recordLimits = [8]uint64{math.MaxUint64, math.MaxUint64, math.MaxUint32, math.MaxUint16, math.MaxUint16, math.MaxUint32, MaxEntryBytes, MaxEntryBytes}

// checkRecord returns the index after the record at data[i:], and 0 when the
// bytes are no record of a bucket spanMS long. Records that pass are read
// without further checks.
func checkRecord(data []byte, i int, spanMS int64) int {
	v, next := uvarint(data, i)
	if next == 0 || v >= uint64(spanMS) {
		return 0
	}
	var last uint64
	for field := 1; field < len(recordLimits); field++ {
		last = v
		if v, next = uvarint(data, next); next == 0 || v > recordLimits[field] {
			return 0
		}
	}
	if last+v > uint64(len(data)-next) {
		return 0
	}
	return next + int(last+v)
}

// readRecord reads a checked record at data[i:] into e; Key and Value alias data.
func readRecord(data []byte, i int, e *joiner.Entry, startMS, baseOffset int64) {
	var v uint64
	v, i = uvarint(data, i)
	e.TimeMS = startMS + int64(v)
	v, i = uvarint(data, i)
	e.Offset = baseOffset + unzigzag(v)
	v, i = uvarint(data, i)
	e.Partition = int32(uint32(v))
	v, i = uvarint(data, i)
	e.Source = uint16(v)
	v, i = uvarint(data, i)
	e.Flags = uint16(v)
	v, i = uvarint(data, i)
	e.Accept = uint32(v)
	v, i = uvarint(data, i)
	keyBytes := int(v)
	v, i = uvarint(data, i)
	end := i + keyBytes
	e.Key = data[i:end:end]
	e.Value = data[end : end+int(v) : end+int(v)]
}

// readCursor reads the position of a checked record at data[i:].
func readCursor(data []byte, i int, startMS, baseOffset int64) joiner.Cursor {
	t, i := uvarint(data, i)
	o, i := uvarint(data, i)
	p, _ := uvarint(data, i)
	return joiner.Cursor{TimeMS: startMS + int64(t), Partition: int32(uint32(p)), Offset: baseOffset + unzigzag(o)}
}
