package backfill

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// Reader reads the records of a unit, in order. One goroutine uses it.
type Reader interface {
	// Next reads a record: its Value, its Offset, and what else the source tells of
	// it. It is valid until the next call; io.EOF comes after the last.
	Next(rec *mortise.Record) error
	Close() error
}

// Unit is a piece of an input that one goroutine reads.
type Unit struct {
	// Place is where its records are from, for messages and dead letters: a file, or
	// a topic.
	Place string
	// Partition is the topic's; files have none.
	Partition int32
	// Topic says that Place is one: then its records are ordered by partition and
	// offset, as the stream orders them.
	Topic bool
	// File numbers the files of an input in order of their names, from 0. Its units
	// follow one another in order of what they hold.
	File int
	// First says that no unit of the same file comes before.
	First bool
	// Bytes is about what there is to read; -1 when that cannot be known.
	Bytes int64
	// Open opens it, anew each time.
	Open func(ctx context.Context) (Reader, error)
}

// Input is one source's recorded data.
type Input interface {
	// Units cuts the input into pieces of about targetBytes, in order: every record
	// is in one of them.
	Units(targetBytes int64) []Unit
	// Identity says what the input is: the same text whenever the same data are
	// read. An entry per file or partition.
	Identity() []string
	// Bytes is how large the input is, uncompressed as far as can be told.
	Bytes() int64
	// Progress returns how much of the input has been read, and how much there is;
	// total is -1 when that cannot be known. Any goroutine may call it.
	Progress() (read, total int64)
}

// Bounded is an Input that grows meanwhile. The first run of a backfill fixes how
// far it is read, for all other shards and runs.
type Bounded interface {
	Input
	// Bounds says how far the input reaches.
	Bounds() (json.RawMessage, error)
	// Bind makes it reach as far as Bounds said once. It is called before Units.
	Bind(bounds json.RawMessage) error
}

// Files is recorded files as an Input.
type Files struct{ *recorded.Files }

// Units implements Input.
func (f Files) Units(targetBytes int64) (units []Unit) {
	last := -1
	for _, u := range f.Files.Units(targetBytes) {
		units = append(units, Unit{Place: f.Paths()[u.File], File: u.File, First: u.File != last, Bytes: u.Bytes(),
			Open: func(context.Context) (Reader, error) {
				rows, err := u.Open()
				if err != nil {
					return nil, err
				}
				return lineReader{rows}, nil
			}})
		last = u.File
	}
	return units
}

// Identity implements Input.
func (f Files) Identity() (all []string) {
	for _, u := range f.Files.Units(0) {
		all = append(all, fmt.Sprintf("%s %d", f.Paths()[u.File], u.Bytes()))
	}
	return all
}

// compressedTimes is how much larger than on disk compressed records are taken to be.
const compressedTimes = 5

// Bytes implements Input.
func (f Files) Bytes() (total int64) {
	for _, u := range f.Files.Units(0) {
		n := max(u.Bytes(), 0)
		for _, suffix := range []string{".gz", ".zst", ".parquet"} {
			if strings.HasSuffix(f.Paths()[u.File], suffix) {
				n *= compressedTimes
				break
			}
		}
		total += n
	}
	return total
}

// lineReader reads lines as records.
type lineReader struct{ recorded.RowReader }

// Next implements Reader.
func (r lineReader) Next(rec *mortise.Record) error {
	line, err := r.RowReader.Next()
	if err != nil {
		return err
	}
	rec.Value, rec.Offset = line.Data, line.Position
	return nil
}
