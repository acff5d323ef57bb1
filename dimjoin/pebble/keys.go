package pebble

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/cockroachdb/pebble/v2"
)

// What is kept, by the first byte of its key.
const (
	keepFormat   = 'f' // → the format of everything
	keepCurrent  = 'c' // → the name of the version that is read
	keepVersion  = 'v' // name → number of a version, 4 bytes
	keepPosition = 'p' // number, name → position
	keepRow      = 'r' // number, key, end, time → packed row; nothing: there is none from then on
	keepNote     = 'n' // number, key → what a change stream has to remember of the key
)

// format goes with the comparer's name: both are of how keys are written.
const format = "2"

// endOfKey is what follows a row's key, and what stands nowhere before: a zero byte
// of the key is written 01 01, and a 01 is written 01 02.
const endOfKey, escape = 0, 1

// timeBytes are behind a row's key and its end: the time from which it holds, so that
// the newest comes first.
const timeBytes = 8

// appendRowKey appends a row's key and its end, without its time.
func appendRowKey(dst []byte, version uint32, key []byte) []byte {
	dst = appendNumber(append(dst, keepRow), version)
	for _, c := range key {
		if c <= escape {
			dst = append(dst, escape)
			c++
		}
		dst = append(dst, c)
	}
	return append(dst, endOfKey)
}

// appendNumber appends the number of a version, in five bytes that are none of them
// zero and in the order of the number.
func appendNumber(dst []byte, version uint32) []byte {
	for shift := 28; shift >= 0; shift -= 7 {
		dst = append(dst, 0x80|byte(version>>shift))
	}
	return dst
}

func appendTime(dst []byte, ms int64) []byte {
	return binary.BigEndian.AppendUint64(dst, math.MaxUint64-(uint64(ms)^1<<63))
}

// timeOf reads the time behind a row's key.
func timeOf(key []byte) int64 {
	return int64((math.MaxUint64 - binary.BigEndian.Uint64(key[len(key)-timeBytes:])) ^ 1<<63)
}

func positionKey(version uint32, name string) []byte {
	return append(appendNumber([]byte{keepPosition}, version), name...)
}

func noteKey(dst []byte, version uint32, key []byte) []byte {
	return append(appendNumber(append(dst, keepNote), version), key...)
}

// span is all that begins with what a version's rows, notes or positions do.
func span(kind byte, version uint32) (from, to []byte) {
	from = appendNumber([]byte{kind}, version)
	if version == math.MaxUint32 {
		return from, []byte{kind + 1}
	}
	return from, appendNumber([]byte{kind}, version+1)
}

// comparer orders keys by their bytes, and tells a row's key from the time behind
// it: filters are of keys.
var comparer = &pebble.Comparer{
	Name:                 "mortise.dimensions." + format,
	Compare:              bytes.Compare,
	Equal:                bytes.Equal,
	CompareRangeSuffixes: bytes.Compare,
	ComparePointSuffixes: bytes.Compare,
	Split:                split,
	AbbreviatedKey:       pebble.DefaultComparer.AbbreviatedKey,
	Separator:            pebble.DefaultComparer.Separator,
	Successor:            pebble.DefaultComparer.Successor,
	ImmediateSuccessor:   immediateSuccessor,
	FormatKey:            pebble.DefaultComparer.FormatKey,
}

// split is where a key's time begins: behind the first zero byte. Pebble gives it more
// than rows' keys: what split returned, other rows, the bounds of ranges, keys that
// Separator shortened. Whatever the bytes, a prefix is its own prefix, and none but one
// without a time begins another, so that the order of the bytes is that of the prefixes
// and then that of the times.
func split(key []byte) int {
	if i := bytes.IndexByte(key, endOfKey); i >= 0 {
		return i + 1
	}
	return len(key)
}

// immediateSuccessor is the first prefix after another. What goes on behind the end of
// a key is no prefix.
func immediateSuccessor(dst, prefix []byte) []byte {
	if n := len(prefix); n > 0 && prefix[n-1] == endOfKey {
		return append(append(dst, prefix[:n-1]...), endOfKey+1)
	}
	return append(append(dst, prefix...), 0)
}
