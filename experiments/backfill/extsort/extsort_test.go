package extsort

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// files are spill files in memory.
type files map[string][]byte

type memoryFile struct {
	*bytes.Reader
	closed func()
}

func (f memoryFile) Close() error { f.closed(); return nil }

// opener opens files, and counts how many are open.
type opener struct {
	files
	open, most int
}

func (o *opener) OpenSpill(name string) (File, error) {
	data, ok := o.files[name]
	if !ok {
		return nil, errors.New("no such file")
	}
	o.open++
	o.most = max(o.most, o.open)
	return memoryFile{bytes.NewReader(data), func() { o.open-- }}, nil
}

func (o *opener) spill(t testing.TB, name string, write func(w *Writer) error) *Spill {
	t.Helper()
	var b bytes.Buffer
	if err := write(NewWriter(&b, 5)); err != nil {
		t.Fatal(err)
	}
	o.files[name] = b.Bytes()
	s, err := ReadSpill(name, bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// randomRecords are those of a few units, with ties of everything but position.
func randomRecords(rng *rand.Rand, n int) (all []Record, splits []int) {
	for i := range n {
		r := Record{TimeMS: rng.Int64N(50) - 10, AheadMS: int32(rng.IntN(3)), Unit: uint32(rng.IntN(4)), Position: int64(3*i) + rng.Int64N(3), Value: fmt.Appendf(nil, "value %d", i)}
		r.Lane = uint16(r.Unit / 2)
		switch rng.IntN(30) {
		case 0:
			r.TimeMS = 1 << 50
		case 1:
			r.Value = []byte(strings.Repeat("long", rng.IntN(30_000)))
		case 2:
			r.Value, r.Extra = nil, []byte("extra")
		}
		all, splits = append(all, r), append(splits, rng.IntN(5))
	}
	return all, splits
}

func text(r *Record) string {
	return fmt.Sprintf("%d %d %d %d %d %s %s", r.TimeMS, r.Lane, r.AheadMS, r.Unit, r.Position, r.Value, r.Extra)
}

func drain(t testing.TB, m *Merge) (got []string) {
	t.Helper()
	for {
		r, err := m.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, text(r))
	}
}

// TestMergeEqualsSort spills random records in random portions, merges some of
// the spills again, and expects every split in the order that sorting gives.
func TestMergeEqualsSort(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		all, splits := randomRecords(rng, rng.IntN(400))
		o := &opener{files: files{}}
		s := NewSorter(5, 1+rng.IntN(20_000))
		var spills []*Spill
		flush := func() {
			name := fmt.Sprint("spill", len(spills))
			spills = append(spills, o.spill(t, name, func(w *Writer) error { return errors.Join(s.Spill(w), w.Finish([]byte(name))) }))
		}
		for i := range all {
			if s.Add(splits[i], &all[i]) {
				flush()
			}
		}
		flush()
		if n := len(spills); n > 2 && rng.IntN(2) == 0 {
			merged := o.spill(t, "merged", func(w *Writer) error { return MergeInto(w, o, spills[:n/2], nil, nil) })
			spills = append([]*Spill{merged}, spills[n/2:]...)
		}
		o.most = 0
		for split := range 5 {
			var want []Record
			for i := range all {
				if splits[i] == split {
					want = append(want, all[i])
				}
			}
			slices.SortStableFunc(want, func(a, b Record) int {
				if less(&a, &b) {
					return -1
				}
				return 1
			})
			m := NewMerge(o, spills, split, nil)
			got := drain(t, m)
			if len(got) != len(want) {
				t.Fatalf("split %d: %d records, want %d", split, len(got), len(want))
			}
			for i := range want {
				if got[i] != text(&want[i]) {
					t.Fatalf("split %d, record %d: %.200s, want %.200s", split, i, got[i], text(&want[i]))
				}
			}
			if o.open != 0 {
				t.Fatalf("%d files are left open", o.open)
			}
		}
		if overlap := Overlap(spills); o.most > overlap {
			t.Fatalf("%d files were open at once, Overlap says %d", o.most, overlap)
		}
	}
}

