package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

func TestJSONReaderKeepsLayouts(t *testing.T) {
	r := NewJSONReader()
	read := func(line, version string) Row {
		t.Helper()
		row, err := r.Read([]byte(line), version)
		if err != nil {
			t.Fatal(err)
		}
		return row
	}
	a := read(`{"instance_id":"a","n":1}`, "1").Layout
	for _, c := range []struct {
		line, version string
		same          bool
	}{
		{` { "instance_id" : "b" , "n" : null } `, "1", true},
		{`{"n":1,"instance_id":"c"}`, "1", false},
		{`{"instance_id":"d","n":1}`, "2", false},
		{`{"instance_id":"d","n":1,"m":[]}`, "1", false},
		{`{"instance_id":"e","n":[1,[2]]}`, "1", true},
	} {
		if got := read(c.line, c.version).Layout == a; got != c.same {
			t.Errorf("%s of version %s: same layout %t, want %t", c.line, c.version, got, c.same)
		}
	}
}

func TestJSONReaderFaults(t *testing.T) {
	for line, want := range map[string]string{
		``:                              "byte 1: a row is one JSON object, not the end of the line",
		`[1]`:                           "byte 1: a row is one JSON object",
		`{"a":1}x`:                      `byte 8: the object ends here, but there is "x"`,
		`{"a" 1}`:                       `byte 6: there should be a colon after the key "a"`,
		`{"a":1,}`:                      "byte 8: there should be a key in quotes",
		`{"a":1 "b":2}`:                 "byte 8: there should be a comma or } after column a",
		`{"a":01}`:                      `byte 6: column a: "01" is no number`,
		`{"a":-}`:                       `column a: "-" is no number`,
		`{"a":{}}`:                      "column a: an object is no value of an instance",
		`{"a":nul}`:                     `column a: there should be a value, not "nul}"`,
		`{"a":"x`:                       "column a: a string does not end",
		"{\"a\":\"x\ty\"}":              "column a: a string holds the control character 0x09",
		`{"a":"\x"}`:                    `column a: a string holds the escape \x`,
		`{"a":"\u12"}`:                  `column a: \u needs four hexadecimal digits`,
		`{"a":[1 2]}`:                   "column a: there should be a comma or ] in the list",
		`{"a":1,"a":2}`:                 "the column a comes twice",
		`{"a":[[[[[[[[[[1]]]]]]]]]]}`:   "there should be a value",
		`{"a":1`:                        "there should be a comma or } after column a, not the end of the line",
		`{"a":["x",` + "\x00" + `"y"]}`: "column a: there should be a value",
	} {
		_, err := NewJSONReader().Read([]byte(line), "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// FuzzJSONReader reads whatever encoding/json reads as a flat object, and gets
// the same values.
func FuzzJSONReader(f *testing.F) {
	for _, line := range []string{
		`{"instance_id":"a","event_time":1574553663979,"label_click":0.5,"l":["x","\u00e9\ud83d\ude00\ud800"],"degraded":[],"final":true,"n":null}`,
		`{"a":-0,"b":1e400,"c":9223372036854775807,"d":9223372036854775808,"e":-9223372036854775808,"f":1E-7,"g":0.1}`,
		`{"":"\"\\\/\b\f\n\r\t"}`, `{}`, `{"a":[[],[1,[true,false]]]}`, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		row, err := NewJSONReader().Read(line, "")
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		var want map[string]any
		jsonErr := dec.Decode(&want)
		if err != nil {
			return // this reader wants more: one flat object, each key once
		}
		if jsonErr != nil {
			t.Fatalf("%q: read, though %v", line, jsonErr)
		}
		for i, name := range row.Layout.Names {
			if got, want := spell(&row.Values[i]), spellJSON(t, want[strings.ToValidUTF8(name, "\ufffd")]); got != want && !strings.Contains(name+got, "\ufffd") && strings.ToValidUTF8(name, "") == name {
				t.Errorf("%q: column %q is %s, want %s", line, name, got, want)
			}
		}
	})
}

func spell(v *mortise.Value) string {
	switch v.Kind {
	case mortise.String:
		return fmt.Sprintf("%q", strings.ToValidUTF8(string(v.Text()), "\ufffd"))
	case mortise.List:
		parts := []string{}
		for _, e := range v.List() {
			parts = append(parts, spell(&e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case mortise.Bool:
		return fmt.Sprint(v.Bool())
	case mortise.Null:
		return "<nil>"
	case mortise.Int:
		return fmt.Sprint(v.Int())
	}
	return fmt.Sprint(v.Float())
}

func spellJSON(t *testing.T, v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []any:
		parts := []string{}
		for _, e := range v {
			parts = append(parts, spellJSON(t, e))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return fmt.Sprint(n)
		}
		f, err := v.Float64()
		if err != nil && !math.IsInf(f, 0) {
			t.Fatal(err)
		}
		return fmt.Sprint(f)
	}
	return fmt.Sprint(v)
}

func BenchmarkJSONReader(b *testing.B) {
	line := []byte(`{"instance_id":"bts-women-127","event_time":1574553663979,"label_click":1,"label_click_time":1574559099027,"label_click_count":1,"user_segment":"28e84658d0c5","item_id":"women-36","position":2,"propensity":0.021739130434782608,"weight":4,"revision":0,"final":true,"late":false,"degraded":[]}`)
	r := NewJSONReader()
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Read(line, "1"); err != nil {
			b.Fatal(err)
		}
	}
}
