package tfexample

import (
	"bytes"
	"math"
	"math/rand"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/instancetest"
	"github.com/mortise-dev/mortise/internal/protobuf"
)

var format = instancetest.Format{
	New: func(c *instances.Columns) (instances.Encoder, instances.Decoder, error) {
		return NewEncoder(c), NewDecoder(c), nil
	},
	Kept: kept,
}

func TestFormat(t *testing.T)         { format.Run(t) }
func FuzzDecode(f *testing.F)         { format.Fuzz(f) }
func BenchmarkTFExample(b *testing.B) { format.Bench(b) }

// kept rounds floats as float_list does.
func kept(in *instances.Instance) {
	in.Weight = narrow(in.Weight)
	for i := range in.Labels {
		in.Labels[i].Value = narrow(in.Labels[i].Value)
	}
	for i := range in.Selected {
		v := &in.Selected[i]
		keptValue(v)
		for k := range v.List() {
			keptValue(&v.List()[k])
		}
	}
}

func keptValue(v *mortise.Value) {
	if v.Kind == mortise.Float {
		*v = mortise.FloatValue(float64(float32(v.Float())))
	}
}

// narrow rounds one of the row's own floats; what is beyond is no feature, which reads as 0.
func narrow(f float64) float64 {
	if math.IsInf(float64(float32(f)), 0) {
		return 0
	}
	return float64(float32(f))
}

// example is the descriptor of tf.train.Example.
func example(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	text, err := os.ReadFile("testdata/example.proto")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := protobuf.Parse(&mortise.WriterSchema{Type: "PROTOBUF", Text: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	return schema.File.Messages().ByName("Example")
}

// Protobuf's own library reads the bytes and writes the same ones.
func TestCanonical(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	desc := example(t)
	for range 200 {
		c := instancetest.Columns(rnd)
		value := NewEncoder(c).Append(nil, instancetest.Instance(rnd, c))
		m := dynamicpb.NewMessage(desc)
		if err := proto.Unmarshal(value, m); err != nil {
			t.Fatal(err)
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

// Lists of numbers may come unpacked, features in any order and unknown ones between.
func TestReadsOthers(t *testing.T) {
	c, err := instances.NewColumns(nil, mortise.Schema{{Name: "n", Type: mortise.Type{Kind: mortise.List, Elem: mortise.Int}}, {Name: "f", Type: mortise.Type{Kind: mortise.List, Elem: mortise.Float}}})
	if err != nil {
		t.Fatal(err)
	}
	value := []byte("\x0a\x2e" +
		"\x0a\x0b\x0a\x01z\x12\x06\x0a\x04\x0a\x02ab" + // unknown
		"\x0a\x0f\x0a\x01f\x12\x0a\x12\x08\x0a\x04\x00\x00\x80\x3f\x0a\x00" + // packed, and an empty one
		"\x0a\x0e\x0a\x01n\x12\x09\x1a\x07\x08\x01\x08\x02\x0a\x01\x03") // unpacked, then packed
	var in instances.Instance
	if err := NewDecoder(c).Decode(value, &in); err != nil {
		t.Fatal(err)
	}
	if n := in.Selected[0].List(); len(n) != 3 || n[0].Int() != 1 || n[2].Int() != 3 {
		t.Errorf("n is %v", n)
	}
	if f := in.Selected[1].List(); len(f) != 1 || f[0].Float() != 1 {
		t.Errorf("f is %v", f)
	}
	for _, bad := range []string{"\x0a", "\x0a\x05", "x", "\x0a\x05\x0a\x03\x0a\x01n\xff", "\x0a\x0a\x0a\x08\x0a\x01n\x12\x03\x0a\x01x"} {
		if NewDecoder(c).Decode([]byte(bad), &in) == nil {
			t.Errorf("%q is read", bad)
		}
	}
}
