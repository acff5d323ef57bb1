package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

func definition(t *testing.T, name, text string) *dimjoin.Definition {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	typ := func(s string) mortise.Type {
		out, err := mortise.ParseType(s)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	return &dimjoin.Definition{Name: "item", Key: []string{"item_id"}, KeyTypes: []mortise.Type{typ("string")},
		Store:  dimjoin.Store{Kind: "file", Path: path},
		Fields: mortise.Schema{{Name: "brand", Type: typ("string?")}, {Name: "price", Type: typ("float")}}}
}

// read reads a key as AppendText writes its fields, or - for no row.
func read(t *testing.T, table *Table, key string, asOfMS int64) string {
	t.Helper()
	l := []dimjoin.Lookup{{Key: []byte(key), AsOfMS: asOfMS}}
	if err := table.Read(context.Background(), l); err != nil {
		t.Fatal(err)
	}
	switch {
	case l[0].Err != nil:
		return l[0].Err.Error()
	case l[0].Row == nil:
		return "-"
	}
	var parts []string
	for _, v := range l[0].Row {
		if v.IsNull() {
			parts = append(parts, "null")
			continue
		}
		parts = append(parts, string(dimjoin.AppendText(nil, v)))
	}
	return strings.Join(parts, " ")
}

func TestFormats(t *testing.T) {
	for name, text := range map[string]string{
		"items.csv":   "price,item_id,other,brand\n1.5,a,x,acme\n2,\"b|\"\"c\",,\"\"\n\n3,\"d\ne\",,\n",
		"items.tsv":   "price\titem_id\tbrand\n1.5\ta\tacme\n2\t\"b|\"\"c\"\t\"\"\n3\t\"d\ne\"\t\n",
		"items.jsonl": `{"price":1.5,"item_id":"a","brand":"acme"}` + "\n\n" + `{"price":2,"item_id":"b|\"c","brand":"","x":[1]}` + "\r\n" + `{"price":3,"item_id":"d\ne","brand":null}`,
	} {
		table, err := Open(context.Background(), definition(t, name, text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]string{"a": "acme 1.5", `b\|"c`: " 2", "d\ne": "null 3", "x": "-", "": "-"} {
			if got := read(t, table, key, dimjoin.Latest); got != want {
				t.Errorf("%s: %q is %q, want %q", name, key, got, want)
			}
		}
		if table.Rows() != 3 {
			t.Errorf("%s has %d rows", name, table.Rows())
		}
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a.csv", "", "a.csv: it is empty"},
		{"a.csv", "item_id,brand,price\n", "a.csv: it has no rows"},
		{"a.csv", "item_id,brand,prise\na,b,1\n", "a.csv:1: it has no column price, which is declared as a field of the dimension item; did you mean prise?"},
		{"a.csv", "item,brand,price\na,b,1\n", "declared as the key"},
		{"a.csv", "item_id,brand,brand,price\n", "a.csv:1: two columns are called brand"},
		{"a.csv", "item_id,brand,price\na,b,1\nb,c,x\n", `a.csv:3: column price (3): "x" is no float`},
		{"a.csv", "item_id,brand,price\na,b,1\nb,c\n", "a.csv:3: the row has 2 cells, and there are 3 columns"},
		{"a.csv", "item_id,brand,price\na,b,1\n,c,2\n", "a.csv:3: column item_id: a part of the key is null"},
		{"a.csv", "item_id,brand,price\na,b,\n", "a.csv:2: field price is null, and float is declared"},
		{"a.csv", "item_id,brand,price\na,b,1\nc,d,2\na,e,3\n", `a.csv:4: the key "a" is on line 2 already`},
		{"a.csv", "item_id,brand,price\na,\"b,1\nc,d,2\n", "a.csv:2: the quote that opens column 2 is never closed"},
		{"a.csv", "item_id,brand,price\na,\"b\"c,1\n", "a.csv:2: text follows a closing quote"},
		{"a.csv", "item_id,brand,price\na,\xff,1\n", "a.csv:2: field brand is text that is not UTF-8"},
		{"a.jsonl", "", "a.jsonl: it has no rows"},
		{"a.jsonl", "{\"item_id\":\"a\",\"price\":1}\n{]\n", "a.jsonl:2: byte 2: it is no JSON"},
		{"a.jsonl", "[1]\n", "a.jsonl:1: it is no JSON object"},
		{"a.jsonl", `{"item_id":"a","price":"1"}`, `a.jsonl:1: column price: "\"1\"" is no float`},
		{"a.jsonl", `{"item_id":"a","prices":1}`, "a.jsonl:1: it has no column price"},
		{"a.jsonl", `{"item_id":"a","price":1}`, "a.jsonl: it has no column brand"},
		{"a.jsonl", `{"item_id":null,"brand":"a","price":1}`, "a.jsonl:1: column item_id: a part of the key is null"},
		{"a.csv.gz", "\x1f\x8bx", "a.csv.gz: the gzip data is damaged"},
		{"a.parquet", "x", "which this program does not read"},
		{"a.txt", "x", "a.txt: its name does not say what it is"},
	} {
		_, err := Open(context.Background(), definition(t, c.name, c.text), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q gives %v, want %s", c.text, err, c.want)
		}
	}
	def := definition(t, "a.csv", "")
	def.Store.Path += "x"
	if _, err := Open(context.Background(), def, Options{}); err == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}

func TestHistory(t *testing.T) {
	def := definition(t, "a.csv", "item_id,brand,price,valid_from,valid_to\na,one,1,10,20\na,two,2,20,\nb,late,3,100,9999-12-31\nb,ended,4,,50\n")
	def.History = dimjoin.History{From: "valid_from", To: "valid_to"}
	table, err := Open(context.Background(), def, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	for _, c := range []struct {
		key  string
		at   int64
		want string
	}{{"a", 9, "-"}, {"a", 10, "one 1"}, {"a", 19, "one 1"}, {"a", 20, "two 2"}, {"a", dimjoin.Latest, "two 2"}, {"b", -1 << 40, "ended 4"}, {"b", 49, "ended 4"}, {"b", 50, "-"}, {"b", 99, "-"}, {"b", 100, "late 3"}, {"b", dimjoin.Latest, "late 3"}, {"c", 5, "-"}} {
		if got := read(t, table, c.key, c.at); got != c.want {
			t.Errorf("%s at %d is %s, want %s", c.key, c.at, got, c.want)
		}
	}
	for text, want := range map[string]string{
		"item_id,brand,price,valid_from\na,one,1,1\na,two,2,1\n":             "the lines 2 and 3 are versions of one key that begin at the same time",
		"item_id,brand,price,valid_to\na,one,1,1\n":                          "no column valid_from",
		"item_id,brand,price,valid_from,valid_to\na,one,1,soon,\n":           `a.csv:2: column valid_from: "soon" is no time; the history's unit is ms`,
		"item_id,brand,price,valid_from,valid_to\na,one,1,2000,1000\n":       "a.csv:2: the row's validity ends before it begins",
		"item_id,brand,price,valid_from,valid_to\na,one,1,1,2\nb,two,x,1,\n": "a.csv:3: column price",
	} {
		def := definition(t, "a.csv", text)
		def.History = dimjoin.History{From: "valid_from", To: "valid_to"}
		if _, err := Open(context.Background(), def, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %s", text, err, want)
		}
	}
}

func TestReload(t *testing.T) {
	def := definition(t, "a.csv", "item_id,brand,price\na,one,1\n")
	clock := time.UnixMilli(0)
	var events []string
	table, err := Open(context.Background(), def, Options{Every: time.Second, Now: func() time.Time { return clock }, OnReload: func(rows int, err error) {
		if err != nil {
			events = append(events, err.Error())
			return
		}
		events = append(events, "read")
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	modified := time.Unix(1e9, 0)
	write := func(text string) {
		t.Helper()
		modified = modified.Add(time.Second)
		if err := os.WriteFile(def.Store.Path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(def.Store.Path, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	pass := func(d time.Duration) {
		clock = clock.Add(d)
		read(t, table, "a", dimjoin.Latest)
		table.behind.Wait()
	}
	want := func(row string, all ...string) {
		t.Helper()
		if got := read(t, table, "a", dimjoin.Latest); got != row {
			t.Errorf("the row is %s, want %s", got, row)
		}
		if len(events) != len(all) {
			t.Fatalf("%q happened, want %q", events, all)
		}
		for i := range all {
			if !strings.Contains(events[i], all[i]) {
				t.Errorf("%q happened, want %q", events[i], all[i])
			}
		}
	}
	write("item_id,brand,price\na,two,2\n")
	pass(900 * time.Millisecond)
	pass(100 * time.Millisecond) // it is seen
	want("one 1")
	pass(time.Second) // and has stayed as it is
	want("two 2", "read")
	pass(time.Second)
	write("item_id,brand,price\na,three,x\n")
	pass(time.Second)
	pass(time.Second)
	pass(time.Second)
	want("two 2", "read", "a.csv:2: column price")
	if err := os.Remove(def.Store.Path); err != nil {
		t.Fatal(err)
	}
	pass(time.Second)
	pass(time.Second)
	want("two 2", "read", "a.csv:2", "no such file")
	write("item_id,brand,price\na,four,4\n")
	pass(time.Second)
	pass(time.Second)
	want("four 4", "read", "a.csv:2", "no such file", "read")
}

// TestMemory holds rows to what they take, and not much more.
func TestMemory(t *testing.T) {
	b := newBuilder(mortise.Schema{{Name: "brand"}, {Name: "price"}}, false)
	const n = 100_000
	row := mortise.Row{mortise.StringValue("some brand"), mortise.FloatValue(1.5)}
	size := 0
	for i := range n {
		key, _ := dimjoin.AppendKey(nil, mortise.IntValue(int64(1_000_000+i)))
		size += len(key) + 22
		if err := b.add(key, row, 0, 0, i); err != nil {
			t.Fatal(err)
		}
	}
	c, err := b.build()
	if err != nil {
		t.Fatal(err)
	}
	if got := c.bytes(); got > size+34*n {
		t.Errorf("%d rows of %d bytes take %d", n, size/n, got/n)
	}
}
