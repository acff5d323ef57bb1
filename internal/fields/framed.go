package fields

import (
	"encoding/binary"
	"fmt"

	mortise "github.com/mortise-dev/mortise"
)

// Framed finds the scanner for each record by the schema's id that stands in
// front of its value. One goroutine uses it.
type Framed struct {
	wants   []Want
	format  Format
	lookup  func(mortise.SchemaID) (*mortise.WriterSchema, error)
	known   map[frame]compiled
	last    frame
	scanner Scanner // of last
}

// Format is what differs between formats whose records name their schema.
type Format interface {
	// CutMessage takes what says which of the schema's types a value is of off its
	// front; a format whose schemas have one type takes nothing.
	CutMessage(value []byte) (message, rest []byte, ok bool)
	// Compile makes a scanner for values that a schema describes.
	Compile(ws *mortise.WriterSchema, message []byte, wants []Want) (Scanner, error)
}

type frame struct {
	id      mortise.SchemaID
	message string
}

type compiled struct {
	scanner Scanner
	fault   *mortise.RecordError
}

// NewFramed makes one for the wants. Errors of lookup that are a
// *mortise.RecordError are about the id.
func NewFramed(f Format, wants []Want, lookup func(mortise.SchemaID) (*mortise.WriterSchema, error)) *Framed {
	return &Framed{wants: wants, format: f, lookup: lookup, known: map[frame]compiled{}}
}

// Open returns the scanner for a value, and the value without its frame. The
// error is a *mortise.RecordError, ReasonBadSchema, when there is none for it;
// any other error of lookup is passed on.
func (f *Framed) Open(value []byte) (s Scanner, body []byte, err error) {
	id, rest, ok := mortise.CutSchemaID(value)
	if !ok {
		return nil, nil, bad("it does not begin with a schema's id (a zero byte and four more, or a one and sixteen), and has none in its header")
	}
	message, body, ok := f.format.CutMessage(rest)
	if !ok {
		return nil, nil, bad("what follows the id of schema %s does not say which of its messages it is", id)
	}
	if f.scanner != nil && id == f.last.id && string(message) == f.last.message {
		return f.scanner, body, nil
	}
	s, err = f.find(frame{id, string(message)})
	return s, body, err
}

func (f *Framed) find(at frame) (Scanner, error) {
	c, ok := f.known[at]
	if !ok {
		ws, err := f.lookup(at.id)
		if err != nil {
			return nil, err
		}
		if c.scanner, err = f.format.Compile(ws, []byte(at.message), f.wants); err != nil {
			c.fault = bad("schema %s cannot be used: %v", at.id, err)
		}
		f.known[at] = c
	}
	if c.fault != nil {
		return nil, c.fault
	}
	f.last, f.scanner = at, c.scanner
	return c.scanner, nil
}

func bad(format string, args ...any) *mortise.RecordError {
	return &mortise.RecordError{Reason: mortise.ReasonBadSchema, Detail: fmt.Sprintf(format, args...)}
}

// CutIndexes takes a Protobuf value's message indexes off its front: their
// number and each of them, as zigzag varints; a lone 0 is the first message.
func CutIndexes(value []byte) (indexes, rest []byte, ok bool) {
	const most = 64 // how deeply messages are declared within messages
	n, used := binary.Varint(value)
	if used <= 0 || n < 0 || n > most {
		return nil, value, false
	}
	for range n {
		index, k := binary.Varint(value[used:])
		if k <= 0 || index < 0 || index > 1<<20 {
			return nil, value, false
		}
		used += k
	}
	return value[:used], value[used:], true
}

// Indexes reads what CutIndexes cut off.
func Indexes(message []byte) (indexes []int) {
	n, used := binary.Varint(message)
	for range n {
		index, k := binary.Varint(message[used:])
		indexes, used = append(indexes, int(index)), used+k
	}
	if len(indexes) == 0 {
		return []int{0}
	}
	return indexes
}
