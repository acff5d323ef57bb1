// Package dimjointest is the conformance suite of dimjoin.Table, dimjoin.Writer and
// dimjoin.Versioned, run against every leaf, with real servers. It belongs to
// stage 4 of 6. What a table should answer is told by an oracle, a map.
package dimjointest

import (
	"context"
	"flag"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// Store makes tables of one kind of store.
type Store struct {
	History bool // its tables can have a history
	// Scale divides how much the suite does, for stores that are slow to fill. The
	// default is 1.
	Scale int
	// BlankText says that the store cannot tell null from the empty text, and has
	// the one or the other by the declaration.
	BlankText bool
	// New makes an empty table, of which nothing is open. def's Store is not filled in.
	New func(t testing.TB, def dimjoin.Definition) Subject
}

// Subject is one table under test. What it can do besides is said by further
// interfaces; what it lacks is left out of the suite.
type Subject interface {
	// Fill puts all records into the table, which has none. Records of a key are in
	// order of FromMS; in a table without history they are one a key.
	Fill(t testing.TB, records []dimjoin.Record)
	// Open opens the table for reading, with these of its fields, and others.
	Open(ctx context.Context, fields mortise.Schema) (dimjoin.Table, error)
}

// Writing is a Subject whose table can be written.
type Writing interface {
	Writer(ctx context.Context) (dimjoin.Writer, error)
}

// Switching is a Subject that can be filled aside.
type Switching interface {
	Versioned(ctx context.Context) (dimjoin.Versioned, error)
}

// Breaking is a Subject that can be made to hold what does not fit.
type Breaking interface {
	// Break makes the row of a key, which is there, one that cannot be read.
	Break(t testing.TB, record dimjoin.Record)
}

// Removing is a Subject whose table can be taken away while nothing is open.
type Removing interface {
	Remove(t testing.TB)
}

var seedFlag = flag.Uint64("dimseed", 1, "seed of the tests of dimension tables")

// Run runs the suite.
func Run(t *testing.T, store Store) {
	store.Scale = max(1, store.Scale)
	tests := []struct {
		name string
		run  func(t *testing.T, s *Store)
	}{
		{"values", testValues}, {"keys", testKeys}, {"batches", testBatches}, {"concurrent", testConcurrent},
		{"cancelled", testCancelled}, {"large", testLarge}, {"misfits", testMisfits}, {"broken", testBroken},
		{"missing", testMissing}, {"fields", testFields}, {"history", testHistory}, {"ends", testEnds},
		{"written", testWritten}, {"history written", testHistoryWritten}, {"switched", testSwitched}, {"resumed", testResumed},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) { c.run(t, &store) })
	}
}

func mustOpen(t testing.TB, s Subject, fields mortise.Schema) dimjoin.Table {
	t.Helper()
	table, err := s.Open(context.Background(), fields)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	return table
}

func (s *Store) filled(t testing.TB, def dimjoin.Definition, records []dimjoin.Record) dimjoin.Table {
	t.Helper()
	subject := s.New(t, def)
	subject.Fill(t, records)
	return mustOpen(t, subject, def.Fields)
}

// typ reads a type.
func typ(text string) mortise.Type {
	t, err := mortise.ParseType(text)
	if err != nil {
		panic(err)
	}
	return t
}

func schema(pairs ...string) (out mortise.Schema) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, mortise.Field{Name: pairs[i], Type: typ(pairs[i+1])})
	}
	return out
}

// items is a definition with a text as its key.
func items(fields mortise.Schema) dimjoin.Definition {
	return dimjoin.Definition{Name: "item", Key: []string{"item_id"}, KeyTypes: []mortise.Type{typ("string")}, Fields: fields}
}

func withHistory(def dimjoin.Definition) dimjoin.Definition {
	def.History = dimjoin.History{From: dimjoin.DefaultFrom, To: dimjoin.DefaultTo, Unit: dimjoin.DefaultUnit}
	return def
}