// Runs that follow one another in time are open one at a time.
func TestMergeOpensLate(t *testing.T) {
	o := &opener{files: files{}}
	var spills []*Spill
	for n := range 10 {
		spills = append(spills, o.spill(t, fmt.Sprint(n), func(w *Writer) error {
			w.Begin(0)
			for i := range 10 {
				if err := w.Append(&Record{TimeMS: int64(100*n + i)}); err != nil {
					return err
				}
			}
			return errors.Join(w.End(), w.Finish(nil))
		}))
	}
	if got := drain(t, NewMerge(o, spills, 0, nil)); len(got) != 100 || o.most != 1 || Overlap(spills) != 1 {
		t.Errorf("%d records, %d files open at once, overlap %d", len(got), o.most, Overlap(spills))
	}
}

// A sorter keeps its memory within its limit however large single records are.
func TestSorterForgetsLargeChunks(t *testing.T) {
	s := NewSorter(5, 1<<20)
	s.Add(0, &Record{Value: make([]byte, 5<<20)})
	s.Add(1, &Record{Value: make([]byte, 10)})
	if err := s.Spill(NewWriter(io.Discard, 5)); err != nil {
		t.Fatal(err)
	}
	if len(s.chunks) != 1 || s.Len() != 0 {
		t.Errorf("%d chunks and %d records are left", len(s.chunks), s.Len())
	}
}

// TestDamageIsFound changes, cuts and lengthens a spill file at every place: it
// must be found, or not matter.
func TestDamageIsFound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	o := &opener{files: files{}}
	all, _ := randomRecords(rng, 60)
	s := NewSorter(5, 1<<30)
	for i := range all {
		all[i].Value = all[i].Value[:min(len(all[i].Value), 20)]
		s.Add(i%2, &all[i])
	}
	o.spill(t, "whole", func(w *Writer) error { return errors.Join(s.Spill(w), w.Finish([]byte("note"))) })
	whole := o.files["whole"]
	read := func(data []byte) (got []string, err error) {
		o.files["damaged"] = data
		sp, err := ReadSpill("damaged", bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return nil, err
		}
		got = []string{string(sp.Note)}
		for split := range 2 {
			m := NewMerge(o, []*Spill{sp}, split, nil)
			for {
				r, err := m.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					return nil, errors.Join(err, m.Close())
				}
				got = append(got, text(r))
			}
		}
		return got, nil
	}
	want, err := read(whole)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		for name, data := range map[string][]byte{"cut": whole[:at], "flipped": flipped(whole, at), "lengthened": slices.Insert(slices.Clone(whole), at, 'x')} {
			got, err := read(data)
			if err == nil && !slices.Equal(got, want) {
				t.Fatalf("%s at byte %d: not found", name, at)
			}
			if err != nil && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s at byte %d: %v", name, at, err)
			}
		}
	}
}

func flipped(data []byte, at int) []byte {
	data = slices.Clone(data)
	data[at] ^= 1
	return data
}

func FuzzReadSpill(f *testing.F) {
	var b bytes.Buffer
	w := NewWriter(&b, 2)
	w.Begin(1)
	if err := errors.Join(w.Append(&Record{TimeMS: 5, Value: []byte("v")}), w.End(), w.Finish([]byte("note"))); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		sp, err := ReadSpill("f", bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		o := &opener{files: files{"f": data}}
		for split := range sp.Splits() {
			m := NewMerge(o, []*Spill{sp}, split, nil)
			for {
				if _, err := m.Next(); err != nil {
					break
				}
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkSort(b *testing.B) {
	const records = 200_000
	value := []byte(strings.Repeat(`{"impression_id":"r0000000-1","ts":1}`, 5))
	o := &opener{files: files{}}
	s := NewSorter(16, 1<<30)
	b.SetBytes(int64(records * len(value)))
	b.ReportAllocs()
	for b.Loop() {
		for i := range records {
			s.Add(i*7919%16, &Record{TimeMS: int64(i + i*7919%100), Position: int64(i), Value: value})
		}
		var buf bytes.Buffer
		w := NewWriter(&buf, 16)
		if err := errors.Join(s.Spill(w), w.Finish(nil)); err != nil {
			b.Fatal(err)
		}
		o.files["f"] = buf.Bytes()
		sp, err := ReadSpill("f", bytes.NewReader(buf.Bytes()), int64(buf.Len()))
		if err != nil {
			b.Fatal(err)
		}
		for split := range 16 {
			m := NewMerge(o, []*Spill{sp}, split, nil)
			for err == nil {
				_, err = m.Next()
			}
			if !errors.Is(err, io.EOF) {
				b.Fatal(err)
			}
			err = nil
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*records), "ns/record")
}
