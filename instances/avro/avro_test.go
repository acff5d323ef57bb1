package avro

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand"
	"strings"
	"testing"

	"github.com/twmb/avro"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/instancetest"
)

func schemaOf(t testing.TB, c *instances.Columns) string {
	t.Helper()
	text, err := Schema(c, "feed-ctr")
	if err != nil {
		t.Fatal(err)
	}
	return text
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

var format = instancetest.Format{New: func(c *instances.Columns) (instances.Encoder, instances.Decoder, error) {
	text, err := Schema(c, "feed-ctr")
	id := mortise.SchemaNumber(7)
	return NewEncoder(c, id.Append(nil)), NewDecoder(c, schemas{id: text}), err
}}

func TestFormat(t *testing.T)    { format.Run(t) }
func FuzzDecode(f *testing.F)    { format.Fuzz(f) }
func BenchmarkAvro(b *testing.B) { format.Bench(b) }

func TestSchemaGolden(t *testing.T) {
	c, _ := instancetest.Golden()
	var schema bytes.Buffer
	if err := json.Indent(&schema, []byte(schemaOf(t, c)), "", "  "); err != nil {
		t.Fatal(err)
	}
	instancetest.File(t, "testdata/instance.avsc", append(schema.Bytes(), '\n'))
}

func TestCutOff(t *testing.T) {
	c, rows := instancetest.Golden()
	e, d, err := format.New(c)
	if err != nil {
		t.Fatal(err)
	}
	var out instances.Instance
	for i := range rows {
		value := e.Append(nil, &rows[i])
		for n := range value {
			if d.Decode(value[:n], &out) == nil {
				t.Fatalf("the first %d of %d bytes are read", n, len(value))
			}
		}
		if d.Decode(append(value, 0), &out) == nil {
			t.Fatal("a record that goes on is read")
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
