package avro

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/fields"
)

func parse(t testing.TB, text string, refs ...mortise.SchemaReference) *Schema {
	t.Helper()
	s, err := Parse(&mortise.WriterSchema{Type: "AVRO", Text: text, References: refs})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// of is a record of one field v.
func of(typ string) string {
	return `{"type":"record","name":"R","namespace":"n","fields":[{"name":"v","type":` + typ + `}]}`
}

// show spells a value for comparison.
func show(v *mortise.Value) string {
	switch v.Kind {
	case mortise.String:
		return fmt.Sprintf("%q", v.Text())
	case mortise.Int:
		return fmt.Sprint(v.Int())
	case mortise.Timestamp:
		return fmt.Sprintf("@%d", v.Int())
	case mortise.Float:
		return fmt.Sprintf("%v.", v.Float())
	case mortise.Bool:
		return fmt.Sprint(v.Bool())
	case mortise.List:
		var items []string
		for _, item := range v.List() {
			items = append(items, show(&item))
		}
		return "[" + strings.Join(items, " ") + "]"
	}
	return "null"
}

func TestResolution(t *testing.T) {
	uuid := [16]byte{0x2d, 0x51, 0x47, 0x7a, 0x8e, 0xaa, 0x8a, 0x8d, 0xb0, 0xa6, 0xa1, 0x02, 0xa0, 0xe7, 0x54, 0x76}
	at := time.UnixMilli(1574553663979).UTC()
	for _, c := range []struct {
		schema string
		value  any
		want   string
		got    string // the value, or how it does not fit
	}{
		{`"string"`, "é", "string", `"é"`},
		{`"bytes"`, []byte("abc"), "string", `"abc"`},
		{`"bytes"`, []byte("\xff"), "string", "unfit"},
		{`{"type":"enum","name":"E","symbols":["A","B"]}`, "B", "string", `"B"`},
		{`{"type":"fixed","name":"F","size":16,"logicalType":"uuid"}`, uuid, "string", `"2d51477a-8eaa-8a8d-b0a6-a102a0e75476"`},
		{`{"type":"fixed","name":"F","size":2}`, [2]byte{'a', 'b'}, "string", "unfit"},
		{`"int"`, int32(-5), "string", "unfit"},
		{`"int"`, int32(-5), "int", "-5"},
		{`"long"`, int64(-1 << 63), "int", "-9223372036854775808"},
		{`{"type":"long","logicalType":"timestamp-millis"}`, at, "int", "1574553663979"},
		{`"double"`, 5.0, "int", "unfit"},
		{`"string"`, "5", "int", "unfit"},
		{`"int"`, int32(3), "float", "3."},
		{`"long"`, int64(1)<<53 + 2, "float", "9.007199254740994e+15."},
		{`"float"`, float32(0.1), "float", "0.10000000149011612."},
		{`"double"`, 0.1, "float", "0.1."},
		{`{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}`, big.NewRat(-12345, 100), "float", "-123.45."},
		{`{"type":"fixed","name":"D","size":12,"logicalType":"decimal","precision":20,"scale":4}`, big.NewRat(1<<62, 10000), "float", "4.611686018427388e+14."},
		{`"boolean"`, true, "bool", "true"},
		{`"int"`, int32(1), "bool", "unfit"},
		{`{"type":"long","logicalType":"timestamp-millis"}`, at, "timestamp", "@1574553663979"},
		{`{"type":"long","logicalType":"timestamp-micros"}`, at, "timestamp", "@1574553663979"},
		{`{"type":"long","logicalType":"timestamp-nanos"}`, at, "timestamp", "@1574553663979"},
		{`{"type":"long","logicalType":"local-timestamp-micros"}`, at, "timestamp", "@1574553663979"},
		{`{"type":"int","logicalType":"date"}`, at, "timestamp", "@1574553600000"},
		{`"long"`, int64(42), "timestamp", "@42"},
		{`"double"`, 42.0, "timestamp", "unfit"},
		{`{"type":"array","items":"int"}`, []int32{1, 2}, "[int]", "[1 2]"},
		{`{"type":"array","items":["null","string"]}`, []any{"a", "b"}, "[string]", `["a" "b"]`},
		{`{"type":"array","items":["null","string"]}`, []any{"a", nil}, "[string]", "unfit"},
		{`{"type":"array","items":"string"}`, []string{"a"}, "[int]", "unfit"},
		{`{"type":"array","items":"int"}`, []int32{}, "[float]", "[]"},
		{`{"type":"array","items":"int"}`, []int32{1}, "int", "unfit"},
		{`{"type":"map","values":"int"}`, map[string]int32{"a": 1}, "int", "unfit"},
		{`["null","long"]`, int64(7), "int", "7"},
		{`["null","long"]`, nil, "int", "null"},
		{`["string","long","null"]`, int64(7), "int", "7"},
		{`["string","long","null"]`, "x", "int", "unfit"},
		{`"null"`, nil, "int", "null"},
	} {
		typ, err := mortise.ParseType(c.want)
		if err != nil {
			t.Fatal(err)
		}
		s := parse(t, of(c.schema))
		data, err := s.Full.Encode(map[string]any{"v": c.value})
		if err != nil {
			t.Fatalf("%s of %v: %v", c.schema, c.value, err)
		}
		sc := s.Scanner([]fields.Want{{Path: []string{"v"}, Type: typ, Times: fields.Millis{}}, {Path: []string{"w"}, Type: typ}})
		values, fits := make([]mortise.Value, 2), make([]fields.Fit, 2)
		if err := sc.Scan(data, true, values, fits); err != nil {
			t.Errorf("%s as %s: %v", c.schema, c.want, err)
			continue
		}
		got := map[fields.Fit]string{fields.OK: show(&values[0]), fields.Null: "null", fields.Unfit: "unfit", fields.BadText: "bad text"}[fits[0]]
		if got != c.got || fits[1] != fields.Missing {
			t.Errorf("%s %v as %s: got %s, want %s", c.schema, c.value, c.want, got, c.got)
		}
		if fits[0] != fields.OK && values[0].Kind != mortise.Null {
			t.Errorf("%s as %s leaves %s behind", c.schema, c.want, values[0].Kind)
		}
		for n := range data {
			if sc.Scan(data[:n], true, values, fits) == nil {
				t.Errorf("%s: %d of %d bytes are read", c.schema, n, len(data))
			}
		}
	}
}

func TestBadText(t *testing.T) {
	s := parse(t, of(`"string"`))
	sc := s.Scanner([]fields.Want{{Path: []string{"v"}, Type: mortise.Type{Kind: mortise.String}}})
	values, fits := make([]mortise.Value, 1), make([]fields.Fit, 1)
	if err := sc.Scan([]byte("\x02\xff"), true, values, fits); err != nil || fits[0] != fields.BadText {
		t.Errorf("%v, %d", err, fits[0])
	}
}

func TestNested(t *testing.T) {
	ref := mortise.SchemaReference{Name: "geo.Place", Text: `{"type":"record","name":"Place","namespace":"geo","fields":[{"name":"zip","type":"string"},{"name":"at","type":["null","Place"],"default":null}]}`}
	s := parse(t, `{"type":"record","name":"R","fields":[{"name":"before","type":"long"},{"name":"user","type":["null",{"type":"record","name":"User","fields":[
		{"name":"id","type":"int"},{"name":"home","type":"geo.Place"},{"name":"work","type":["null","geo.Place"]}]}]},{"name":"after","type":"string"}]}`, ref)
	var wants []fields.Want
	for _, path := range []string{"user.home.zip:string", "user.work.zip:string", "user.id:int", "user.home.at.at.zip:string", "after:string", "after.x:int", "user.nope:int", "user:int"} {
		name, typ, _ := strings.Cut(path, ":")
		parsed, _ := mortise.ParseType(typ)
		wants = append(wants, fields.Want{Path: strings.Split(name, "."), Type: parsed})
	}
	sc := s.Scanner(wants)
	values, fits := make([]mortise.Value, len(wants)), make([]fields.Fit, len(wants))
	row := func(user any) string {
		data, err := s.Full.Encode(map[string]any{"before": int64(1), "user": user, "after": "z"})
		if err != nil {
			t.Fatal(err)
		}
		if err := sc.Scan(data, true, values, fits); err != nil {
			t.Fatal(err)
		}
		var out []string
		for i := range values {
			out = append(out, fmt.Sprintf("%d:%s", fits[i], show(&values[i])))
		}
		return strings.Join(out, " ")
	}
	place := func(zip string, at any) map[string]any { return map[string]any{"zip": zip, "at": at} }
	got := row(map[string]any{"id": int32(5), "home": place("h", place("i", place("deep", nil))), "work": nil})
	if want := `2:"h" 1:null 2:5 2:"deep" 2:"z" 0:null 0:null 3:null`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	got = row(nil)
	if want := `1:null 1:null 1:null 1:null 2:"z" 0:null 0:null 1:null`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// randomType draws a schema, and a function that draws values of it.
func randomType(rnd *rand.Rand, depth int, names *int) (any, func() any) {
	kinds := 8
	if depth > 0 {
		kinds = 14
	}
	*names++
	name := fmt.Sprintf("T%d", *names)
	switch rnd.Intn(kinds) {
	case 0:
		return "null", func() any { return nil }
	case 1:
		return "boolean", func() any { return rnd.Intn(2) == 0 }
	case 2:
		return "int", func() any { return int32(rnd.Uint32()) >> rnd.Intn(32) }
	case 3:
		return "long", func() any { return int64(rnd.Uint64()) >> rnd.Intn(64) }
	case 4:
		return "float", func() any { return float32(rnd.NormFloat64()) }
	case 5:
		return "double", func() any { return rnd.NormFloat64() }
	case 6:
		return "string", func() any { return strings.Repeat("é", rnd.Intn(200)) }
	case 7:
		return "bytes", func() any { return make([]byte, rnd.Intn(20)) }
	case 8:
		return map[string]any{"type": "enum", "name": name, "symbols": []string{"A", "B", "C"}}, func() any { return string(rune('A' + rnd.Intn(3))) }
	case 9:
		return map[string]any{"type": "fixed", "name": name, "size": 3}, func() any { return []byte{1, 2, 3} }
	case 10:
		items, value := randomType(rnd, depth-1, names)
		return map[string]any{"type": "array", "items": items}, func() any {
			list := []any{}
			for range rnd.Intn(4) {
				list = append(list, value())
			}
			return list
		}
	case 11:
		items, value := randomType(rnd, depth-1, names)
		return map[string]any{"type": "map", "values": items}, func() any {
			m := map[string]any{}
			for i := range rnd.Intn(4) {
				m[fmt.Sprint(i)] = value()
			}
			return m
		}
	case 12:
		return []any{"null", "string", "long"}, func() any { return []any{nil, "x", int64(5)}[rnd.Intn(3)] }
	}
	return randomRecord(rnd, depth-1, names)
}

func randomRecord(rnd *rand.Rand, depth int, names *int) (any, func() any) {
	*names++
	name := fmt.Sprintf("R%d", *names)
	var list []any
	var values []func() any
	for i := range rnd.Intn(5) {
		typ, value := randomType(rnd, depth, names)
		list, values = append(list, map[string]any{"name": fmt.Sprintf("f%d", i), "type": typ}), append(values, value)
	}
	if list == nil {
		list = []any{}
	}
	return map[string]any{"type": "record", "name": name, "fields": list}, func() any {
		m := map[string]any{}
		for i, value := range values {
			m[fmt.Sprintf("f%d", i)] = value()
		}
		return m
	}
}

// What the library writes is passed over to its last byte, and nothing shorter is.
func TestSkip(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	for range 300 {
		names := 0
		typ, value := randomRecord(rnd, 3, &names)
		text, err := json.Marshal(typ)
		if err != nil {
			t.Fatal(err)
		}
		s := parse(t, string(text))
		for range 5 {
			data, err := s.Full.Encode(value())
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if end := s.Root.Skip(data, 0); end != len(data) {
				t.Fatalf("%s: passes over %d of %d bytes: %x", text, end, len(data), data)
			}
			for n := range data {
				if end := s.Root.Skip(data[:n], 0); end > n {
					t.Fatalf("%s: %d bytes of %d passed over", text, end, n)
				}
			}
		}
	}
}

// Blocks may say how many bytes they take.
func TestSizedBlocks(t *testing.T) {
	s := parse(t, `{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":"long"}},{"name":"b","type":"long"}]}`)
	data := []byte{0x03, 0x04, 0x02, 0x04, 0x02, 0x06, 0x00, 0x08} // -2 items in 2 bytes: 1 2; one more: 3; end; 4
	sc := s.Scanner([]fields.Want{{Path: []string{"a"}, Type: mortise.Type{Kind: mortise.List, Elem: mortise.Int}}, {Path: []string{"b"}, Type: mortise.Type{Kind: mortise.Int}}})
	values, fits := make([]mortise.Value, 2), make([]fields.Fit, 2)
	if err := sc.Scan(data, true, values, fits); err != nil || show(&values[0]) != "[1 2 3]" || show(&values[1]) != "4" {
		t.Errorf("%v: %s %s", err, show(&values[0]), show(&values[1]))
	}
	if end := s.Root.Skip(data, 0); end != len(data) {
		t.Errorf("passes over %d of %d", end, len(data))
	}
	var row map[string]any
	if _, err := s.Full.Decode(data, &row); err != nil {
		t.Errorf("the library does not read it: %v", err)
	}
}

// Schemas and data that would keep a naive reader busy for ever, or fill the stack.
func TestHostile(t *testing.T) {
	endless := parse(t, `{"type":"record","name":"L","fields":[{"name":"next","type":"L"}]}`)
	if end := endless.Root.Skip([]byte("x"), 0); end >= 0 {
		t.Error("an endless record has an end")
	}
	nulls := parse(t, of(`{"type":"array","items":"null"}`))
	many := []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00} // 2^63-1 nulls
	if end := nulls.Root.Skip(many, 0); end != len(many) {
		t.Errorf("passes over %d of %d", end, len(many))
	}
	sc := nulls.Scanner([]fields.Want{{Path: []string{"v"}, Type: mortise.Type{Kind: mortise.List, Elem: mortise.Int}}})
	values, fits := make([]mortise.Value, 1), make([]fields.Fit, 1)
	if err := sc.Scan(many, true, values, fits); err != nil || fits[0] != fields.Unfit {
		t.Errorf("%v, %d", err, fits[0])
	}
	deep := parse(t, `{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}`)
	if end := deep.Root.Skip(make([]byte, 1), 0); end != 1 {
		t.Errorf("passes over %d", end)
	}
	chain := make([]byte, 10_000_000)
	for i := range chain {
		chain[i] = 2
	}
	if end := deep.Root.Skip(chain, 0); end >= 0 {
		t.Error("ten million records within one another are passed over")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		ws   mortise.WriterSchema
		want string
	}{
		{mortise.WriterSchema{Type: "JSON", Text: "{}"}, "of type JSON"},
		{mortise.WriterSchema{Type: "AVRO", Text: `"string"`}, "a string, not a record"},
		{mortise.WriterSchema{Type: "AVRO", Text: `{"type":"record"`}, ""},
		{mortise.WriterSchema{Type: "AVRO", Text: of(`"Nowhere"`)}, "Nowhere"},
		{mortise.WriterSchema{Type: "AVRO", Text: of(`"int"`), References: []mortise.SchemaReference{{Name: "x.Y", Text: "{"}}}, "x.Y"},
	} {
		if _, err := Parse(&c.ws); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v", c.ws, err)
		}
	}
}

