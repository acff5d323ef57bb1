package compare

import (
	"fmt"
	"io"
	"path"
)

// Options say what is compared, and within which bounds. Zero fields take their
// defaults.
type Options struct {
	// Columns are patterns, as of path.Match, of the columns that are compared.
	// The default is all. instance_id, event_time and revision always are.
	Columns []string
	// Ignore are patterns of columns that are not compared.
	Ignore []string
	// Tolerances are how far numbers may lie apart; the first that fits a column
	// applies. The default is that they are equal.
	Tolerances []Tolerance
	// FinalOnly leaves provisional rows out and compares final ones whatever
	// their revision: of those of one instance and event time the newest.
	FinalOnly bool
	// Samples is how many differences of each kind are kept whole. The default
	// is 5; a negative one means none.
	Samples int
	// MemoryBytes bounds what both sides hold in memory. The default is 256 MiB,
	// the least 1 MiB.
	MemoryBytes int64
	// Spill takes what does not fit into MemoryBytes. Without it everything stays
	// in memory, whatever it takes.
	Spill Spill
	// Progress, where set, is called now and then while the sides are merged, with
	// how many rows of both have been.
	Progress func(rows int64) error
}

// Tolerance is how far the numbers of some columns may lie apart: a and b count
// as equal when |a−b| ≤ Within · max(1, |a|, |b|), which is absolute for small
// numbers and relative for large ones.
type Tolerance struct {
	Columns string // a pattern as of path.Match
	Within  float64
}

// Spill makes scratch files.
type Spill interface {
	Create() (Scratch, error)
}

// Scratch is a scratch file: written once, then read once, then closed, which
// removes it. One goroutine uses it at a time.
type Scratch interface {
	io.Writer
	// Rewind ends the writing and returns what was written, from its beginning.
	Rewind() (io.Reader, error)
	Close() error
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.Samples == 0 {
		o.Samples = 5
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 256 << 20
	}
	o.MemoryBytes = max(o.MemoryBytes, 1<<20)
}

// Validate finds patterns that are none, and tolerances below 0.
func (o *Options) Validate() error {
	patterns := append(append([]string(nil), o.Columns...), o.Ignore...)
	for _, t := range o.Tolerances {
		if !(t.Within >= 0) {
			return fmt.Errorf("the tolerance of %s is %v: it cannot be below 0", t.Columns, t.Within)
		}
		patterns = append(patterns, t.Columns)
	}
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return fmt.Errorf("%q is no pattern of columns: %w", p, err)
		}
	}
	return nil
}

// tolerance returns the column's, 0 where there is none.
func (o *Options) tolerance(name string) float64 {
	for _, t := range o.Tolerances {
		if ok, _ := path.Match(t.Columns, name); ok {
			return t.Within
		}
	}
	return 0
}
