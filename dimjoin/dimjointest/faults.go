package dimjointest

import (
	"context"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// misfitTable is a table whose notes may be null, and ranks are texts.
func misfitTable() (def dimjoin.Definition, records []dimjoin.Record) {
	def = items(schema("note", "string?", "rank", "string", "stock", "int"))
	for i, note := range []mortise.Value{mortise.StringValue("n"), mortise.NullValue(), mortise.StringValue("m")} {
		records = append(records, record(mortise.Row{note, mortise.StringValue("high"), mortise.IntValue(int64(i))}, numbered(i)))
	}
	return def, records
}

// What does not fit the declaration is an error, at the latest of each row: it is
// never served. The error names the field.
func testMisfits(t *testing.T, s *Store) {
	for _, c := range []struct {
		field, declared string
		bad             func(i int) bool // rows that do not fit
	}{
		{"note", "string", func(i int) bool { return i == 1 }},
		{"rank", "int", func(int) bool { return true }},
		{"rank", "[string]", func(int) bool { return true }},
		{"note", "float?", func(i int) bool { return i != 1 }},
	} {
		def, records := misfitTable()
		subject := s.New(t, def)
		subject.Fill(t, records)
		declared := typ(c.declared)
		table, err := subject.Open(context.Background(), mortise.Schema{{Name: c.field, Type: declared}})
		if err != nil {
			if !strings.Contains(err.Error(), c.field) {
				t.Errorf("%s as %s: the error does not name the field: %v", c.field, c.declared, err)
			}
			continue
		}
		if s.BlankText && declared.Kind == mortise.String {
			c.bad = func(int) bool { return false }
		}
		lookups := numberedLookups(0, len(records))
		if err := table.Read(context.Background(), lookups); err != nil {
			t.Errorf("%s as %s: %v", c.field, c.declared, err)
		}
		for i, l := range lookups {
			switch {
			case c.bad(i) && (l.Err == nil || l.Row != nil || !strings.Contains(l.Err.Error(), c.field)):
				t.Errorf("%s as %s, row %d: %s, %v", c.field, c.declared, i, show(l.Row), l.Err)
			case !c.bad(i) && (l.Err != nil || len(l.Row) != 1):
				t.Errorf("%s as %s, row %d, which fits: %s, %v", c.field, c.declared, i, show(l.Row), l.Err)
			}
		}
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Fields are found by name: in another order, some of them, integers as floats. One
// that is not there is an error at open, or null or an error of the row.
func testFields(t *testing.T, s *Store) {
	def, records := misfitTable()
	subject := s.New(t, def)
	subject.Fill(t, records)
	as := def
	as.Fields = schema("stock", "float", "note", "string?")
	table, err := subject.Open(context.Background(), as.Fields)
	if err != nil {
		t.Fatal(err)
	}
	var want []dimjoin.Record
	for i, r := range records {
		r.Row = mortise.Row{mortise.FloatValue(float64(i)), r.Row[0]}
		want = append(want, r)
	}
	newOracle(&as, want).check(t, table, numberedLookups(0, 4))
	if err := table.Close(); err != nil {
		t.Error(err)
	}
	for _, declared := range []string{"int", "int?"} {
		as.Fields = schema("stock", "int", "stocks", declared)
		table, err := subject.Open(context.Background(), as.Fields)
		if err != nil {
			if !strings.Contains(err.Error(), "stocks") {
				t.Errorf("a field that is not there: %v", err)
			}
			continue
		}
		l := numberedLookups(0, 1)
		if err := table.Read(context.Background(), l); err != nil {
			t.Fatal(err)
		}
		nullable := as.Fields[1].Type.Nullable
		if l[0].Err == nil != nullable || nullable && !l[0].Row[1].IsNull() {
			t.Errorf("a field that is not there, as %s: %s, %v", declared, show(l[0].Row), l[0].Err)
		}
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A row that cannot be read is that lookup's error, and the others' nothing.
func testBroken(t *testing.T, s *Store) {
	def, records := misfitTable()
	subject := s.New(t, def)
	breaking, ok := subject.(Breaking)
	if !ok {
		return // it has nothing that could be broken behind its back
	}
	subject.Fill(t, records)
	breaking.Break(t, records[1])
	table := mustOpen(t, subject, def.Fields)
	lookups := numberedLookups(0, 4)
	if err := table.Read(context.Background(), lookups); err != nil {
		t.Fatal(err)
	}
	if l := lookups[1]; l.Err == nil || l.Row != nil {
		t.Errorf("a broken row: %s, %v", show(l.Row), l.Err)
	}
	o := newOracle(&def, records)
	for _, i := range []int{0, 2, 3} {
		o.checkAnswer(t, &lookups[i])
	}
}

// A table that does not exist is an error at open, and names it.
func testMissing(t *testing.T, s *Store) {
	def, records := misfitTable()
	subject := s.New(t, def)
	removing, ok := subject.(Removing)
	if !ok {
		return // its tables exist by being looked into
	}
	subject.Fill(t, records)
	removing.Remove(t)
	table, err := subject.Open(context.Background(), def.Fields)
	if err == nil {
		t.Error("a table that does not exist was opened")
		table.Close()
		return
	}
	t.Logf("without a table: %v", err)
	if !strings.Contains(err.Error(), "item") {
		t.Errorf("the error does not name the dimension: %v", err)
	}
}
