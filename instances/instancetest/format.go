package instancetest

import (
	"bytes"
	"encoding/hex"
	"flag"
	"math/rand"
	"os"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances"
)

var rewrite = flag.Bool("rewrite", false, "rewrite golden files")

// Format is a topic format as its tests see it.
type Format struct {
	// New makes both sides for columns.
	New func(c *instances.Columns) (instances.Encoder, instances.Decoder, error)
	// Kept is the instance as the format keeps it; nil where it keeps everything.
	Kept func(in *instances.Instance)
}

func (f *Format) pair(t testing.TB, c *instances.Columns) (instances.Encoder, instances.Decoder) {
	t.Helper()
	e, d, err := f.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return e, d
}

// Run checks what every format promises.
func (f *Format) Run(t *testing.T) {
	t.Run("golden", f.golden)
	t.Run("round trip", f.roundTrip)
	t.Run("allocations", f.allocations)
}

// golden compares Golden's rows with testdata/instances.hex, a row a line.
func (f *Format) golden(t *testing.T) {
	c, rows := Golden()
	e, _ := f.pair(t, c)
	var got []byte
	for i := range rows {
		got = append(hex.AppendEncode(got, e.Append(nil, &rows[i])), '\n')
	}
	File(t, "testdata/instances.hex", got)
}

// File compares a file that others rely on with what it should be; with -rewrite
// it writes it.
func File(t *testing.T, path string, got []byte) {
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

// roundTrip encodes and decodes random rows of random columns.
func (f *Format) roundTrip(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	for range 200 {
		c := Columns(rnd)
		e, d := f.pair(t, c)
		var out instances.Instance
		for range 10 {
			in := Instance(rnd, c)
			value := e.Append(nil, in)
			if again := e.Append(nil, in); !bytes.Equal(again, value) {
				t.Fatalf("one row, two encodings:\n%x\n%x", value, again)
			}
			if err := d.Decode(value, &out); err != nil {
				t.Fatalf("%s: %v", Row(c, in), err)
			}
			if f.Kept != nil {
				f.Kept(in)
			}
			if got, want := Row(c, &out), Row(c, in); got != want {
				t.Fatalf("\n got %s\nwant %s", got, want)
			}
			for i, col := range c.Selected() {
				if v := &out.Selected[i]; v.Kind != mortise.Null && v.Kind != col.Type.Kind {
					t.Fatalf("column %s comes back as %s", col.Name, v.Kind)
				}
			}
		}
	}
}

func (f *Format) allocations(t *testing.T) {
	c, in := Typical()
	e, d := f.pair(t, c)
	buf := make([]byte, 0, 4096)
	var out instances.Instance
	run := func() {
		buf = e.Append(buf[:0], in)
		if err := d.Decode(buf, &out); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if allocs := testing.AllocsPerRun(100, run); allocs != 0 {
		t.Errorf("%v allocations a row", allocs)
	}
}

// Fuzz decodes whatever comes, and checks that what can be read is written and
// read back alike.
func (f *Format) Fuzz(fz *testing.F) {
	c, rows := Golden()
	e, _ := f.pair(fz, c)
	for i := range rows {
		fz.Add(e.Append(nil, &rows[i]))
	}
	fz.Fuzz(func(t *testing.T, value []byte) {
		e, d := f.pair(t, c)
		var in, out instances.Instance
		if d.Decode(value, &in) != nil {
			return
		}
		row := Row(c, &in)
		if err := d.Decode(e.Append(nil, &in), &out); err != nil || Row(c, &out) != row {
			t.Errorf("%v:\n got %s\nwant %s", err, Row(c, &out), row)
		}
	})
}

// Bench measures both ways with Typical's row.
func (f *Format) Bench(b *testing.B) {
	c, in := Typical()
	e, d := f.pair(b, c)
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
			if err := d.Decode(buf, &out); err != nil {
				b.Fatal(err)
			}
		}
	})
}
