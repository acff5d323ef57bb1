package mortise

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// SchemaIDHeader is the header in which a record may carry the id of the schema
// that its value was written with.
const SchemaIDHeader = "__value_schema_id"

const (
	magicNumber = 0 // four bytes follow, big-endian
	magicGUID   = 1 // sixteen bytes follow
)

// SchemaID is how a record names the schema that it was written with: the number
// that a registry gave it, or its GUID, which is the same in every registry. It
// is comparable.
type SchemaID struct {
	number uint32
	guid   [16]byte
	global bool
}

// SchemaNumber makes the id of a number.
func SchemaNumber(n uint32) SchemaID { return SchemaID{number: n} }

// SchemaGUID reads a GUID, with or without its dashes.
func SchemaGUID(text string) (id SchemaID, ok bool) {
	digits := make([]byte, 0, 32)
	for i := range len(text) {
		if text[i] != '-' {
			digits = append(digits, text[i])
		}
	}
	if len(digits) != 2*len(id.guid) {
		return id, false
	}
	_, err := hex.Decode(id.guid[:], digits)
	id.global = true
	return id, err == nil
}

// CutSchemaID takes the id off the front of a framed value or of a header:
//
//	0, number as 4 bytes big-endian, rest
//	1, GUID as 16 bytes, rest
//
// False is for what is neither.
func CutSchemaID(framed []byte) (id SchemaID, rest []byte, ok bool) {
	switch {
	case len(framed) >= 5 && framed[0] == magicNumber:
		return SchemaID{number: binary.BigEndian.Uint32(framed[1:])}, framed[5:], true
	case len(framed) >= 17 && framed[0] == magicGUID:
		id.global = true
		copy(id.guid[:], framed[1:])
		return id, framed[17:], true
	}
	return id, framed, false
}

// Append appends the id as CutSchemaID reads it.
func (id SchemaID) Append(dst []byte) []byte {
	if id.global {
		return append(append(dst, magicGUID), id.guid[:]...)
	}
	return binary.BigEndian.AppendUint32(append(dst, magicNumber), id.number)
}

// Number returns the registry's number; false for a GUID.
func (id SchemaID) Number() (uint32, bool) { return id.number, !id.global }

// String is the number, or the GUID in its usual spelling.
func (id SchemaID) String() string {
	if !id.global {
		return strconv.FormatUint(uint64(id.number), 10)
	}
	h := hex.EncodeToString(id.guid[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// WriterSchema is the schema that a record was written with.
type WriterSchema struct {
	Type string // AVRO, PROTOBUF or JSON, as registries call them
	Text string
	// References are the schemas that the text refers to by name, all that they
	// refer to before them.
	References []SchemaReference
}

// SchemaReference is one of them: a type's full name (Avro), or the name by which
// it is imported (Protobuf).
type SchemaReference struct{ Name, Text string }

// SchemaHeader returns the value of a record's SchemaIDHeader; nil without one.
func SchemaHeader(headers []Header) []byte {
	for i := range headers {
		if headers[i].Key == SchemaIDHeader {
			return headers[i].Value
		}
	}
	return nil
}
