package changes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

func schema(t testing.TB, fields ...string) (s mortise.Schema) {
	t.Helper()
	for _, f := range fields {
		name, typ, _ := strings.Cut(f, " ")
		parsed, err := mortise.ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, mortise.Field{Name: name, Type: parsed})
	}
	return s
}

func parser(t testing.TB, opts Options) *Parser {
	t.Helper()
	p, err := NewParser(opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// show writes changes as text: what is not said of is left out.
func show(fields mortise.Schema, cs []Change) string {
	var lines []string
	for i := range cs {
		c := &cs[i]
		text := fmt.Sprintf("%s @%d", c.Key, c.AtMS)
		switch {
		case c.Tombstone:
			text += " tombstone"
		case c.Row == nil:
			text += " deleted"
		}
		for k, v := range c.Row {
			if v.Kind != mortise.Invalid {
				text += " " + fields[k].Name + "=" + showValue(v)
			}
		}
		lines = append(lines, text)
	}
	return strings.Join(lines, "; ")
}

func showValue(v mortise.Value) string {
	switch v.Kind {
	case mortise.String:
		return string(v.Text())
	case mortise.List:
		var all []string
		for _, e := range v.List() {
			all = append(all, showValue(e))
		}
		return "[" + strings.Join(all, ",") + "]"
	case mortise.Null, mortise.Invalid:
		return v.Kind.String()
	case mortise.Float:
		return fmt.Sprint(v.Float())
	case mortise.Bool:
		return fmt.Sprint(v.Bool())
	}
	return fmt.Sprint(v.Int())
}

func debeziumOptions(t testing.TB) Options {
	return Options{Format: Debezium, Key: schema(t, "id int"),
		Fields: schema(t, "name string", "price float?", "weight float?", "stock int?", "active bool?", "tags [string]?", "updated_at timestamp?")}
}

func canalOptions(t testing.TB) Options {
	return Options{Format: Canal, Key: schema(t, "id int"),
		Fields: schema(t, "name string", "price float?", "stock int?", "active bool?", "tags [string]?", "updated_at timestamp?")}
}

// TestMessages reads every message of testdata: a .json is a record's value, and
// what it says is beside it in .want; the key of a record is in .key.
func TestMessages(t *testing.T) {
	for format, opts := range map[string]Options{Debezium: debeziumOptions(t), Canal: canalOptions(t)} {
		paths, err := filepath.Glob(filepath.Join("testdata", format, "*.json"))
		if err != nil || len(paths) < 5 {
			t.Fatalf("%d messages of %s, %v", len(paths), format, err)
		}
		for _, path := range paths {
			p := parser(t, opts)
			rec := &mortise.Record{Value: read(t, path), TimestampMS: 1_700_000_009_999}
			if key, err := os.ReadFile(strings.TrimSuffix(path, ".json") + ".key"); err == nil {
				rec.Key = key
			}
			cs, err := p.Parse(rec)
			got := show(opts.Fields, cs)
			if err != nil {
				got = strings.TrimPrefix(got+"; ", "; ") + "error: " + err.Error()
			}
			want := strings.TrimSpace(string(read(t, strings.TrimSuffix(path, ".json")+".want")))
			if got != want {
				t.Errorf("%s\n got %s\nwant %s", path, got, want)
			}
		}
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTables(t *testing.T) {
	const event = `{"op":"d","before":{"id":1},"source":{"db":"shop","schema":"public","table":"items","ts_ms":5}}`
	for table, want := range map[string]int{"": 1, "items": 1, "public.items": 1, "shop.items": 1, "shop.public.items": 1, "orders": 0, "shop": 0, "public": 0} {
		opts := debeziumOptions(t)
		opts.Table = table
		p := parser(t, opts)
		cs, err := p.Parse(&mortise.Record{Value: []byte(event)})
		if err != nil || len(cs) != want {
			t.Errorf("table %q: %d changes, %v", table, len(cs), err)
		}
		if ms, ok := p.TimeMS(); ms != 5 || !ok {
			t.Errorf("table %q: the record's time is %d, %v", table, ms, ok)
		}
	}
}

func TestTombstones(t *testing.T) {
	for _, key := range []string{`{"id":7}`, `{"schema":{"type":"struct"},"payload":{"id":7}}`} {
		for _, value := range []string{"", `{"schema":null,"payload":null}`} {
			rec := &mortise.Record{Key: []byte(key), TimestampMS: 33, Value: []byte(value)}
			cs, err := parser(t, debeziumOptions(t)).Parse(rec)
			if got := show(nil, cs); err != nil || got != "7 @33 tombstone" {
				t.Errorf("%s: %s, %v", value, got, err)
			}
		}
	}
	if _, err := parser(t, debeziumOptions(t)).Parse(&mortise.Record{}); err == nil {
		t.Error("a record of nothing was read")
	}
}

func TestUnits(t *testing.T) {
	for unit, want := range map[string]int64{"s": 2_000_000, "": 2000, "ms": 2000, "us": 2, "ns": 0} {
		opts := Options{Format: Debezium, Key: schema(t, "id int"), Fields: schema(t, "at timestamp"), Unit: unit}
		cs, err := parser(t, opts).Parse(&mortise.Record{Value: []byte(`{"op":"c","after":{"id":1,"at":2000},"source":{"ts_ms":5}}`)})
		if err != nil || len(cs) != 1 || cs[0].Row[0].Int() != want {
			t.Errorf("%s: %v, %v", unit, cs, err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, opts := range []Options{{Format: "maxwell", Key: schema(t, "id int")}, {Format: Canal}, {Format: Canal, Key: schema(t, "id int"), Unit: "h"}} {
		if _, err := NewParser(opts); err == nil {
			t.Errorf("%+v was accepted", opts)
		}
	}
}

// checkParsed holds what the fuzzers find to what Parse promises.
func checkParsed(t *testing.T, opts Options, cs []Change, err error) {
	t.Helper()
	if err != nil {
		why, ok := errors.AsType[*mortise.RecordError](err)
		if !ok || !why.Reason.IsDeadLetter() {
			t.Fatalf("the error is no dead letter: %v", err)
		}
	}
	for i := range cs {
		c := &cs[i]
		if len(c.Values) != len(opts.Key) || c.Row != nil && len(c.Row) != len(opts.Fields) {
			t.Fatalf("%+v", c)
		}
		for k, v := range c.Row {
			typ := opts.Fields[k].Type
			if v.Kind > mortise.Null && v.Kind != typ.Kind || v.Kind == mortise.Null && !typ.Nullable {
				t.Fatalf("field %s is %s", opts.Fields[k].Name, v.Kind)
			}
		}
		l := NewLog(opts.Fields, nil, 0)
		l.Apply(nil, c)
		back, err := ParseLog(opts.Fields, l.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		want, _ := l.Latest()
		if got, _ := back.Latest(); !EqualRows(got, want) {
			t.Fatalf("kept as %v, was %v", got, want)
		}
	}
}

func fuzz(f *testing.F, format string, opts Options) {
	paths, err := filepath.Glob(filepath.Join("testdata", format, "*.json"))
	if err != nil || len(paths) == 0 {
		f.Fatal("no corpus")
	}
	for _, path := range paths {
		f.Add([]byte(`{"id":1}`), read(f, path))
	}
	f.Add([]byte(`{"schema":{},"payload":{"id":1}}`), []byte{})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		cs, err := parser(t, opts).Parse(&mortise.Record{Key: key, Value: value, TimestampMS: 5})
		checkParsed(t, opts, cs, err)
	})
}

func FuzzDebezium(f *testing.F) { fuzz(f, Debezium, debeziumOptions(f)) }

func FuzzCanal(f *testing.F) { fuzz(f, Canal, canalOptions(f)) }

func BenchmarkParse(b *testing.B) {
	for format, name := range map[string]string{Debezium: "update", Canal: "update"} {
		opts := debeziumOptions(b)
		if format == Canal {
			opts = canalOptions(b)
		}
		p, rec := parser(b, opts), &mortise.Record{Value: read(b, filepath.Join("testdata", format, name+".json"))}
		b.Run(format, func(b *testing.B) {
			b.SetBytes(int64(len(rec.Value)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Parse(rec); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
