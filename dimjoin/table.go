package dimjoin

import (
	"context"
	"math"

	mortise "github.com/mortise-dev/mortise"
)

// Latest as a Lookup's time reads the row as it is now.
const Latest int64 = math.MaxInt64

// Table is the rows of one dimension in one store. Its methods may be called by
// several goroutines at once.
type Table interface {
	// Read answers all lookups, whose keys and times differ, in as few requests to
	// the store as it can. An error says that the store did not answer: then no
	// answer counts. What is wrong with one row alone is that lookup's Err.
	// Read returns soon after ctx is done.
	Read(ctx context.Context, lookups []Lookup) error
	Close() error
}

// Lookup is one key that is looked up, and the table's answer.
type Lookup struct {
	Key    []byte      // as AppendKey writes it
	Values mortise.Row // of the key, one per Definition.Key, none null
	AsOfMS int64       // event time, in ms UTC, as of which the row is read, or Latest

	// Row is the definition's fields, in its order, with nothing of it shared with
	// the store's buffers; nil where the key has no row.
	Row mortise.Row
	// FromMS and ToMS bound the times [FromMS, ToMS) for which the answer is the
	// same, as far as the store knows. A table without history leaves both zero.
	FromMS, ToMS int64
	// Err is set where a row is there but cannot be used: a field of another type,
	// a null where none is allowed, a row beyond MaxRowBytes.
	Err error
}

// MaxRowBytes bounds one row as a store holds it: a larger one is a fault of that
// row.
const MaxRowBytes = 1 << 20

// Record is one row to be written, or the end of one.
type Record struct {
	Key    []byte
	Values mortise.Row // of the key
	Row    mortise.Row // the fields; nil: the key has no row from FromMS on
	// FromMS is the time from which the row is valid, in a table with history:
	// what was valid before stays so until then. Elsewhere it is not looked at.
	FromMS int64
}

// Writer is a table that can be written. Writing a record twice is writing it
// once.
type Writer interface {
	// Write puts the records, in order. An error says that some may not be there.
	Write(ctx context.Context, records []Record) error
	Close() error
}

// Versioned is a store that can be filled aside: readers see the old rows until
// Switch, and the new ones after it, never some of each.
type Versioned interface {
	// Current is the version that readers see; empty for none.
	Current(ctx context.Context) (string, error)
	// Prepare opens a version for writing; one that was begun goes on.
	Prepare(ctx context.Context, version string) (Writer, error)
	// Switch makes readers see a version that is complete.
	Switch(ctx context.Context, version string) error
	// Drop deletes a version that readers do not see.
	Drop(ctx context.Context, version string) error
}
