package avro

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math"
	"math/rand"
	"os"
	"strings"
	"testing"

	"github.com/twmb/avro"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/instancetest"
)

var rewrite = flag.Bool("rewrite", false, "rewrite golden files")

func schemaOf(t testing.TB, c *instances.Columns) string {
	t.Helper()
	text, err := Schema(c, "feed-ctr")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
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
		t.Errorf("%s differs, which trainers rely on:\n got %s\nwant %s", path, got, want)
	}
}

func TestGolden(t *testing.T) {
	c, rows := instancetest.Golden()
	var schema bytes.Buffer
	if err := json.Indent(&schema, []byte(schemaOf(t, c)), "", "  "); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/instance.avsc", append(schema.Bytes(), '\n'))
	e := NewEncoder(c, mortise.SchemaNumber(7).Append(nil))
	var got []byte
	for i := range rows {
		got = append(hex.AppendEncode(got, e.Append(nil, &rows[i])), '\n')
	}
	golden(t, "testdata/instances.hex", got)
}

// schemas is a registry in memory.
type schemas map[mortise.SchemaID]string

func (s schemas) Schema(id mortise.SchemaID) (*mortise.WriterSchema, error) {
	text, ok := s[id]
	if !ok {
		return nil, &mortise.RecordError{Reason: mortise.ReasonBadSchema, Detail: "no schema " + id.String()}
	}
	return &mortise.WriterSchema{Type: "AVRO", Text: text}, nil
}

func TestRoundTrip(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	for range 300 {
		c := instancetest.Columns(rnd)
		id := mortise.SchemaNumber(rnd.Uint32())
		e, d := NewEncoder(c, id.Append(nil)), NewDecoder(c, schemas{id: schemaOf(t, c)})
		var out instances.Instance
		for range 10 {
			in := instancetest.Instance(rnd, c)
			value := e.Append(nil, in)
			if err := d.Decode(value, &out); err != nil {
				t.Fatalf("%s: %v", instancetest.Row(c, in), err)
			}
			if got, want := instancetest.Row(c, &out), instancetest.Row(c, in); got != want {
				t.Fatalf("\n got %s\nwant %s", got, want)
			}
			for i, f := range c.Selected() {
				if v := out.Selected[i]; !v.IsNull() && v.Kind != f.Type.Kind {
					t.Fatalf("column %s comes back as %s", f.Name, v.Kind)
				}
			}
			if d.Decode(value[:len(value)-1], &out) == nil || d.Decode(append(value, 0), &out) == nil {
				t.Fatalf("a record that is cut off, or goes on, is read")
			}
		}
	}
}

// The library reads what the encoder writes, by the schema that it is written with.
func TestLibraryReads(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	for range 200 {
		c := instancetest.Columns(rnd)
		s, err := avro.Parse(schemaOf(t, c))
		if err != nil {
			t.Fatal(err)
		}
		e := NewEncoder(c, nil)
		in := instancetest.Instance(rnd, c)
		value := e.Append(nil, in)
		var row map[string]any
		if rest, err := s.Decode(value, &row); err != nil || len(rest) > 0 {
			t.Fatalf("%d bytes left, %v", len(rest), err)
		}
		again, err := s.Encode(row)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, value) {
			t.Fatalf("the library writes it otherwise:\n got %x\nwant %x", again, value)
		}
		if row["instance_id"] != strings.ToValidUTF8(string(in.ID), "\ufffd") && row["instance_id"] != string([]rune(string(in.ID))) {
			t.Fatalf("instance_id %q of %q", row["instance_id"], in.ID)
		}
	}
}

