package instances

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"math/rand"
	"os"
	"reflect"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

var rewrite = flag.Bool("rewrite", false, "rewrite golden files")

func list(values ...mortise.Value) mortise.Value { return mortise.ListValue(values) }

// goldenRows spell out the contract: names, order, types, and what is null.
func goldenRows(t testing.TB) (*Columns, []Instance) {
	text := mortise.StringValue
	c := columns(t, "click order", "user_segment:string position:int? propensity:float seen_at:timestamp? is_top:bool seg_last_items:[string] prices:[float]? item_category:string?")
	return c, []Instance{
		{ID: []byte("bts-women-127"), TimeMS: 1574553663979, Labels: []LabelValue{{1, 1574559099027, 1}, {}},
			Selected: mortise.Row{text("28e84658d0c5"), mortise.IntValue(2), mortise.FloatValue(0.045525), mortise.TimestampValue(1574553663000), mortise.BoolValue(false),
				list(text("men-2"), text("men-7")), list(mortise.FloatValue(19.9), mortise.FloatValue(20)), text("shirts")},
			Weight: 1, Final: true},
		{ID: []byte("bts-men-0"), TimeMS: 1574553689788, Labels: []LabelValue{{}, {}},
			Selected: mortise.Row{text(""), mortise.NullValue(), mortise.FloatValue(1e-7), mortise.NullValue(), mortise.BoolValue(true), list(), mortise.NullValue(), {}},
			Weight:   4, Final: true},
		{ID: []byte(`r|1\\x`), TimeMS: 31536000000, Labels: []LabelValue{{3, 31535999999, 3}, {-59.97, 31536000000, 2}},
			Selected: mortise.Row{text("<日本 & \"café\">\n\u2028\x00\xff"), mortise.IntValue(math.MinInt64), mortise.FloatValue(math.Inf(1)), mortise.TimestampValue(0),
				mortise.BoolValue(true), list(text("a|b"), text(`c\d`)), list(mortise.FloatValue(math.NaN()), mortise.FloatValue(1e21)), text("null")},
			Weight: 1 / 0.3, Revision: 2, Final: false, Late: true, Degraded: []string{"item:stale", `user "x":missing`}},
	}
}

func TestJSONGolden(t *testing.T) {
	const path = "testdata/instances.jsonl"
	c, rows := goldenRows(t)
	e := NewJSONEncoder(c)
	var got []byte
	for i := range rows {
		got = append(e.Append(got, &rows[i]), '\n')
	}
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("rows differ from %s, which trainers rely on:\n got %s\nwant %s", path, got, want)
	}
	for line := range bytes.Lines(got) {
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
		if keys := topKeys(t, line); !reflect.DeepEqual(keys, c.Schema().Names()) {
			t.Errorf("keys %v\nwant %v", keys, c.Schema().Names())
		}
	}
}

// topKeys returns an object's keys in order.
func topKeys(t *testing.T, line []byte) (keys []string) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(line))
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
	}
	return keys
}

// standard is how encoding/json writes v, without HTML escaping.
func standard(t testing.TB, v any) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestJSONRoundTrip(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	c := columns(t, "a b", "s:string? i:int? f:float? b:bool? t:timestamp? l:[string]?")
	e := NewJSONEncoder(c)
	for range 3000 {
		in := randomInstance(rnd)
		line := e.Append(nil, &in)
		var got map[string]any
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&got); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if want := plainInstance(c, &in); standard(t, got) != standard(t, want) {
			t.Fatalf("%s:\n got %s\nwant %s", line, standard(t, got), standard(t, want))
		}
	}
}

func randomText(rnd *rand.Rand) []byte {
	const runes = "ab|\\\"\n\t\x00\x1f\x7f/<é日\u2028\u2029😀\ufffd"
	all := []rune(runes)
	var text []byte
	for range rnd.Intn(12) {
		if rnd.Intn(10) == 0 {
			text = append(text, byte(rnd.Intn(256)))
			continue
		}
		text = append(text, string(all[rnd.Intn(len(all))])...)
	}
	return text
}

