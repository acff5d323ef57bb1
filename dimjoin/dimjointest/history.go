package dimjointest

import (
	"cmp"
	"context"
	"slices"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// versions draws records of a key in order of time: rows, and ends of them.
func (w world) versions(fields mortise.Schema, key mortise.Value, n int) (out []dimjoin.Record) {
	at := 1_700_000_000_000 + w.Int64N(1000)
	for i := range n {
		r := record(w.row(fields), key)
		if i > 0 && w.IntN(4) == 0 {
			r.Row = nil
		}
		r.FromMS = at
		out = append(out, r)
		at += 1 + w.Int64N(3)*w.Int64N(100_000)
	}
	return out
}

// boundaries looks a key up before, at and after each of its changes.
func boundaries(records []dimjoin.Record) (out []dimjoin.Lookup) {
	known := map[int64]bool{}
	for _, r := range records {
		for _, at := range []int64{r.FromMS - 1, r.FromMS, r.FromMS + 1, 0, r.FromMS + 1e9, dimjoin.Latest} {
			if !known[at] {
				known[at] = true
				out = append(out, lookup(r, at))
			}
		}
	}
	return out
}

// Whatever the time, the version is read that was valid.
func testHistory(t *testing.T, s *Store) {
	if !s.History {
		return
	}
	w := newWorld(t)
	def := withHistory(items(everyType()))
	var records []dimjoin.Record
	var lookups []dimjoin.Lookup
	for n := range 100 / s.Scale {
		count := 1 + w.IntN(6)
		if n == 0 {
			count = 18 // more than a store looks through one by one
		}
		of := w.versions(def.Fields, numbered(n), count)
		records = append(records, of...)
		lookups = append(lookups, boundaries(of)...)
	}
	lookups = append(lookups, lookup(record(nil, mortise.StringValue("nobody")), 5), lookup(record(nil, mortise.StringValue("nobody")), dimjoin.Latest))
	w.Shuffle(len(lookups), func(i, j int) { lookups[i], lookups[j] = lookups[j], lookups[i] })
	table := s.filled(t, def, records)
	o := newOracle(&def, records)
	o.check(t, table, lookups)
	for i := range min(50, len(lookups)) {
		o.check(t, table, []dimjoin.Lookup{{Key: lookups[i].Key, Values: lookups[i].Values, AsOfMS: lookups[i].AsOfMS}})
	}
}

// A key that ended has no row from then on, until it comes back.
func testEnds(t *testing.T, s *Store) {
	if !s.History {
		return
	}
	def := withHistory(items(schema("stock", "int")))
	r := func(n int, from int64, stock int64) dimjoin.Record {
		r := record(mortise.Row{mortise.IntValue(stock)}, numbered(n))
		if stock < 0 {
			r.Row = nil
		}
		r.FromMS = from
		return r
	}
	records := []dimjoin.Record{r(0, 1000, 1), r(0, 2000, -1), r(0, 3000, 2), r(1, 1000, 3), r(1, 1001, -1), r(2, 1000, 4)}
	var lookups []dimjoin.Lookup
	for n := range 3 {
		for _, at := range []int64{-5, 999, 1000, 1001, 1999, 2000, 2999, 3000, 3001, dimjoin.Latest} {
			lookups = append(lookups, lookup(r(n, 0, 0), at))
		}
	}
	newOracle(&def, records).check(t, s.filled(t, def, records), lookups)
}

// Records that are written in any order, again, and over one another, are as if
// each had been there from the beginning.
func testHistoryWritten(t *testing.T, s *Store) {
	if !s.History {
		return
	}
	w := newWorld(t)
	def := withHistory(items(schema("brand", "string", "rank", "int?")))
	subject := s.New(t, def)
	writing, ok := subject.(Writing)
	if !ok {
		return
	}
	var all []dimjoin.Record
	for n := range 30 / min(s.Scale, 3) {
		all = append(all, w.versions(def.Fields, numbered(n), 1+w.IntN(6))...)
	}
	late := slices.Clone(all)
	w.Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
	ctx := context.Background()
	writer, err := writing.Writer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	write := func(records []dimjoin.Record) {
		t.Helper()
		if err := writer.Write(ctx, records); err != nil {
			t.Fatal(err)
		}
	}
	o := newOracle(&def, nil)
	for at := 0; at < len(late); at += 7 {
		part := late[at:min(len(late), at+7)]
		write(part)
		if at%2 == 0 {
			write(part)
		}
		o.write(part)
	}
	// A correction replaces the version that begins at its time.
	var corrected []dimjoin.Record
	for i, r := range all {
		if i%5 == 0 {
			r.Row = w.row(def.Fields)
			corrected = append(corrected, r)
		}
	}
	write(corrected)
	write(nil)
	o.write(corrected)
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	byKey := map[string][]dimjoin.Record{}
	for _, r := range all {
		byKey[string(r.Key)] = append(byKey[string(r.Key)], r)
	}
	var lookups []dimjoin.Lookup
	for _, of := range byKey {
		lookups = append(lookups, boundaries(of)...)
	}
	slices.SortFunc(lookups, func(a, b dimjoin.Lookup) int { return cmp.Compare(a.AsOfMS, b.AsOfMS) })
	o.check(t, mustOpen(t, subject, def.Fields), lookups)
}
