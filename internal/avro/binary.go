package avro

import (
	"encoding/binary"
	"math"
)

// maxDepth bounds how deeply values of a type that contains itself may nest.
const maxDepth = 1000

// ReadLong reads an int or a long at i and returns where it ends; -1 when it is cut
// off or has more than 64 bits.
func ReadLong(data []byte, i int) (v int64, next int) {
	if i >= 0 && i < len(data) && data[i] < 0x80 {
		return int64(data[i]>>1) ^ -int64(data[i]&1), i + 1
	}
	return longSlow(data, i)
}

func longSlow(data []byte, i int) (int64, int) {
	if i < 0 || i > len(data) {
		return 0, -1
	}
	u, n := binary.Uvarint(data[i:])
	if n <= 0 {
		return 0, -1
	}
	return int64(u>>1) ^ -int64(u&1), i + n
}

// ReadText reads bytes or a string at i: its content, aliasing data, and where it
// ends; -1 when it is cut off.
func ReadText(data []byte, i int) (text []byte, next int) {
	n, i := ReadLong(data, i)
	if i < 0 || n < 0 || n > int64(len(data)-i) {
		return nil, -1
	}
	next = i + int(n)
	return data[i:next:next], next
}

// ReadFloat64 reads a double at i; next is -1 when it is cut off.
func ReadFloat64(data []byte, i int) (v float64, next int) {
	if len(data)-i < 8 {
		return 0, -1
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(data[i:])), i + 8
}

// ReadFloat32 reads a float at i; next is -1 when it is cut off.
func ReadFloat32(data []byte, i int) (v float64, next int) {
	if len(data)-i < 4 {
		return 0, -1
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))), i + 4
}

// ReadBool reads a boolean at i; next is -1 when it is cut off or neither 0 nor 1.
func ReadBool(data []byte, i int) (v bool, next int) {
	if i >= len(data) || data[i] > 1 {
		return false, -1
	}
	return data[i] == 1, i + 1
}

// ReadIndex reads the index of one of n union branches or enum symbols at i; next is
// -1 when there is no such one.
func ReadIndex(data []byte, i, n int) (index, next int) {
	v, next := ReadLong(data, i)
	if next < 0 || v < 0 || v >= int64(n) {
		return 0, -1
	}
	return int(v), next
}

// ReadBlock reads the head of a block of an array or map at i: how many items follow,
// 0 at the end, and how many bytes they take, -1 where the writer does not say.
func ReadBlock(data []byte, i int) (count, size int64, next int) {
	count, next = ReadLong(data, i)
	if next < 0 || count >= 0 {
		return count, -1, next
	}
	size, next = ReadLong(data, next)
	if next < 0 || count == math.MinInt64 || size < 0 || size > int64(len(data)-next) {
		return 0, -1, -1
	}
	return -count, size, next
}

// Skip passes over a value of the type at i and returns where it ends; -1 when
// the data is not one.
func (n *Node) Skip(data []byte, i int) int { return n.skip(data, i, maxDepth) }

func (n *Node) skip(data []byte, i, depth int) int {
	if depth == 0 || i < 0 {
		return -1
	}
	switch n.Kind {
	case Boolean:
		_, i = ReadBool(data, i)
	case Int, Long:
		_, i = ReadLong(data, i)
	case Float:
		i = within(data, i+4)
	case Double:
		i = within(data, i+8)
	case Fixed:
		i = within(data, i+n.Size)
	case Bytes, String:
		_, i = ReadText(data, i)
	case Enum:
		_, i = ReadIndex(data, i, len(n.Symbols))
	case Union:
		var branch int
		if branch, i = ReadIndex(data, i, len(n.Branches)); i >= 0 {
			i = n.Branches[branch].skip(data, i, depth-1)
		}
	case Record:
		for f := range n.Fields {
			if i = n.Fields[f].Type.skip(data, i, depth-1); i < 0 {
				return -1
			}
		}
	case Array, Map:
		i = n.skipBlocks(data, i, depth)
	}
	return i
}

func (n *Node) skipBlocks(data []byte, i, depth int) int {
	for {
		count, size, next := ReadBlock(data, i)
		if next < 0 || count == 0 {
			return next
		}
		if i = next; size >= 0 {
			i += int(size)
			continue
		}
		for ; count > 0; count-- {
			before := i
			if n.Kind == Map {
				_, i = ReadText(data, i)
			}
			if i = n.Elem.skip(data, i, depth-1); i < 0 {
				return -1
			}
			if i == before {
				break // items of no bytes: however many there are, they end here
			}
		}
	}
}

func within(data []byte, i int) int {
	if i > len(data) {
		return -1
	}
	return i
}
