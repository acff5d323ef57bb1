package sql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	dimsql "github.com/mortise-dev/mortise/dimjoin/sql"
)

// made is a table that a test makes by itself.
func (d *database) made(t *testing.T, columns string, rows ...string) *subject {
	t.Helper()
	s := d.store(d.time, true).New(t, dimjoin.Definition{Name: "item", Key: []string{"id"}, KeyTypes: []mortise.Type{{Kind: mortise.String}}}).(*subject)
	table := fmt.Sprint("made", tables.Add(1))
	s.def.Store.SQL.Table = table
	s.exec("CREATE TABLE " + table + " (" + columns + ")")
	for _, r := range rows {
		s.exec("INSERT INTO " + table + " VALUES (" + r + ")")
	}
	return s
}

func (s *subject) fields(pairs ...string) {
	s.def.Fields = nil
	for i := 0; i < len(pairs); i += 2 {
		typ, err := mortise.ParseType(pairs[i+1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.def.Fields = append(s.def.Fields, mortise.Field{Name: pairs[i], Type: typ})
	}
}

// read reads one key as text; "-" for no row.
func read(t *testing.T, table dimjoin.Table, at int64, key ...mortise.Value) (string, dimjoin.Lookup) {
	t.Helper()
	text, _ := dimjoin.AppendKey(nil, key...)
	l := []dimjoin.Lookup{{Key: text, Values: key, AsOfMS: at}}
	if err := table.Read(context.Background(), l); err != nil {
		t.Fatal(err)
	}
	if l[0].Err != nil {
		return l[0].Err.Error(), l[0]
	}
	if l[0].Row == nil {
		return "-", l[0]
	}
	var parts []string
	for _, v := range l[0].Row {
		parts = append(parts, string(dimjoin.AppendText(nil, v)))
	}
	return strings.Join(parts, " "), l[0]
}

func each(t *testing.T, test func(t *testing.T, d *database)) {
	for i := range databases {
		t.Run(databases[i].name, func(t *testing.T) { test(t, &databases[i]) })
	}
}

func TestOpenFaults(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		float := map[string]string{"postgres": "double precision", "mysql": "double"}[d.name]
		for _, c := range []struct {
			change func(s *subject)
			want   string
		}{
			{func(s *subject) { s.fields("prise", "float") }, "it has no column prise, which is declared as a field; did you mean price?"},
			{func(s *subject) { s.fields("price", "string") }, "field price is a number (" + float + "), and string is declared"},
			{func(s *subject) { s.fields("name", "int?") }, "field name is text"},
			{func(s *subject) { s.fields("name", "bool") }, "field name is text"},
			{func(s *subject) { s.def.Key = []string{"ident"} }, "it has no column ident, which is declared as the key"},
			{func(s *subject) { s.def.Key = []string{"price"} }, "the key column price is a number"},
			{func(s *subject) { s.def.KeyTypes = []mortise.Type{{Kind: mortise.Bool}}; s.def.Key = []string{"n"} }, "the main source's n is bool"},
			{func(s *subject) { s.def.History = dimjoin.History{From: "valid_from"} }, "no column valid_from, which is the history's from"},
			{func(s *subject) { s.def.History = dimjoin.History{From: "name"} }, "the history's column name is text"},
			{func(s *subject) { s.def.Store.SQL.Driver = "oracle" }, `unknown driver "oracle": there are postgres and mysql`},
			{func(s *subject) { s.def.Store.SQL.Table = `a"; DROP TABLE x` }, "is no name of a table"},
			{func(s *subject) { s.def.Store.SQL.Table = "nothing" }, "there is no such table"},
			{func(s *subject) { s.def.Store.SQL.DSN = "://swordfish" }, "the dsn cannot be"},
			{func(s *subject) {
				s.def.Store.SQL.DSN = strings.NewReplacer(s.addr(), "127.0.0.1:1").Replace(s.def.Store.SQL.DSN)
			}, "the store cannot be reached"},
		} {
			s := d.made(t, "id varchar(20), name varchar(20), price "+float+", n int")
			s.fields("name", "string?")
			c.change(s)
			_, err := dimsql.Open(context.Background(), &s.def, dimsql.Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "dimension item") {
				t.Errorf("%v, want %s", err, c.want)
				continue
			}
			if strings.Contains(err.Error(), "swordfish") {
				t.Errorf("the error has the password: %v", err)
			}
			if errors.Is(err, dimjoin.ErrUnreachable) != strings.Contains(c.want, "reached") {
				t.Errorf("%v is unreachable: %v", err, errors.Is(err, dimjoin.ErrUnreachable))
			}
		}
		s := d.made(t, "id varchar(20), name varchar(20)")
		s.fields("name", "string?")
		if _, err := s.Writer(context.Background()); err == nil || !strings.Contains(err.Error(), "no unique index of id") {
			t.Errorf("writing without a unique index: %v", err)
		}
	})
}

