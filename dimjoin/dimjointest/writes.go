package dimjointest

import (
	"context"
	"testing"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Writing twice is writing once; the last of a key counts; no row deletes it.
func testWritten(t *testing.T, s *Store) {
	w := newWorld(t)
	def := items(everyType())
	subject := s.New(t, def)
	writing, ok := subject.(Writing)
	if !ok {
		return
	}
	ctx := context.Background()
	writer, err := writing.Writer(ctx)
	if err != nil {
		t.Fatal(err)
	}
	o := newOracle(&def, nil)
	keys := 60
	for round := range 12 {
		var records []dimjoin.Record
		for range 1 + w.IntN(40) {
			r := record(w.row(def.Fields), numbered(w.IntN(keys)))
			if w.IntN(5) == 0 {
				r.Row = nil
			}
			r.FromMS = w.Int64N(1e12) // which is not looked at
			records = append(records, r)
		}
		for range 1 + round%2 {
			if err := writer.Write(ctx, records); err != nil {
				t.Fatal(err)
			}
		}
		o.write(records)
	}
	if err := writer.Write(ctx, nil); err != nil {
		t.Error(err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := writer.Write(cancelled, []dimjoin.Record{record(w.row(def.Fields), numbered(keys+1))}); err == nil {
		t.Error("a write whose context is done succeeds")
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	o.check(t, mustOpen(t, subject, def.Fields), numberedLookups(0, keys))
}