func FuzzScan(f *testing.F) {
	s := parse(f, `{"type":"record","name":"R","fields":[{"name":"s","type":["null","string"]},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
		{"name":"a","type":{"type":"array","items":["null","double"]}},{"name":"m","type":{"type":"map","values":"bytes"}},{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}},
		{"name":"r","type":["null","R"]},{"name":"t","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"b","type":"boolean"}]}`)
	data, err := s.Full.Encode(map[string]any{"s": "x", "e": "A", "a": []any{1.5, nil}, "m": map[string]any{"k": []byte{1}}, "d": big.NewRat(5, 1), "r": nil, "t": int64(5), "b": true})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	wants := []fields.Want{{Path: []string{"s"}, Type: mortise.Type{Kind: mortise.String}}, {Path: []string{"e"}, Type: mortise.Type{Kind: mortise.String}},
		{Path: []string{"a"}, Type: mortise.Type{Kind: mortise.List, Elem: mortise.Float}}, {Path: []string{"d"}, Type: mortise.Type{Kind: mortise.Float}},
		{Path: []string{"r", "t"}, Type: mortise.Type{Kind: mortise.Timestamp}, Times: fields.Millis{}}, {Path: []string{"b"}, Type: mortise.Type{Kind: mortise.Bool}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		sc := s.Scanner(wants)
		values, fits := make([]mortise.Value, len(wants)), make([]fields.Fit, len(wants))
		err := sc.Scan(data, true, values, fits)
		if err == nil && s.Root.Skip(data, 0) != len(data) { // which trusts the sizes of blocks, and so passes over more
			t.Fatal("what can be scanned cannot be passed over")
		}
		if err != nil {
			return
		}
		var row map[string]any
		if rest, err := s.Full.Decode(data, &row); err == nil && len(rest) > 0 {
			t.Fatalf("the library finds %d bytes behind the record", len(rest))
		}
	})
}
