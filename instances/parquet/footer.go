package parquet

import (
	"encoding/binary"
	"errors"
	"io"
)

// The library takes memory for as many elements as a list in the footer says it
// has, and ends the process with "out of memory" where damage made that billions.
// So the footer is walked first, by Thrift's compact protocol
// (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md):
// an element takes at least a byte.

var errFooter = errors.New("the footer is damaged")

// checkFooter returns an error when a footer's lists do not fit into it. Whether
// it makes sense is left to the library.
func checkFooter(file io.ReaderAt, sizeBytes int64) error {
	var tail [8]byte
	if sizeBytes < 12 {
		return errors.New("it is too short for a Parquet file")
	}
	if _, err := file.ReadAt(tail[:], sizeBytes-8); err != nil {
		return err
	}
	length := int64(binary.LittleEndian.Uint32(tail[:]))
	if string(tail[4:]) != "PAR1" || length > sizeBytes-12 {
		return errors.New("it does not end as a Parquet file does: it is none, or it was cut off")
	}
	footer := make([]byte, length)
	if _, err := file.ReadAt(footer, sizeBytes-8-length); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if w := (walker{footer}); !w.skip(typeStruct, 0) {
		return errFooter
	}
	return nil
}

// walker passes over values of the compact protocol.
type walker struct{ data []byte }

// Types of the compact protocol.
const (
	typeTrue   = 1
	typeFalse  = 2
	typeByte   = 3
	typeI16    = 4
	typeI32    = 5
	typeI64    = 6
	typeDouble = 7
	typeBinary = 8
	typeList   = 9
	typeSet    = 10
	typeMap    = 11
	typeStruct = 12
	typeUUID   = 13

	maxDepth = 32
)

// skip passes over one value, and reports whether it is all there.
func (w *walker) skip(typ byte, depth int) bool {
	switch typ {
	case typeTrue, typeFalse, typeByte: // in a list; in a struct the type is the value
		return w.pass(1)
	case typeI16, typeI32, typeI64:
		_, ok := w.uvarint()
		return ok
	case typeDouble:
		return w.pass(8)
	case typeUUID:
		return w.pass(16)
	case typeBinary:
		n, ok := w.uvarint()
		return ok && w.pass(n)
	case typeList, typeSet:
		return depth < maxDepth && w.skipList(depth+1)
	case typeMap:
		return depth < maxDepth && w.skipMap(depth+1)
	case typeStruct:
		return depth < maxDepth && w.skipStruct(depth+1)
	}
	return false
}

func (w *walker) pass(n uint64) bool {
	if n > uint64(len(w.data)) {
		return false
	}
	w.data = w.data[n:]
	return true
}

func (w *walker) uvarint() (uint64, bool) {
	v, n := binary.Uvarint(w.data)
	if n <= 0 {
		return 0, false
	}
	w.data = w.data[n:]
	return v, true
}

func (w *walker) byte() (byte, bool) {
	if len(w.data) == 0 {
		return 0, false
	}
	b := w.data[0]
	w.data = w.data[1:]
	return b, true
}

func (w *walker) skipList(depth int) bool {
	head, ok := w.byte()
	n := uint64(head >> 4)
	if ok && n == 15 {
		n, ok = w.uvarint()
	}
	if !ok || n > uint64(len(w.data)) {
		return false
	}
	for range n {
		if !w.skip(head&15, depth) {
			return false
		}
	}
	return true
}

func (w *walker) skipMap(depth int) bool {
	n, ok := w.uvarint()
	if !ok || n == 0 {
		return ok
	}
	types, ok := w.byte()
	if !ok || n > uint64(len(w.data)) {
		return false
	}
	for range n {
		if !w.skip(types>>4, depth) || !w.skip(types&15, depth) {
			return false
		}
	}
	return true
}

func (w *walker) skipStruct(depth int) bool {
	for {
		head, ok := w.byte()
		if !ok || head == 0 {
			return ok
		}
		if head>>4 == 0 {
			if _, ok = w.uvarint(); !ok {
				return false
			}
		}
		if typ := head & 15; typ != typeTrue && typ != typeFalse && !w.skip(typ, depth) {
			return false
		}
	}
}
