package protobuf

import (
	"bytes"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/instancetest"
	"github.com/mortise-dev/mortise/internal/protobuf"
)

// schemas is a registry in memory.
type schemas map[mortise.SchemaID]string

func (s schemas) Schema(id mortise.SchemaID) (*mortise.WriterSchema, error) {
	text, ok := s[id]
	if !ok {
		return nil, &mortise.RecordError{Reason: mortise.ReasonBadSchema, Detail: "no schema " + id.String()}
	}
	return &mortise.WriterSchema{Type: "PROTOBUF", Text: text}, nil
}

var format = instancetest.Format{New: func(c *instances.Columns) (instances.Encoder, instances.Decoder, error) {
	text, err := Schema(c, "feed-ctr")
	id := mortise.SchemaNumber(7)
	return NewEncoder(c, append(id.Append(nil), MessageIndexes...)), NewDecoder(c, schemas{id: text}), err
}}

func TestFormat(t *testing.T)        { format.Run(t) }
func FuzzDecode(f *testing.F)        { format.Fuzz(f) }
func BenchmarkProtobuf(b *testing.B) { format.Bench(b) }

func TestSchemaGolden(t *testing.T) {
	c, _ := instancetest.Golden()
	text, err := Schema(c, "feed-ctr")
	if err != nil {
		t.Fatal(err)
	}
	instancetest.File(t, "testdata/instance.proto", []byte(text))
}

// Protobuf's own library reads the bytes and writes the same ones.
func TestCanonical(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	for range 60 {
		c := instancetest.Columns(rnd)
		text, err := Schema(c, "feed-ctr")
		if err != nil {
			t.Fatal(err)
		}
		schema, err := protobuf.Parse(&mortise.WriterSchema{Type: "PROTOBUF", Text: text})
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		value := NewEncoder(c, nil).Append(nil, instancetest.Instance(rnd, c))
		m := dynamicpb.NewMessage(schema.File.Messages().Get(0))
		if err := proto.Unmarshal(value, m); err != nil {
			t.Fatal(err)
		}
		if len(m.GetUnknown()) > 0 {
			t.Fatalf("fields that the schema does not have: %x", m.GetUnknown())
		}
		again, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, value) {
			t.Fatalf("the library writes it otherwise:\n got %x\nwant %x", again, value)
		}
	}
}

// A column's number does not depend on the others.
func TestNumbersAreFixed(t *testing.T) {
	of := func(labels []string, selected ...string) map[string]int32 {
		var fields mortise.Schema
		for _, name := range selected {
			fields = append(fields, mortise.Field{Name: name, Type: mortise.Type{Kind: mortise.Int}})
		}
		c, err := instances.NewColumns(labels, fields)
		if err != nil {
			t.Fatal(err)
		}
		numbers := map[string]int32{}
		for i, f := range c.Schema() {
			part, _ := c.Part(i)
			numbers[f.Name] = number(part, f.Name)
		}
		return numbers
	}
	before, after := of([]string{"click"}, "a", "b"), of([]string{"order", "click"}, "b", "new", "a")
	for name, n := range before {
		if after[name] != n {
			t.Errorf("%s moves from %d to %d", name, n, after[name])
		}
	}
	got := fmt.Sprint(before["instance_id"], before["event_time"], before["weight"], before["revision"], before["final"], before["late"], before["degraded"], before["label_click"], before["a"])
	if want := "1 2 3 4 5 6 7 18849110 24767628"; got != want {
		t.Errorf("numbers %s, which trainers' code was generated for: %s", got, want)
	}
}

func TestEvolution(t *testing.T) {
	columns := func(labels []string, fields mortise.Schema) *instances.Columns {
		c, err := instances.NewColumns(labels, fields)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := columns([]string{"click"}, mortise.Schema{{Name: "a", Type: mortise.Type{Kind: mortise.Int}}, {Name: "gone", Type: mortise.Type{Kind: mortise.String}}})
	after := columns([]string{"click", "order"}, mortise.Schema{{Name: "b", Type: mortise.Type{Kind: mortise.String, Nullable: true}}, {Name: "a", Type: mortise.Type{Kind: mortise.Int}}})
	text, err := Schema(before, "x")
	if err != nil {
		t.Fatal(err)
	}
	id := mortise.SchemaNumber(1)
	d := NewDecoder(after, schemas{id: text})
	in := instances.Instance{ID: []byte("i"), TimeMS: 5, Labels: []instances.LabelValue{{Value: 1, FirstMS: 6, Count: 1}},
		Selected: mortise.Row{mortise.IntValue(7), mortise.StringValue("x")}, Weight: 1, Final: true}
	var out instances.Instance
	frame := append(id.Append(nil), MessageIndexes...)
	if err := d.Decode(NewEncoder(before, frame).Append(nil, &in), &out); err != nil {
		t.Fatal(err)
	}
	if out.Labels[0].Count != 1 || out.Labels[1].Count != 0 || !out.Selected[0].IsNull() || out.Selected[1].Int() != 7 {
		t.Errorf("got %+v", out)
	}
	if err := d.Decode(mortise.SchemaNumber(3).Append(nil), &out); err == nil || !strings.Contains(err.Error(), "schema 3") {
		t.Errorf("got %v", err)
	}
}
