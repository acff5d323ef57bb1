package dimjoin

import (
	"context"

	mortise "github.com/mortise-dev/mortise"
)

// Reader reads one dimension for instances: whatever becomes of the store, every
// row is answered. It may be used by several goroutines at once.
type Reader struct {
	def   *Definition
	table Table
	opts  Options
	count counters
}

// Answer is one impression's lookup of a dimension, and what it is served with.
type Answer struct {
	Key    []byte      // as AppendKey writes it; nil where a part of the key is null
	Values mortise.Row // of the key
	AsOfMS int64       // or Latest

	Row    mortise.Row // one value per field of the definition, never nil; shared: not to be changed
	Served Served
	// Absent says that the store answered, and that the key has no row: unlike one
	// that could not be read, this is the dimension's answer.
	Absent bool
	// Reject is why the impression belongs to dead letters, where the definition
	// asks for that.
	Reject *mortise.RecordError
}

// NewReader reads the dimension def out of table, which stays the caller's to close
// after the reader.
func NewReader(def *Definition, table Table, opts Options) *Reader {
	opts.EnsureDefaults()
	return &Reader{def: def, table: table, opts: opts}
}

// Close gives up what is under way. Nothing is to be read after it.
func (r *Reader) Close() {}

// Stats is what the reader did until now.
func (r *Reader) Stats() Stats { return r.count.snapshot() }

// Read answers every one of answers.
func (r *Reader) Read(ctx context.Context, answers []Answer) {
	type version struct {
		key    string
		asOfMS int64
	}
	index := map[version]int{}
	var lookups []Lookup
	for i := range answers {
		a := &answers[i]
		if _, ok := index[version{string(a.Key), a.AsOfMS}]; a.Key == nil || ok {
			continue
		}
		index[version{string(a.Key), a.AsOfMS}] = len(lookups)
		lookups = append(lookups, Lookup{Key: a.Key, Values: a.Values, AsOfMS: a.AsOfMS})
	}
	err := r.table.Read(ctx, lookups)
	for i := range answers {
		a := &answers[i]
		var found mortise.Row
		if a.Key != nil && err == nil {
			l := &lookups[index[version{string(a.Key), a.AsOfMS}]]
			found = l.Row
			a.Absent = l.Row == nil && l.Err == nil
		}
		a.Served = ServedStore
		if a.Row = found; found == nil {
			r.def.fallBack(a)
		}
	}
}

// fallBack serves a lookup without a row.
func (d *Definition) fallBack(a *Answer) {
	a.Row, a.Served = make(mortise.Row, len(d.Fields)), ServedMissing
	for i := range a.Row {
		a.Row[i] = mortise.NullValue()
	}
	switch d.Missing {
	case MissingDefault:
		a.Served = ServedDefault
		for i, f := range d.Fields {
			a.Row[i] = zeroOf(f.Type)
		}
	case MissingDeadLetter:
		a.Reject = &mortise.RecordError{Reason: mortise.ReasonDimension, Field: d.Name, Detail: "no row of key " + string(a.Key)}
	}
}

func zeroOf(t mortise.Type) mortise.Value {
	switch t.Kind {
	case mortise.String:
		return mortise.TextValue([]byte{})
	case mortise.Int:
		return mortise.IntValue(0)
	case mortise.Timestamp:
		return mortise.TimestampValue(0)
	case mortise.Float:
		return mortise.FloatValue(0)
	case mortise.Bool:
		return mortise.BoolValue(false)
	case mortise.List:
		return mortise.ListValue(nil)
	}
	return mortise.NullValue()
}
