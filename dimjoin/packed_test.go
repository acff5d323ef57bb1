package dimjoin

import (
	"bytes"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

func fieldsOf(t testing.TB, pairs ...string) (out mortise.Schema) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		typ, err := mortise.ParseType(pairs[i+1])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, mortise.Field{Name: pairs[i], Type: typ})
	}
	return out
}

func packing(t testing.TB, pairs ...string) *Packing {
	t.Helper()
	p, err := NewPacking(fieldsOf(t, pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func text(row mortise.Row) string {
	var parts []string
	for _, v := range row {
		parts = append(parts, v.Kind.String()+" "+string(AppendText(nil, v)))
	}
	return strings.Join(parts, ", ")
}

func TestPackedRows(t *testing.T) {
	p := packing(t, "a", "string", "b", "int?", "c", "float", "d", "bool", "e", "timestamp", "f", "[string]")
	row := mortise.Row{mortise.StringValue("x"), mortise.NullValue(), mortise.FloatValue(-0.5), mortise.BoolValue(true), mortise.TimestampValue(-7),
		mortise.ListValue([]mortise.Value{mortise.StringValue(""), mortise.StringValue("y")})}
	data := p.Append(nil, row)
	got, err := p.Read(data)
	if err != nil || text(got) != text(row) {
		t.Fatalf("%s, want %s (%v)", text(got), text(row), err)
	}
	for i := range data {
		data[i] = 0xff
	}
	if text(got) != text(row) {
		t.Error("the row aliases what it was read from")
	}
	data = p.Append(nil, row)
	for _, c := range []struct {
		fields []string
		want   string
		err    string
	}{
		{[]string{"e", "int", "a", "string?"}, "int -7, string x", ""},
		{[]string{"z", "int?", "d", "bool"}, "null , bool true", ""},
		{[]string{"z", "int"}, "", "field z is null"},
		{[]string{"a", "int"}, "", `field a is the text "x", and int is declared`},
		{[]string{"b", "int"}, "", "field b is null, and int is declared; int? allows null"},
		{[]string{"f", "[int]"}, "", `field f is a list whose item 0 is the text ""`},
		{[]string{"c", "int"}, "", "field c is a float"},
	} {
		got, err := packing(t, c.fields...).Read(data)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || err == nil && text(got) != c.want {
			t.Errorf("as %v: %s, %v", c.fields, text(got), err)
		}
	}
	for i := range data {
		if got, err := p.Read(data[:i]); err == nil {
			t.Errorf("%d of %d bytes are read as %s", i, len(data), text(got))
		}
	}
	if _, err := p.Read(make([]byte, MaxRowBytes+1)); err == nil || !strings.Contains(err.Error(), "1048577 bytes") {
		t.Errorf("a large row: %v", err)
	}
}

// FuzzPacked reads anything as a row; what is read is written and read the same.
func FuzzPacked(f *testing.F) {
	p := packing(f, "a", "string?", "b", "int?", "c", "float?", "d", "bool?", "e", "timestamp?", "f", "[string]?", "g", "[int]?")
	row := mortise.Row{mortise.StringValue("x"), mortise.IntValue(1 << 40), mortise.FloatValue(2), mortise.BoolValue(false), mortise.TimestampValue(3),
		mortise.ListValue([]mortise.Value{mortise.StringValue("y")}), mortise.ListValue(nil)}
	f.Add(p.Append(nil, row))
	f.Add([]byte{packedFormat})
	f.Fuzz(func(t *testing.T, data []byte) {
		row, err := p.Read(data)
		if err != nil {
			return
		}
		packed := p.Append(nil, row)
		again, err := p.Read(packed)
		if err != nil || !bytes.Equal(p.Append(nil, again), packed) {
			t.Errorf("%x: %s, then %s, %v", data, text(row), text(again), err)
		}
	})
}
