// Package wire is the Protobuf wire format: the varints, tags and lengths that
// the encoders and decoders of instances/protobuf, instances/tfexample and
// joiner/clean/protobuf are made of. What it reads is bounds-checked; a next of
// -1 says that the data is cut off or not a message.
package wire

import (
	"encoding/binary"
	"hash/fnv"
	"math/bits"
)

// Type is how a field's value is laid out.
type Type uint8

const (
	Varint   Type = 0
	Fixed64  Type = 1
	Bytes    Type = 2
	Group    Type = 3 // ends with an EndGroup of the same number
	EndGroup Type = 4
	Fixed32  Type = 5
)

// Tag reads a field's number and type at i.
func Tag(data []byte, i int) (number int32, typ Type, next int) {
	if i+1 < len(data) { // numbers up to 15 take one byte, up to 2047 two
		switch a, b := data[i], data[i+1]; {
		case a >= 8 && a < 0x80:
			return int32(a >> 3), Type(a & 7), i + 1
		case a >= 0x80 && b > 0 && b < 0x80:
			return int32(a&0x7f)>>3 | int32(b)<<4, Type(a & 7), i + 2
		}
	}
	return tagSlow(data, i)
}

func tagSlow(data []byte, i int) (number int32, typ Type, next int) {
	v, next := Uvarint(data, i)
	if next < 0 || v>>3 == 0 || v>>3 > 1<<29-1 {
		return 0, 0, -1
	}
	return int32(v >> 3), Type(v & 7), next
}

// Uvarint reads a varint at i.
func Uvarint(data []byte, i int) (v uint64, next int) {
	if i < len(data) && data[i] < 0x80 {
		return uint64(data[i]), i + 1
	}
	v, n := binary.Uvarint(data[min(i, len(data)):])
	if n <= 0 {
		return 0, -1
	}
	return v, i + n
}

// Text reads a length and as many bytes, which alias data.
func Text(data []byte, i int) (text []byte, next int) {
	n, i := Uvarint(data, i)
	if i < 0 || n > uint64(len(data)-i) {
		return nil, -1
	}
	next = i + int(n)
	return data[i:next:next], next
}

// Uint64 reads a Fixed64.
func Uint64(data []byte, i int) (v uint64, next int) {
	if len(data)-i < 8 {
		return 0, -1
	}
	return binary.LittleEndian.Uint64(data[i:]), i + 8
}

// Uint32 reads a Fixed32.
func Uint32(data []byte, i int) (v uint32, next int) {
	if len(data)-i < 4 {
		return 0, -1
	}
	return binary.LittleEndian.Uint32(data[i:]), i + 4
}

// maxDepth bounds how deeply groups may nest; it is Protobuf's own limit.
const maxDepth = 100

// Skip passes over the value at i of a field of the number and type.
func Skip(data []byte, i int, number int32, typ Type) (next int) {
	if i < len(data) && data[i] < 0x80 { // most varints and lengths take one byte
		switch typ {
		case Varint:
			return i + 1
		case Bytes:
			if next = i + 1 + int(data[i]); next <= len(data) {
				return next
			}
			return -1
		}
	}
	return skip(data, i, number, typ, maxDepth)
}

func skip(data []byte, i int, number int32, typ Type, depth int) (next int) {
	switch typ {
	case Varint:
		_, next = Uvarint(data, i)
	case Fixed64:
		_, next = Uint64(data, i)
	case Bytes:
		_, next = Text(data, i)
	case Fixed32:
		_, next = Uint32(data, i)
	case Group:
		return skipGroup(data, i, number, depth)
	default:
		return -1
	}
	return next
}

func skipGroup(data []byte, i int, number int32, depth int) int {
	for depth > 0 {
		inner, typ, next := Tag(data, i)
		switch {
		case next < 0:
			return -1
		case typ == EndGroup:
			if inner != number {
				return -1
			}
			return next
		}
		if i = skip(data, next, inner, typ, depth-1); i < 0 {
			return -1
		}
	}
	return -1
}

// Size is how many bytes a varint takes.
func Size(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// AppendTag appends a field's number and type.
func AppendTag(dst []byte, number int32, typ Type) []byte {
	return binary.AppendUvarint(dst, uint64(number)<<3|uint64(typ))
}

// NumberOf is a field number that depends on the field's name alone, all of which
// take four bytes as a tag.
func NumberOf(name string) int32 {
	const first, end = 1 << 18, 1 << 25
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash takes everything
	return int32(first + h.Sum64()%(end-first))
}