func (s *subject) addr() string {
	_, after, _ := strings.Cut(strings.NewReplacer("tcp(", "", ")", "").Replace(s.def.Store.SQL.DSN), "@")
	addr, _, _ := strings.Cut(after, "/")
	return addr
}

// Columns of all sorts are read as what is declared.
func TestTypes(t *testing.T) {
	for i := range databases {
		d := &databases[i]
		columns := map[string]string{
			"postgres": "id uuid, a numeric(10,2), b smallint, c date, d timestamp, e text[], f int[], g varchar(5), h jsonb, i timestamptz",
			"mysql":    "id char(36), a decimal(10,2), b smallint unsigned, c date, d datetime(6), e json, f json, g varchar(5), h json, i timestamp(3) null",
		}[d.name]
		row := map[string]string{
			"postgres": "'0190a5c8-0000-7000-8000-00000000000a', 1.25, 7, '1970-01-02', '1970-01-01 00:00:01.5', '{a,\"b,c\"}', '{1,2}', 'text', '[1.5]', '1970-01-01 01:00:02+01'",
			"mysql":    "'0190a5c8-0000-7000-8000-00000000000a', 1.25, 7, '1970-01-02', '1970-01-01 00:00:01.5', '[\"a\",\"b,c\"]', '[1,2]', 'text', '[1.5]', '1970-01-01 00:00:02'",
		}[d.name]
		t.Run(d.name, func(t *testing.T) {
			if d.name == "mysql" {
				row = strings.Replace(row, "'1970-01-01 00:00:02'", "CONVERT_TZ('1970-01-01 00:00:02', '+00:00', @@session.time_zone)", 1)
			}
			s := d.made(t, columns, row)
			s.fields("a", "float", "b", "int", "b", "float", "c", "timestamp", "d", "int", "e", "[string]", "f", "[int]", "g", "string", "h", "[float]", "i", "timestamp")
			table, err := s.Open(context.Background(), s.def.Fields)
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			got, _ := read(t, table, dimjoin.Latest, mortise.StringValue("0190a5c8-0000-7000-8000-00000000000a"))
			if want := `1.25 7 7 86400000 1500 ["a","b,c"] [1,2] text [1.5] 2000`; got != want {
				t.Errorf("%s, want %s", got, want)
			}
			for _, key := range []string{"no uuid", "", "\x00", "0190A5C8-0000-7000-8000-00000000000A"} {
				if got, _ := read(t, table, dimjoin.Latest, mortise.StringValue(key)); got != "-" && key != "0190A5C8-0000-7000-8000-00000000000A" {
					t.Errorf("%q has the row %s", key, got)
				}
			}
		})
	}
}

