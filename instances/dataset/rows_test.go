package dataset

import (
	"bytes"
	"encoding/binary"
	"math/rand"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/instancetest"
)

func TestRows(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewSource(seed))
	for range 30 {
		c := instancetest.Columns(r)
		e := newEncoder(&Options{Columns: c, RowGroupBytes: 1 << 20})
		var block []byte
		var want []string
		for range r.Intn(30) {
			in := instancetest.Instance(r, c)
			block = appendRow(block, in)
			want = append(want, instancetest.Row(c, in))
		}
		rows, err := e.decode(block)
		if err != nil || len(rows) != len(want) {
			t.Fatalf("%d rows, want %d: %v", len(rows), len(want), err)
		}
		for i := range rows {
			if got := instancetest.Row(c, &rows[i]); got != want[i] {
				t.Fatalf("got %s\nwant %s", got, want[i])
			}
		}
	}
}

// FuzzRows reads anything as rows that were kept: what does not read back gives an
// error.
func FuzzRows(f *testing.F) {
	c, rows := instancetest.Golden()
	var block []byte
	for i := range rows {
		block = appendRow(block, &rows[i])
	}
	f.Add(block)
	f.Add(binary.LittleEndian.AppendUint32(nil, 1<<31))
	e := newEncoder(&Options{Columns: c, RowGroupBytes: 1 << 20})
	f.Fuzz(func(t *testing.T, block []byte) {
		rows, err := e.decode(block)
		if err != nil {
			return
		}
		var again []byte
		for i := range rows {
			again = appendRow(again, &rows[i])
		}
		second, err := e.decode(bytes.Clone(again))
		if err != nil || len(second) != len(rows) {
			t.Errorf("%d rows become %d: %v", len(rows), len(second), err)
		}
	})
}

// TestBudget checks that rows keep within their memory, and give it back.
func TestBudget(t *testing.T) {
	c := instancetest.MustColumns([]string{"click"}, "item", "string", "last", "[string]")
	o := Options{Columns: c, Experiment: "e", TempDir: t.TempDir(), MemoryBytes: 1 << 20}
	o.EnsureDefaults()
	d := &Dataset{opts: o, spanMS: hourMS}
	d.memory.left.Store(o.MemoryBytes)
	traffic := instancetest.NewTraffic(1, c)
	var parts []*PartWriter
	for range 4 {
		parts = append(parts, d.NewPart("p0", 0))
	}
	const rows, everyMS = 40_000, 400 // 4.4 hours
	least := int64(0)
	for range rows {
		in := traffic.Next(everyMS)
		for _, w := range parts {
			if err := w.Append(in); err != nil {
				t.Fatal(err)
			}
		}
		least = min(least, d.memory.left.Load())
	}
	folders := int64(0)
	for _, w := range parts {
		if w.kept == nil || w.rows != rows {
			t.Errorf("%d rows, on disk %v", w.rows, w.kept)
		}
		folders += int64(len(w.slots))
		e := newEncoder(&d.opts)
		n := int64(0)
		for _, s := range w.inOrder() {
			err := s.each(w.kept, func(block []byte) error {
				rows, err := e.decode(block)
				n += int64(len(rows))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if n != rows {
			t.Errorf("%d rows come back of %d", n, rows)
		}
	}
	if least < -folders*2*leastBytes {
		t.Errorf("%d bytes more than the budget were taken, by %d folders", -least, folders)
	}
	for _, w := range parts {
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
	}
	if left := d.memory.left.Load(); left != o.MemoryBytes {
		t.Errorf("%d bytes are left of %d", left, o.MemoryBytes)
	}
}

func BenchmarkAppend(b *testing.B) {
	c := instancetest.MustColumns([]string{"click"}, "a", "string", "b", "float", "c", "int", "d", "float", "e", "string?", "f", "bool", "g", "int?", "h", "timestamp", "i", "float", "j", "[string]")
	var rows []instances.Instance
	traffic := instancetest.NewTraffic(1, c)
	e := newEncoder(&Options{Columns: c, RowGroupBytes: 1 << 20})
	var block []byte
	for range 1000 {
		block = appendRow(block, traffic.Next(10))
	}
	rows, err := e.decode(block)
	if err != nil {
		b.Fatal(err)
	}
	o := Options{Columns: c, Experiment: "e", TempDir: b.TempDir()}
	o.EnsureDefaults()
	d := &Dataset{opts: o, spanMS: hourMS}
	d.memory.left.Store(o.MemoryBytes)
	b.SetBytes(int64(len(block)))
	b.ReportAllocs()
	w := d.NewPart("p0", 0)
	for b.Loop() {
		for i := range rows {
			if err := w.Append(&rows[i]); err != nil {
				b.Fatal(err)
			}
		}
		if w.Rows() >= 200_000 {
			if err := w.Abort(); err != nil {
				b.Fatal(err)
			}
			w = d.NewPart("p0", 0)
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "rows/s")
}
