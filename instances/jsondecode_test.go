package instances

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand"
	"os"
	"reflect"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

// whatJSONSays is the instance as it must come back: of what JSON cannot say,
// null is left, and of bytes that are not UTF-8, U+FFFD.
func whatJSONSays(c *Columns, in *Instance) *Instance {
	out := *in
	out.ID = []byte(valid(in.ID))
	out.Labels = append([]LabelValue{}, in.Labels...)
	for i := range out.Labels {
		if out.Labels[i].Count == 0 {
			out.Labels[i] = LabelValue{}
		}
	}
	out.Selected = mortise.Row{}
	for i, v := range in.Selected {
		out.Selected = append(out.Selected, said(v, c.Selected()[i].Type.Kind))
	}
	out.Degraded = nil
	for _, text := range in.Degraded {
		out.Degraded = append(out.Degraded, valid([]byte(text)))
	}
	return &out
}

func said(v mortise.Value, kind mortise.Kind) mortise.Value {
	switch {
	case v.Kind <= mortise.Null, v.Kind == mortise.Float && (math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0)):
		return mortise.NullValue()
	case kind == mortise.String:
		return mortise.StringValue(valid(v.Text()))
	case v.Kind == mortise.List:
		list := []mortise.Value{}
		for _, e := range v.List() {
			list = append(list, said(e, e.Kind))
		}
		return mortise.ListValue(list)
	}
	return v
}

// equalInstances compares what two instances hold, a nil list with an empty one too.
func equalInstances(a, b *Instance) bool {
	same := bytes.Equal(a.ID, b.ID) && a.TimeMS == b.TimeMS && a.Weight == b.Weight && a.Revision == b.Revision && a.Final == b.Final && a.Late == b.Late &&
		reflect.DeepEqual(append([]LabelValue{}, a.Labels...), append([]LabelValue{}, b.Labels...)) &&
		strings.Join(a.Degraded, "\x00") == strings.Join(b.Degraded, "\x00") && len(a.Degraded) == len(b.Degraded) && len(a.Selected) == len(b.Selected)
	for i := range a.Selected {
		same = same && equalValues(a.Selected[i], b.Selected[i])
	}
	return same
}

func equalValues(a, b mortise.Value) bool {
	switch {
	case a.Kind != b.Kind || len(a.List()) != len(b.List()):
		return false
	case a.Kind == mortise.Float:
		return math.Float64bits(a.Float()) == math.Float64bits(b.Float())
	}
	for i := range a.List() {
		if !equalValues(a.List()[i], b.List()[i]) {
			return false
		}
	}
	return bytes.Equal(a.Text(), b.Text()) && a.Int() == b.Int()
}