// Histories as others keep them: in any unit, as times, overlapping, open in several
// ways.
func TestHistories(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		zoned := map[string]string{"postgres": "timestamptz", "mysql": "datetime(6)"}[d.name]
		at := func(ms int64) string {
			return "'" + time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000000") + "'"
		}
		number := func(perMS int64) func(ms int64) string {
			return func(ms int64) string { return fmt.Sprint(ms * perMS) }
		}
		kinds := []struct {
			typ, unit string
			of        func(ms int64) string
		}{
			{"bigint", "ms", number(1)}, {"bigint", "us", number(1000)}, {"bigint", "ns", number(1e6)},
			{"bigint", "s", func(ms int64) string { return fmt.Sprint(ms / 1000) }}, {zoned, "ms", at}, {"date", "ms", at},
		}
		if d.name == "postgres" {
			kinds = append(kinds, kinds[4])
			kinds[len(kinds)-1].typ = "timestamp"
		}
		const day = 86_400_000
		for _, k := range kinds {
			s := d.made(t, "id varchar(20), n int, f "+k.typ+" null, u "+k.typ+" null",
				"'a', 1, "+k.of(10*day)+", "+k.of(20*day), "'a', 2, "+k.of(20*day)+", NULL",
				"'o', 1, "+k.of(10*day)+", "+k.of(100*day), "'o', 2, "+k.of(20*day)+", "+k.of(30*day), "'o', 3, "+k.of(90*day)+", "+k.of(110*day),
				"'e', 1, NULL, "+k.of(5*day), "'e', 2, "+k.of(40*day)+", "+k.of(4102358400000)) // the last day of 2099
			s.def.History = dimjoin.History{From: "f", To: "u", Unit: k.unit}
			s.fields("n", "int")
			table, err := s.Open(context.Background(), s.def.Fields)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				key      string
				at       int64
				want     string
				from, to int64
			}{
				{"a", 10*day - 1, "-", dimjoin.Always, 10 * day}, {"a", 10 * day, "1", 10 * day, 20 * day}, {"a", 20*day - 1, "1", 10 * day, 20 * day},
				{"a", 20 * day, "2", 20 * day, dimjoin.Latest}, {"a", dimjoin.Latest, "2", 20 * day, dimjoin.Latest},
				{"o", 15 * day, "1", 10 * day, 20 * day}, {"o", 25 * day, "2", 20 * day, 30 * day}, {"o", 30 * day, "1", 30 * day, 90 * day},
				{"o", 95 * day, "3", 90 * day, 110 * day}, {"o", 105 * day, "3", 90 * day, 110 * day}, {"o", 110 * day, "-", 110 * day, dimjoin.Latest}, {"o", dimjoin.Latest, "-", 110 * day, dimjoin.Latest},
				{"e", 0, "1", dimjoin.Always, 5 * day}, {"e", 5 * day, "-", 5 * day, 40 * day}, {"e", dimjoin.Latest, "2", 40 * day, dimjoin.Latest}, {"x", 7, "-", dimjoin.Always, dimjoin.Latest},
			} {
				got, l := read(t, table, c.at, mortise.StringValue(c.key))
				if got != c.want || l.FromMS > c.at || l.ToMS <= c.at && c.at != dimjoin.Latest || l.FromMS < c.from || l.ToMS > c.to {
					t.Errorf("%s %s: %s at %d is %s in [%d, %d), want %s in [%d, %d)", k.typ, k.unit, c.key, c.at/day, got, l.FromMS, l.ToMS, c.want, c.from, c.to)
				}
			}
			if err := table.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// A record between versions that others have made ends what holds there, and ends
// where that would have.
func TestChangeOfForeignHistory(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		s := d.made(t, "id varchar(20), n int, f bigint not null, u bigint, primary key (id, f)", "'a', 1, 10, 20", "'a', 2, 50, NULL")
		s.def.History = dimjoin.History{From: "f", To: "u"}
		s.fields("n", "int")
		w, err := s.Writer(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		key := mortise.Row{mortise.StringValue("a")}
		for _, r := range []dimjoin.Record{{FromMS: 15}, {FromMS: 17, Row: mortise.Row{mortise.IntValue(3)}}, {FromMS: 60}} {
			r.Key, r.Values = []byte("a"), key
			if err := w.Write(context.Background(), []dimjoin.Record{r}); err != nil {
				t.Fatal(err)
			}
		}
		table, err := s.Open(context.Background(), s.def.Fields)
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		for at, want := range map[int64]string{9: "-", 10: "1", 14: "1", 15: "-", 16: "-", 17: "3", 19: "3", 20: "-", 49: "-", 50: "2", 59: "2", 60: "-", dimjoin.Latest: "-"} {
			if got, _ := read(t, table, at, key...); got != want {
				t.Errorf("at %d: %s, want %s", at, got, want)
			}
		}
	})
}

// A key is found by its very text, in whatever collation its column is.
func TestCollations(t *testing.T) {
	each(t, func(t *testing.T, d *database) {
		columns := "id varchar(20), n int"
		if d.name == "mysql" {
			columns = "id varchar(20) character set latin1 collate latin1_swedish_ci, n int"
		}
		s := d.made(t, columns, "'Abc', 1", "'é', 2")
		s.fields("n", "int")
		table, err := s.Open(context.Background(), s.def.Fields)
		if err != nil {
			t.Fatal(err)
		}
		defer table.Close()
		for key, want := range map[string]string{"Abc": "1", "abc": "-", "Abc" + " ": "-", "é": "2", "e": "-", "商": "-"} {
			if got, _ := read(t, table, dimjoin.Latest, mortise.StringValue(key)); got != want {
				t.Errorf("%q is %s, want %s", key, got, want)
			}
		}
	})
}
