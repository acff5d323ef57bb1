// Package fields is what the readers of binary formats have in common: which
// fields are wanted of a record, and as what. internal/avro and internal/protobuf
// read them; joiner/clean wants them of events, instances/avro and
// instances/protobuf of rows.
package fields

import mortise "github.com/mortise-dev/mortise"

// Want is one field that is wanted of each record.
type Want struct {
	Path []string // its name, under those of the records that it lies in
	Type mortise.Type
	// Times says what plain numbers and texts mean where Type is a timestamp.
	Times Times
	// NullItems makes nulls items of a list like any other, where otherwise a list
	// that has one does not fit.
	NullItems bool
}

// Times says what plain numbers and texts mean where a timestamp is wanted: ms
// UTC, or false where they are none. Values whose schema says that they are
// times are read by what it says.
type Times interface {
	OfInt(n int64) (ms int64, ok bool)
	OfFloat(f float64) (ms int64, ok bool)
	OfText(text []byte) (ms int64, ok bool)
}

// Fit says how a wanted field came to its value.
type Fit uint8

const (
	Missing Fit = iota // the record's schema has no such field
	Null               // it is null, or not set
	OK                 // it is of the wanted type
	Unfit              // it is of a type that cannot become the wanted one
	BadText            // it has a string that is not valid UTF-8
)

// Scanner reads the wanted fields of records of one schema. One goroutine uses it.
type Scanner interface {
	// Scan fills values and fits, one for each Want, in their order; a value is null
	// where its fit is not OK. What values refer to is valid until data changes and
	// until the next Scan. Without whole it may stop behind the last wanted field.
	// The error says where data is not what the schema says; values and fits are
	// then of no use.
	Scan(data []byte, whole bool, values []mortise.Value, fits []Fit) error
	// Found says in words what the writer's schema has for a Want: its type.
	Found(want int) string
}

// Millis reads plain numbers as ms, and nothing else.
type Millis struct{}

// OfInt implements Times.
func (Millis) OfInt(n int64) (int64, bool) { return n, true }

// OfFloat implements Times.
func (Millis) OfFloat(float64) (int64, bool) { return 0, false }

// OfText implements Times.
func (Millis) OfText([]byte) (int64, bool) { return 0, false }
