package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Thrift's compact protocol, as far as page headers need it, and as far as it
// takes to see that a footer's lists are no longer than the footer: whoever
// decodes it allocates what they say.

var (
	errShort  = errors.New("the data ends too early")
	errThrift = errors.New("invalid Thrift")
)

// Types of fields, as the protocol numbers them.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
	thriftUUID   = 13
)

// maxThriftDepth bounds nesting; Parquet's own structures stay below 10.
const maxThriftDepth = 32

// thriftReader reads from data. After the first error it stays at it.
type thriftReader struct {
	data []byte
	at   int
	err  error
}

func (r *thriftReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *thriftReader) byte() byte {
	if r.err != nil || r.at >= len(r.data) {
		r.fail(errShort)
		return 0
	}
	r.at++
	return r.data[r.at-1]
}

func (r *thriftReader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.data[r.at:])
	if n <= 0 {
		if n == 0 {
			r.fail(errShort)
		} else {
			r.fail(errThrift)
		}
		return 0
	}
	r.at += n
	return v
}

func (r *thriftReader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *thriftReader) skipBytes(n uint64) {
	if r.err == nil && n > uint64(len(r.data)-r.at) {
		r.fail(errShort)
	}
	if r.err == nil {
		r.at += int(n)
	}
}

// fields calls each with every field of the struct that begins here; what each
// does not read, by returning false, is skipped.
func (r *thriftReader) fields(depth int, each func(id int16, typ byte) bool) {
	id := int16(0)
	for r.err == nil {
		head := r.byte()
		typ := head & 0x0f
		if typ == thriftStop {
			return
		}
		if delta := head >> 4; delta != 0 {
			id += int16(delta)
		} else {
			id = int16(r.varint())
		}
		if !each(id, typ) {
			r.skip(typ, depth)
		}
	}
}

// skip passes over a value. depth counts the structures around it.
func (r *thriftReader) skip(typ byte, depth int) {
	if depth > maxThriftDepth {
		r.fail(errThrift)
	}
	switch typ {
	case thriftTrue, thriftFalse:
	case thriftByte:
		r.byte()
	case thriftI16, thriftI32, thriftI64:
		r.uvarint()
	case thriftDouble:
		r.skipBytes(8)
	case thriftUUID:
		r.skipBytes(16)
	case thriftBinary:
		r.skipBytes(r.uvarint())
	case thriftList, thriftSet:
		r.skipList(depth)
	case thriftMap:
		n := r.uvarint()
		if n == 0 {
			return
		}
		types := r.byte()
		for i := uint64(0); i < n && r.err == nil; i++ {
			r.skipItem(types>>4, depth)
			r.skipItem(types&0x0f, depth)
		}
	case thriftStruct:
		r.fields(depth+1, func(int16, byte) bool { return false })
	default:
		r.fail(errThrift)
	}
}

func (r *thriftReader) skipList(depth int) {
	head := r.byte()
	n := uint64(head >> 4)
	if n == 15 {
		n = r.uvarint()
	}
	if n > uint64(len(r.data)-r.at) { // an item has a byte at least
		r.fail(fmt.Errorf("%w: a list of %d items in %d bytes", errThrift, n, len(r.data)))
	}
	for i := uint64(0); i < n && r.err == nil; i++ {
		r.skipItem(head&0x0f, depth)
	}
}

// skipItem passes over an item of a collection, where truths take a byte.
func (r *thriftReader) skipItem(typ byte, depth int) {
	if typ == thriftTrue || typ == thriftFalse {
		typ = thriftByte
	}
	r.skip(typ, depth+1)
}

// checkThrift reports whether data begins with a whole struct that can be decoded.
func checkThrift(data []byte) error {
	r := thriftReader{data: data}
	r.skip(thriftStruct, 0)
	return r.err
}
