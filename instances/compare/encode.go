package compare

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/zeebo/xxh3"

	mortise "github.com/mortise-dev/mortise"
)

// A record is one row as it is sorted, spilled and merged:
//
//	hash of the id (8) | length of the id | id | revision (8) | event time (8) | values | layout (4)
//
// Records are in the order of their bytes. That puts the rows of one instance
// side by side, by revision and event time, and instances in the order of a
// hash: sorting rarely looks further than 8 bytes, and what is sampled first is a
// fair sample. Values are canonical: equal numbers are equal bytes, whether a
// format keeps them as integers, floats or timestamps.
const (
	tagNull byte = iota
	tagFalse
	tagTrue
	tagInt   // zigzag varint
	tagFloat // 8 bytes, of numbers that tagInt cannot say
	tagText  // length, bytes
	tagList  // count, elements
)

const (
	hashBytes   = 8
	layoutBytes = 4
	signBit     = 1 << 63
)

func appendKey(dst, id []byte, revision, timeMS int64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, xxh3.Hash(id))
	dst = append(binary.AppendUvarint(dst, uint64(len(id))), id...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(revision)^signBit)
	return binary.BigEndian.AppendUint64(dst, uint64(timeMS)^signBit)
}

func appendValue(dst []byte, v *mortise.Value) []byte {
	switch v.Kind {
	case mortise.Int, mortise.Timestamp:
		return binary.AppendVarint(append(dst, tagInt), v.Int())
	case mortise.Float:
		return appendFloat(dst, v.Float())
	case mortise.Bool:
		if v.Bool() {
			return append(dst, tagTrue)
		}
		return append(dst, tagFalse)
	case mortise.String:
		text := v.Text()
		return append(binary.AppendUvarint(append(dst, tagText), uint64(len(text))), text...)
	case mortise.List:
		list := v.List()
		dst = binary.AppendUvarint(append(dst, tagList), uint64(len(list)))
		for i := range list {
			dst = appendValue(dst, &list[i])
		}
		return dst
	}
	return append(dst, tagNull)
}

// appendFloat writes whole numbers that a float holds exactly as integers, both
// zeros as 0, and every NaN as one.
func appendFloat(dst []byte, f float64) []byte {
	const exact = 1 << 53
	if f == math.Trunc(f) && -exact <= f && f <= exact {
		return binary.AppendVarint(append(dst, tagInt), int64(f))
	}
	if math.IsNaN(f) {
		f = math.NaN()
	}
	return binary.BigEndian.AppendUint64(append(dst, tagFloat), math.Float64bits(f))
}

// valueLen returns how long the encoded value is that b begins with.
func valueLen(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, errShort
	}
	switch b[0] {
	case tagNull, tagFalse, tagTrue:
		return 1, nil
	case tagInt:
		_, n := binary.Varint(b[1:])
		if n <= 0 {
			return 0, errShort
		}
		return 1 + n, nil
	case tagFloat:
		if len(b) < 9 {
			return 0, errShort
		}
		return 9, nil
	case tagText:
		size, n := binary.Uvarint(b[1:])
		if n <= 0 || size > uint64(len(b)-1-n) {
			return 0, errShort
		}
		return 1 + n + int(size), nil
	case tagList:
		count, n := binary.Uvarint(b[1:])
		if n <= 0 {
			return 0, errShort
		}
		at := 1 + n
		for range count {
			n, err := valueLen(b[at:])
			if err != nil {
				return 0, err
			}
			at += n
		}
		return at, nil
	}
	return 0, fmt.Errorf("a scratch file holds a value of unknown kind %d: it was changed while it was in use", b[0])
}

var errShort = fmt.Errorf("a scratch file holds half a value: it was changed while it was in use")

// listOf views the elements of an encoded list.
func listOf(b []byte) view {
	_, n := binary.Uvarint(b[1:])
	return view{rest: b[1+n:]}
}

// number returns an encoded value as a float64.
func number(b []byte) (float64, bool) {
	switch b[0] {
	case tagInt:
		v, _ := binary.Varint(b[1:])
		return float64(v), true
	case tagFloat:
		return math.Float64frombits(binary.BigEndian.Uint64(b[1:])), true
	}
	return 0, false
}

// plainValue decodes a value to what encoding/json prints as a row would have it.
func plainValue(b []byte) any {
	switch b[0] {
	case tagFalse, tagTrue:
		return b[0] == tagTrue
	case tagInt:
		v, _ := binary.Varint(b[1:])
		return v
	case tagFloat:
		f, _ := number(b)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Sprint(f)
		}
		return f
	case tagText:
		_, n := binary.Uvarint(b[1:])
		return string(b[1+n:])
	case tagList:
		list := []any{}
		for elements := listOf(b); len(elements.rest) > 0; {
			list = append(list, plainValue(elements.next()))
		}
		return list
	}
	return nil
}