func TestEvolution(t *testing.T) {
	before, err := instances.NewColumns([]string{"click"}, mortise.Schema{{Name: "a", Type: mortise.Type{Kind: mortise.Int}}, {Name: "gone", Type: mortise.Type{Kind: mortise.String}}})
	if err != nil {
		t.Fatal(err)
	}
	after, err := instances.NewColumns([]string{"click", "order"}, mortise.Schema{{Name: "b", Type: mortise.Type{Kind: mortise.String, Nullable: true}}, {Name: "a", Type: mortise.Type{Kind: mortise.Float}}})
	if err != nil {
		t.Fatal(err)
	}
	id, other := mortise.SchemaNumber(1), mortise.SchemaNumber(2)
	d := NewDecoder(after, schemas{id: schemaOf(t, before), other: schemaOf(t, after)})
	in := instances.Instance{ID: []byte("i"), TimeMS: 5, Labels: []instances.LabelValue{{Value: 1, FirstMS: 6, Count: 1}},
		Selected: mortise.Row{mortise.IntValue(7), mortise.StringValue("x")}, Weight: 1, Final: true}
	var out instances.Instance
	if err := d.Decode(NewEncoder(before, id.Append(nil)).Append(nil, &in), &out); err != nil {
		t.Fatal(err)
	}
	if out.Labels[0].Count != 1 || out.Labels[1].Count != 0 || !out.Selected[0].IsNull() || out.Selected[1].Float() != 7 {
		t.Errorf("got %+v", out)
	}
	now := instances.Instance{ID: []byte("j"), Labels: make([]instances.LabelValue, 2), Selected: mortise.Row{mortise.StringValue("y"), mortise.FloatValue(math.Pi)}}
	if err := d.Decode(NewEncoder(after, other.Append(nil)).Append(nil, &now), &out); err != nil || string(out.Selected[0].Text()) != "y" {
		t.Errorf("%v, got %+v", err, out)
	}
	if err := d.Decode(mortise.SchemaNumber(3).Append(nil), &out); err == nil || !strings.Contains(err.Error(), "no schema 3") {
		t.Errorf("got %v", err)
	}
	if err := d.Decode([]byte(`{"instance_id":"x"}`), &out); err == nil || !strings.Contains(err.Error(), "schema's id") {
		t.Errorf("got %v", err)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{"feed-ctr": "feed_ctr", "2nd": "_2nd", "ok_1": "ok_1", "": "_", "a.b": "a_b", "é": "_"} {
		if got := Name(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
	c, err := instances.NewColumns(nil, mortise.Schema{{Name: "a-b", Type: mortise.Type{Kind: mortise.Int}}, {Name: "a.b", Type: mortise.Type{Kind: mortise.Int}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Schema(c, "x"); err == nil || !strings.Contains(err.Error(), "a-b and a.b would both be called a_b") {
		t.Errorf("got %v", err)
	}
}

func TestDoesNotAllocate(t *testing.T) {
	c, in := instancetest.Typical()
	e := NewEncoder(c, mortise.SchemaNumber(7).Append(nil))
	d, err := NewPlainDecoder(c, schemaOf(t, c))
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 4096)
	var out instances.Instance
	run := func() {
		buf = e.Append(buf[:0], in)
		if err := d.Decode(buf[5:], &out); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if allocs := testing.AllocsPerRun(100, run); allocs != 0 {
		t.Errorf("%v allocations a row", allocs)
	}
}

func FuzzDecode(f *testing.F) {
	c, rows := instancetest.Golden()
	text, err := Schema(c, "feed-ctr")
	if err != nil {
		f.Fatal(err)
	}
	e := NewEncoder(c, nil)
	for i := range rows {
		f.Add(e.Append(nil, &rows[i]))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		d, err := NewPlainDecoder(c, text)
		if err != nil {
			t.Fatal(err)
		}
		var in instances.Instance
		if d.Decode(value, &in) != nil {
			return
		}
		row := instancetest.Row(c, &in)
		var out instances.Instance
		if err := d.Decode(e.Append(nil, &in), &out); err != nil || instancetest.Row(c, &out) != row {
			t.Errorf("%v:\n got %s\nwant %s", err, instancetest.Row(c, &out), row)
		}
	})
}

func BenchmarkAvro(b *testing.B) {
	c, in := instancetest.Typical()
	e := NewEncoder(c, mortise.SchemaNumber(7).Append(nil))
	d, err := NewPlainDecoder(c, schemaOf(b, c))
	if err != nil {
		b.Fatal(err)
	}
	buf := e.Append(nil, in)
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(buf)))
		b.ReportAllocs()
		for b.Loop() {
			buf = e.Append(buf[:0], in)
		}
	})
	b.Run("decode", func(b *testing.B) {
		var out instances.Instance
		b.SetBytes(int64(len(buf)))
		b.ReportAllocs()
		for b.Loop() {
			if err := d.Decode(buf[5:], &out); err != nil {
				b.Fatal(err)
			}
		}
	})
}