func randomFloat(rnd *rand.Rand) float64 {
	if rnd.Intn(2) == 0 {
		return float64(rnd.Intn(100)) / 4
	}
	for {
		if f := math.Float64frombits(rnd.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	}
}

func randomInstance(rnd *rand.Rand) Instance {
	in := Instance{ID: randomText(rnd), TimeMS: rnd.Int63(), Labels: make([]LabelValue, 2), Weight: randomFloat(rnd),
		Revision: int32(rnd.Intn(5)), Final: rnd.Intn(2) == 0, Late: rnd.Intn(2) == 0}
	for i := range in.Labels {
		if rnd.Intn(2) == 0 {
			in.Labels[i] = LabelValue{randomFloat(rnd), rnd.Int63(), 1 + rnd.Int63n(9)}
		}
	}
	var texts []mortise.Value
	for range rnd.Intn(4) {
		texts = append(texts, mortise.TextValue(randomText(rnd)))
		in.Degraded = append(in.Degraded, string(randomText(rnd)))
	}
	in.Selected = mortise.Row{mortise.TextValue(randomText(rnd)), mortise.IntValue(int64(rnd.Uint64())), mortise.FloatValue(randomFloat(rnd)),
		mortise.BoolValue(rnd.Intn(2) == 0), mortise.TimestampValue(rnd.Int63()), mortise.ListValue(texts)}
	for i := range in.Selected {
		if rnd.Intn(6) == 0 {
			in.Selected[i] = mortise.NullValue()
		}
	}
	return in
}

// valid puts U+FFFD in place of each byte that is not UTF-8.
func valid(text []byte) string { return string([]rune(string(text))) }

// plainInstance is the instance as encoding/json takes it.
func plainInstance(c *Columns, in *Instance) map[string]any {
	texts := func(n int, at func(int) string) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = at(i)
		}
		return out
	}
	row := map[string]any{"instance_id": valid(in.ID), "event_time": in.TimeMS, "weight": in.Weight, "revision": in.Revision, "final": in.Final, "late": in.Late,
		"degraded": texts(len(in.Degraded), func(i int) string { return valid([]byte(in.Degraded[i])) })}
	for i, name := range c.Labels() {
		v := in.Labels[i]
		row["label_"+name], row["label_"+name+"_count"], row["label_"+name+"_time"] = v.Value, v.Count, any(nil)
		if v.Count > 0 {
			row["label_"+name+"_time"] = v.FirstMS
		}
	}
	for i, f := range c.Selected() {
		v := in.Selected[i]
		switch v.Kind {
		case mortise.String:
			row[f.Name] = valid(v.Text())
		case mortise.Int, mortise.Timestamp:
			row[f.Name] = v.Int()
		case mortise.Float:
			row[f.Name] = v.Float()
		case mortise.Bool:
			row[f.Name] = v.Bool()
		case mortise.List:
			row[f.Name] = texts(len(v.List()), func(i int) string { return valid(v.List()[i].Text()) })
		default:
			row[f.Name] = nil
		}
	}
	return row
}

func FuzzJSONString(f *testing.F) {
	for _, text := range []string{"", "plain", `"\/`, "\b\f\n\r\t\x00\x1f\x7f", "<a href='x'>&", "é日😀", "\u2028\u2029\u2027", "\xff\xed\xa0\x80a\xc3", "\ufffd", "a\xe2\x80"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := standard(t, text)
		if got := string(appendJSONString(nil, text)); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
		if got := string(appendJSONString(nil, []byte(text))); got != want {
			t.Errorf("bytes of %q: got %s, want %s", text, got, want)
		}
	})
}

func FuzzJSONFloat(f *testing.F) {
	for _, v := range []float64{0, math.Copysign(0, -1), 1, -1, 0.5, 1e-6, 9.99e-7, 1e-7, 1e-10, 1e20, 1e21, -1e21, 1e100, 1 << 53, 1<<53 + 2, math.MaxFloat64, math.SmallestNonzeroFloat64, math.MaxInt64} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		want := "null"
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			want = standard(t, v)
		}
		if got := string(appendJSONFloat([]byte("kept "), v)); got != "kept "+want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	})
}

const benchColumns = "user_segment:string item_id:string position:int propensity:float campaign:string seen_at:timestamp shown:bool ctr:float age:string gender:string"

func benchInstance(t testing.TB) (*JSONEncoder, *Instance) {
	c := columns(t, "click", benchColumns)
	text := mortise.StringValue
	return NewJSONEncoder(c), &Instance{ID: []byte("bts-women-127"), TimeMS: 1574553663979, Labels: []LabelValue{{1, 1574559099027, 1}},
		Selected: mortise.Row{text("28e84658d0c5"), text("women-36"), mortise.IntValue(2), mortise.FloatValue(0.021739130434782608), text("women"),
			mortise.TimestampValue(1574553663000), mortise.BoolValue(true), mortise.FloatValue(0.0125), text("cef3390e"), text("2d03db55")},
		Weight: 4, Final: true}
}

func TestJSONDoesNotAllocate(t *testing.T) {
	e, in := benchInstance(t)
	in.Degraded = []string{"item:stale"}
	buf := make([]byte, 0, 4096)
	if allocs := testing.AllocsPerRun(100, func() { buf = e.Append(buf[:0], in) }); allocs != 0 {
		t.Errorf("%v allocations a row", allocs)
	}
}

func BenchmarkJSON(b *testing.B) {
	e, in := benchInstance(b)
	buf := make([]byte, 0, 4096)
	b.SetBytes(int64(len(e.Append(nil, in))))
	b.ReportAllocs()
	for b.Loop() {
		buf = e.Append(buf[:0], in)
	}
}
