package pebble

import (
	"encoding/binary"
	"math"
)

// What is kept, by the first byte of its key.
const (
	keepFormat   = 'f' // → the format of everything
	keepCurrent  = 'c' // → the name of the version that is read
	keepVersion  = 'v' // name → number of a version, 4 bytes
	keepPosition = 'p' // number, name → position
	keepRow      = 'r' // number, key, time → packed row; nothing: there is none from then on
	keepNote     = 'n' // number, key → what a change stream has to remember of the key
)

const format = "1"

// endOfKey is what follows a key; a zero byte in it is followed by 0xff, so that no
// key with its end is the beginning of another.
const endOfKey = "\x00\x01"

// timeBytes are behind a row's key: the time from which it holds, so that the newest
// comes first.
const timeBytes = 8

// appendRowKey appends a row's key, without its time.
func appendRowKey(dst []byte, version uint32, key []byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, keepRow), version)
	for _, c := range key {
		if dst = append(dst, c); c == 0 {
			dst = append(dst, 0xff)
		}
	}
	return append(dst, endOfKey...)
}

func appendTime(dst []byte, ms int64) []byte {
	return binary.BigEndian.AppendUint64(dst, math.MaxUint64-(uint64(ms)^1<<63))
}

// timeOf reads the time behind a row's key.
func timeOf(key []byte) int64 {
	return int64((math.MaxUint64 - binary.BigEndian.Uint64(key[len(key)-timeBytes:])) ^ 1<<63)
}

// split is where a key's time begins.
func split(key []byte) int {
	const least = 1 + 4 + len(endOfKey) + timeBytes
	if len(key) >= least && key[0] == keepRow {
		return len(key) - timeBytes
	}
	return len(key)
}

func positionKey(version uint32, name string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{keepPosition}, version), name...)
}

// span is all that begins with what a version's rows or positions do.
func span(kind byte, version uint32) (from, to []byte) {
	from = binary.BigEndian.AppendUint32([]byte{kind}, version)
	if version == math.MaxUint32 {
		return from, []byte{kind + 1}
	}
	return from, binary.BigEndian.AppendUint32([]byte{kind}, version+1)
}