func TestJSONDecodesWhatIsEncoded(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	c := columns(t, "a b", "s:string? i:int? f:float? b:bool? t:timestamp? l:[string]?")
	e, d := NewJSONEncoder(c), NewJSONDecoder(c)
	var got Instance
	for range 5000 {
		in := randomInstance(rnd)
		line := e.Append(nil, &in)
		if err := d.Decode(line, &got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		want := whatJSONSays(c, &in)
		if !equalInstances(&got, want) {
			t.Fatalf("%s:\n got %+v\nwant %+v", line, got, *want)
		}
		spaced := passedOn(t, line)
		if err := d.Decode(spaced, &got); err != nil {
			t.Fatalf("%s: %v", spaced, err)
		}
		if !equalInstances(&got, want) {
			t.Fatalf("%s:\n got %+v\nwant %+v", spaced, got, *want)
		}
	}
}

// passedOn is a row as another program may pass it on: keys sorted, spaced out,
// and one more of them.
func passedOn(t *testing.T, line []byte) []byte {
	t.Helper()
	var row map[string]any
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	if err := dec.Decode(&row); err != nil {
		t.Fatal(err)
	}
	row["unknown"] = map[string]any{"x": []any{1, "}", nil, true, map[string]any{}}}
	spaced, err := json.MarshalIndent(row, " ", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return spaced
}

func TestJSONDecodesGolden(t *testing.T) {
	c, rows := goldenRows(t)
	text, err := os.ReadFile("testdata/instances.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	d, n := NewJSONDecoder(c), 0
	for line := range bytes.Lines(text) {
		var got Instance
		if err := d.Decode(bytes.TrimSpace(line), &got); err != nil {
			t.Fatal(err)
		}
		if want := whatJSONSays(c, &rows[n]); !equalInstances(&got, want) {
			t.Errorf("row %d:\n got %+v\nwant %+v", n, got, *want)
		}
		n++
	}
	if n != len(rows) {
		t.Errorf("%d rows, want %d", n, len(rows))
	}
}

const decodedRow = `{"instance_id":"a","event_time":5,"label_click":0,"label_click_time":null,"label_click_count":0,"n":1,"x":0.5,"tags":["p","q"],` +
	`"weight":1,"revision":0,"final":true,"late":false,"degraded":[]}`

// What `select` gains later is null in older rows; what it lost is passed over.
func TestJSONDecodesOlderRows(t *testing.T) {
	d := NewJSONDecoder(columns(t, "click", "x:float? newer:string? tags:[string]"))
	var got Instance
	if err := d.Decode([]byte(decodedRow), &got); err != nil {
		t.Fatal(err)
	}
	if !equalValues(got.Selected[0], mortise.FloatValue(0.5)) || !got.Selected[1].IsNull() || len(got.Selected[2].List()) != 2 {
		t.Errorf("got %+v", got.Selected)
	}
}

func TestJSONDecodeRefuses(t *testing.T) {
	d := NewJSONDecoder(columns(t, "click", "n:int x:float? tags:[string]"))
	var got Instance
	if err := d.Decode([]byte(decodedRow), &got); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{decodedRow, ``, "want a JSON object, found its end"},
		{decodedRow, `[]`, "want a JSON object"},
		{decodedRow, decodedRow + "x", "want a comma or the object's end"},
		{`"n":1,`, `"n":"1",`, `column n: want a value of type int, found "\"1\",`},
		{`"n":1,`, `"n":1.5,`, "column n: want a value of type int"},
		{`"n":1,`, `"n":1e3,`, "column n: want a value of type int"},
		{`"n":1,`, `"n":9223372036854775808,`, "column n: want a value of type int"},
		{`"x":0.5`, `"x":.5`, "column x: want a value of type float?"},
		{`"x":0.5`, `"x":1e999`, "column x: want a value of type float?"},
		{`"x":0.5`, `"x":"0.5"`, "column x: want a value of type float?"},
		{`["p","q"]`, `["p",1]`, "column tags: want a value of type [string]"},
		{`["p","q"]`, `["p" "q"]`, "column tags: want a value of type [string]"},
		{`"event_time":5`, `"event_time":null`, "column event_time: want an integer"},
		{`"instance_id":"a"`, `"instance_id":"\ud8"`, "column instance_id: want a string"},
		{`"revision":0`, `"revision":2147483648`, "column revision: want an integer"},
		{`"final":true`, `"final":1`, "column final: want true or false"},
		{`"late":false,`, ``, "the row has no column late"},
		{`"label_click":0,`, ``, "the row has no column label_click"},
		{`"degraded":[]`, `"degraded":[1]`, "column degraded: want a list of strings"},
		{`"weight":1`, `"weight":-`, "column weight: want a number"},
		{`"weight":1`, `"other":{"a":[1,}`, `key "other": want a value`},
		{`"weight":1`, `"other":` + strings.Repeat("[", 1000), `key "other": want a value`},
	} {
		text := strings.Replace(decodedRow, c.old, c.new, 1)
		if err := d.Decode([]byte(text), &got); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.200s: got %v, want %s", text, err, c.want)
		}
	}
}

func TestJSONDecodeDoesNotAllocate(t *testing.T) {
	e, in := benchInstance(t)
	in.Degraded = []string{"item:stale"}
	in.Selected[0] = mortise.StringValue("with \"escapes\"\n")
	line := e.Append(nil, in)
	c := columns(t, "click", benchColumns)
	d, into := NewJSONDecoder(c), &Instance{}
	if allocs := testing.AllocsPerRun(100, func() {
		if err := d.Decode(line, into); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations a row", allocs)
	}
}

// FuzzJSONDecode reads anything: what is refused names why, and what is read is
// read as encoding/json reads it, and the same once it was written again.
func FuzzJSONDecode(f *testing.F) {
	f.Add([]byte(decodedRow))
	f.Add([]byte(` { "late" : true , "instance_id":"\u00e9\ud83d\ude00\\\/\b", "event_time":-9223372036854775808,"weight":1E-7,"revision":1,"final":false,"degraded":["a"],` +
		`"label_click":-0,"label_click_time":3,"label_click_count":2,"x":123456789012345678901234567890,"tags":[null,"x"],"n":null} `))
	f.Add([]byte(`{"instance_id":"\ud800\u0061"`))
	c, err := NewColumns([]string{"click"}, mortise.Schema{
		{Name: "n", Type: mortise.Type{Kind: mortise.Int}}, {Name: "x", Type: mortise.Type{Kind: mortise.Float}},
		{Name: "tags", Type: mortise.Type{Kind: mortise.List, Elem: mortise.String}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, e := NewJSONDecoder(c), NewJSONEncoder(c)
		var got, again Instance
		if err := d.Decode(data, &got); err != nil {
			if !strings.HasPrefix(err.Error(), "instance: ") {
				t.Errorf("%v", err)
			}
			return
		}
		var std map[string]json.RawMessage
		var id string
		var weight, x *float64
		if json.Unmarshal(data, &std) == nil && json.Unmarshal(std["instance_id"], &id) == nil && json.Unmarshal(std["weight"], &weight) == nil {
			_ = json.Unmarshal(std["x"], &x) // it may be left out
			want := fmt.Sprint(id, floatText(weight), floatText(x))
			if text := fmt.Sprint(valid(got.ID), floatText(&got.Weight), floatText(number(got.Selected[1]))); text != want {
				t.Errorf("%q: got %s, encoding/json reads %s", data, text, want)
			}
		}
		line := e.Append(nil, &got)
		if err := NewJSONDecoder(c).Decode(line, &again); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if !equalInstances(&again, whatJSONSays(c, &got)) {
			t.Errorf("%s:\n got %+v\nwant %+v", line, again, got)
		}
	})
}

func number(v mortise.Value) *float64 {
	f, ok := v.Number()
	if !ok {
		return nil
	}
	return &f
}

func floatText(f *float64) string {
	if f == nil || math.IsNaN(*f) {
		return "null"
	}
	return fmt.Sprintf("%x", *f)
}

func BenchmarkJSONDecode(b *testing.B) {
	e, in := benchInstance(b)
	line := e.Append(nil, in)
	c := columns(b, "click", benchColumns)
	d, into := NewJSONDecoder(c), &Instance{}
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(line, into); err != nil {
			b.Fatal(err)
		}
	}
}
