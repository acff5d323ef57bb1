package dimjointest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// Rows of every type, with nulls, come back as they were.
func testValues(t *testing.T, s *Store) {
	w := newWorld(t)
	def := items(everyType())
	var records []dimjoin.Record
	for n := range 400 / s.Scale {
		records = append(records, record(w.row(def.Fields), numbered(n)))
	}
	table := s.filled(t, def, records)
	var lookups []dimjoin.Lookup
	for _, r := range records {
		lookups = append(lookups, lookup(r, dimjoin.Latest))
	}
	lookups = append(lookups, lookup(record(nil, mortise.StringValue("nobody")), dimjoin.Latest))
	o := newOracle(&def, records)
	o.check(t, table, lookups)
	// What was read stays what it was, whatever is read next.
	again := make([]dimjoin.Lookup, len(lookups))
	for i := range again {
		again[i] = dimjoin.Lookup{Key: lookups[len(lookups)-1-i].Key, Values: lookups[len(lookups)-1-i].Values, AsOfMS: dimjoin.Latest}
	}
	o.check(t, table, again)
	for i := range lookups {
		o.checkAnswer(t, &lookups[i])
	}
}

// Keys of any text, of each type, and of several parts, find their own row.
func testKeys(t *testing.T, s *Store) {
	w := newWorld(t)
	for _, types := range [][]string{{"string"}, {"int"}, {"bool"}, {"string", "int"}, {"string", "string"}, {"int", "bool", "string"}} {
		def := dimjoin.Definition{Name: "pair", Fields: schema("brand", "string", "stock", "int")}
		for i, name := range types {
			def.Key = append(def.Key, fmt.Sprint("part", i))
			def.KeyTypes = append(def.KeyTypes, typ(name))
		}
		known := map[string]bool{}
		var records []dimjoin.Record
		var lookups []dimjoin.Lookup
		for n := range 200 / s.Scale {
			var key []mortise.Value
			for _, t := range def.KeyTypes {
				key = append(key, w.scalar(t.Kind))
			}
			r := record(w.row(def.Fields), key...)
			if known[string(r.Key)] {
				continue
			}
			known[string(r.Key)] = true
			if n%4 != 0 {
				records = append(records, r)
			}
			lookups = append(lookups, lookup(r, dimjoin.Latest))
		}
		if len(records) == 0 {
			records = append(records, dimjoin.Record{Key: lookups[0].Key, Values: lookups[0].Values, Row: w.row(def.Fields)})
		}
		newOracle(&def, records).check(t, s.filled(t, def, records), lookups)
	}
}

// many is a table of so many items.
func (s *Store) many(t testing.TB, n int) (*oracle, dimjoin.Table) {
	def := items(schema("brand", "string", "price", "float?", "stock", "int"))
	var records []dimjoin.Record
	for i := range n {
		price := mortise.FloatValue(float64(i) / 4)
		if i%5 == 0 {
			price = mortise.NullValue()
		}
		records = append(records, record(mortise.Row{mortise.StringValue(fmt.Sprint("brand ", i%97)), price, mortise.IntValue(int64(i))}, numbered(i)))
	}
	return newOracle(&def, records), s.filled(t, def, records)
}

func numberedLookups(from, to int) (out []dimjoin.Lookup) {
	for i := from; i < to; i++ {
		out = append(out, lookup(record(nil, numbered(i)), dimjoin.Latest))
	}
	return out
}

// One key, none, and ten thousand.
func testBatches(t *testing.T, s *Store) {
	o, table := s.many(t, 8000/s.Scale)
	o.check(t, table, nil)
	for i := range 20 {
		o.check(t, table, numberedLookups(i, i+1))
	}
	o.check(t, table, numberedLookups(0, 10_000))
}

func testConcurrent(t *testing.T, s *Store) {
	o, table := s.many(t, 2000/s.Scale)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 10 {
				o.check(t, table, numberedLookups(g*100+i, g*100+i*20+1))
			}
		})
	}
	group.Wait()
}

// Who has given up is told so, soon, and whoever comes next is served.
func testCancelled(t *testing.T, s *Store) {
	o, table := s.many(t, 1000/s.Scale)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	begun := time.Now()
	err := table.Read(ctx, numberedLookups(0, 10_000))
	if err == nil {
		t.Error("a read whose context is done succeeds")
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("the error does not say that it was cancelled: %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("giving up took %v", took)
	}
	o.check(t, table, numberedLookups(0, 10))
}

// A row of almost the largest size is read; a larger one is its own fault alone.
func testLarge(t *testing.T, s *Store) {
	def := items(schema("brand", "string", "stock", "int"))
	row := func(size int) mortise.Row {
		return mortise.Row{mortise.TextValue(bytes.Repeat([]byte("x"), size)), mortise.IntValue(int64(size))}
	}
	records := []dimjoin.Record{record(row(1), numbered(0)), record(row(dimjoin.MaxRowBytes-1000), numbered(1)), record(row(dimjoin.MaxRowBytes+1), numbered(2)), record(row(2), numbered(3))}
	table := s.filled(t, def, records)
	o := newOracle(&def, records)
	lookups := numberedLookups(0, 4)
	if err := table.Read(context.Background(), lookups); err != nil {
		t.Fatal(err)
	}
	for i := range lookups {
		if i != 2 {
			o.checkAnswer(t, &lookups[i])
		}
	}
	if l := lookups[2]; l.Err == nil || l.Row != nil {
		t.Errorf("a row of more than %d bytes: %v, %v", dimjoin.MaxRowBytes, show(l.Row), l.Err)
	}
}
