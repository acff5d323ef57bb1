package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/zeebo/xxh3"

	"github.com/mortise-dev/mortise/joiner"
)

// image is a whole file in memory, as disk would write it.
type image struct {
	header Header
	place  Place
	data   []byte
	index  []Index
	want   []joiner.Entry
}

func newImage(layout Layout) *image {
	h := Header{Layout: layout, Kind: joiner.Labels, File: 7, Opening: 3, Bucket: -2, BucketMS: 10_000}
	return &image{header: h, place: h.Place(), data: h.Append(nil)}
}

// add writes a block of entries.
func (m *image) add(entries ...joiner.Entry) {
	var b Block
	b.Begin(m.place, int64(len(m.data)))
	for i := range entries {
		b.Append(&entries[i])
	}
	before := len(m.data)
	if m.place.Layout == Frames {
		m.data = append(m.data, b.Frames()...)
	} else {
		m.data = b.Seal(m.data, len(m.index))
	}
	m.index = append(m.index, b.Index(len(m.data)-before))
	m.want = append(m.want, entries...)
}

// load reads block n back through its index.
func (m *image) load(n int) (*Block, error) {
	b, ix := &Block{}, m.index[n]
	data := m.data[ix.Off : ix.Off+ix.Bytes]
	if m.place.Layout == Frames {
		copy(b.Room(len(data)), data)
		err := b.LoadFrames(m.place, &ix)
		return b, err
	}
	err := b.Load(m.place, &ix, n, bytes.Clone(data))
	return b, err
}

func (m *image) extent() Extent {
	return Extent{Bytes: int64(len(m.data)), Entries: int64(len(m.want))}
}

// random makes n entries of the image's bucket.
func random(r *rand.Rand, n int) (entries []joiner.Entry) {
	for i := range n {
		e := joiner.Entry{
			TimeMS: -20_000 + r.Int64N(10_000), Partition: int32(r.IntN(3)), Offset: int64(r.IntN(1000)), Source: uint16(r.IntN(2)),
			Flags: uint16(i), Accept: r.Uint32(), Key: bytes.Repeat([]byte("k"), r.IntN(20)), Value: bytes.Repeat([]byte("value"), r.IntN(20)),
		}
		if r.IntN(10) == 0 {
			e.Partition, e.Offset, e.TimeMS = math.MinInt32, math.MinInt64, -10_001
		}
		entries = append(entries, e)
	}
	return entries
}

func walkImage(data []byte, want Extent) (entries []joiner.Entry, err error) {
	err = Walk(bytes.NewReader(data), want, func(e *joiner.Entry) error {
		c := *e
		c.Key, c.Value = bytes.Clone(e.Key), bytes.Clone(e.Value)
		entries = append(entries, c)
		return nil
	})
	return entries, err
}

func same(a, b joiner.Entry) bool {
	return a.Position() == b.Position() && a.Source == b.Source && a.Flags == b.Flags && a.Accept == b.Accept && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
}

func TestRoundTrip(t *testing.T) {
	for _, layout := range []Layout{Blocks, Frames} {
		r := rand.New(rand.NewPCG(1, uint64(layout)))
		m := newImage(layout)
		for _, n := range []int{1, 100, MaxEntries, 3} {
			m.add(random(r, n)...)
		}
		m.add(joiner.Entry{TimeMS: -15_000, Value: bytes.Repeat([]byte("0123456789abcdef"), 4<<20)}) // 64 MiB
		noise := make([]byte, 5000)                                                                  // does not compress
		for i := range noise {
			noise[i] = byte(r.Uint32())
		}
		m.add(joiner.Entry{TimeMS: -15_000, Value: noise})
		got, err := walkImage(m.data, m.extent())
		if err != nil || !slices.EqualFunc(got, m.want, same) {
			t.Fatalf("layout %d: walked %d entries of %d, or others: %v", layout, len(got), len(m.want), err)
		}
		var all []joiner.Entry
		for n := range m.index {
			b, err := m.load(n)
			if err != nil {
				t.Fatal(err)
			}
			for i := range b.Len() {
				var e joiner.Entry
				b.Entry(i, &e)
				if b.Cursor(i) != e.Position() {
					t.Fatalf("Cursor %v of entry at %v", b.Cursor(i), e.Position())
				}
				if off := b.FrameOff(i); layout == Frames && b.FrameAt(off) != i {
					t.Fatalf("frame %d at byte %d is found as %d", i, off, b.FrameAt(off))
				}
				all = append(all, e)
			}
		}
		if !slices.EqualFunc(all, m.want, same) {
			t.Fatalf("layout %d: loaded blocks differ from what was written", layout)
		}
	}
}

// TestPlace checks that a block verifies nowhere but where it was written.
func TestPlace(t *testing.T) {
	for _, layout := range []Layout{Blocks, Frames} {
		m := newImage(layout)
		m.add(random(rand.New(rand.NewPCG(2, 0)), 10)...)
		m.add(m.want...)
		ix := m.index[1]
		second := bytes.Clone(m.data[ix.Off:])
		for _, change := range []func(h *Header, ix *Index, ordinal *int){
			func(h *Header, _ *Index, _ *int) { h.File++ },
			func(h *Header, _ *Index, _ *int) { h.Opening++ },
			func(h *Header, _ *Index, _ *int) { h.Kind = joiner.Seen },
			func(h *Header, _ *Index, _ *int) { h.Bucket++ },
			func(_ *Header, ix *Index, _ *int) { ix.Off-- },
			func(_ *Header, ix *Index, _ *int) { ix.Count-- },
			func(_ *Header, ix *Index, _ *int) { ix.MinOffset++ },
			func(_ *Header, ix *Index, _ *int) { ix.MaxTimeMS++ },
			func(_ *Header, ix *Index, ordinal *int) {
				*ordinal = 0
				ix.Count -= uint16(layout - Blocks) // frames have no ordinal
			},
		} {
			h, ix, ordinal, b := m.header, ix, 1, Block{}
			change(&h, &ix, &ordinal)
			var err error
			if layout == Frames {
				copy(b.Room(len(second)), second)
				err = b.LoadFrames(h.Place(), &ix)
			} else {
				err = b.Load(h.Place(), &ix, ordinal, bytes.Clone(second))
			}
			if !errors.Is(err, joiner.ErrCorrupt) {
				t.Errorf("layout %d: block read as of %+v, %+v, ordinal %d: %v", layout, h, ix, ordinal, err)
			}
		}
	}
}

// TestEveryByte flips, removes, doubles and inserts each byte of a file in turn.
func TestEveryByte(t *testing.T) {
	for _, layout := range []Layout{Blocks, Frames} {
		m := newImage(layout)
		r := rand.New(rand.NewPCG(3, 0))
		m.add(random(r, 3)...)
		m.add(random(r, 1)...)
		m.add(random(r, 20)...)
		if _, err := walkImage(m.data, m.extent()); err != nil {
			t.Fatal(err)
		}
		for i := range m.data {
			for what, data := range map[string][]byte{
				"flipped":   flip(m.data, i, 0xff),
				"a bit off": flip(m.data, i, 1<<(i%8)),
				"removed":   slices.Delete(bytes.Clone(m.data), i, i+1),
				"doubled":   slices.Insert(bytes.Clone(m.data), i, m.data[i]),
				"last":      m.data[:i],
			} {
				if _, err := walkImage(data, m.extent()); !errors.Is(err, joiner.ErrCorrupt) {
					t.Fatalf("layout %d: byte %d %s: %v", layout, i, what, err)
				}
				short := Extent{Bytes: int64(len(data)), Entries: m.extent().Entries}
				if _, err := walkImage(data, short); !errors.Is(err, joiner.ErrCorrupt) {
					t.Fatalf("layout %d: byte %d %s, length as found: %v", layout, i, what, err)
				}
			}
		}
	}
}

func flip(data []byte, i int, mask byte) []byte {
	data = bytes.Clone(data)
	data[i] ^= mask
	return data
}

func TestHeader(t *testing.T) {
	h := newImage(Blocks).header
	data := h.Append(nil)
	if got, err := ParseHeader(data); err != nil || got != h || len(data) != HeaderBytes {
		t.Fatalf("header %+v comes back as %+v, %v", h, got, err)
	}
	data[8] = Version + 1 // and otherwise sound
	binary.LittleEndian.PutUint64(data[40:], xxh3.Hash(data[:40]))
	if _, err := ParseHeader(data); !errors.Is(err, joiner.ErrCorrupt) || !strings.Contains(err.Error(), "version 2") {
		t.Fatalf("a header of the next version: %v", err)
	}
}

func TestIndexRoundTrip(t *testing.T) {
	m := newImage(Blocks)
	r := rand.New(rand.NewPCG(4, 0))
	for range 50 {
		m.add(random(r, 1+r.IntN(100))...)
	}
	var got []Index
	var err error
	for _, part := range [][]Index{m.index[:20], m.index[20:21], m.index[21:]} {
		row := AppendIndex(nil, part)
		if len(row) > 24*len(part) {
			t.Errorf("%d bytes of index for %d blocks", len(row), len(part))
		}
		if got, err = ParseIndex(got, row); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, m.index) {
		t.Fatal("index differs from what was written")
	}
	if _, err := ParseIndex(nil, bytes.Repeat([]byte{0xff}, 30)); !errors.Is(err, joiner.ErrCorrupt) {
		t.Fatalf("an index of nonsense: %v", err)
	}
}

func TestBucketOf(t *testing.T) {
	for _, c := range [][3]int64{{0, 10, 0}, {9, 10, 0}, {10, 10, 1}, {-1, 10, -1}, {-10, 10, -1}, {-11, 10, -2}, {math.MinInt64, 1, math.MinInt64}, {math.MaxInt64, 1, math.MaxInt64}} {
		if got := BucketOf(c[0], c[1]); got != c[2] {
			t.Errorf("bucket of %d ms at %d ms a bucket: %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

func TestAfter(t *testing.T) {
	for _, c := range [][2]joiner.Cursor{
		{{TimeMS: 1, Partition: 2, Offset: 3}, {TimeMS: 1, Partition: 2, Offset: 4}},
		{{TimeMS: 1, Partition: 2, Offset: math.MaxInt64}, {TimeMS: 1, Partition: 3, Offset: math.MinInt64}},
		{{TimeMS: 1, Partition: math.MaxInt32, Offset: math.MaxInt64}, {TimeMS: 2, Partition: math.MinInt32, Offset: math.MinInt64}},
	} {
		if got := After(c[0]); got != c[1] {
			t.Errorf("after %v comes %v, want %v", c[0], got, c[1])
		}
	}
}

func ExampleWalk() {
	h := Header{Layout: Blocks, Kind: joiner.Impressions, File: 1, BucketMS: 10_000}
	file := h.Append(nil)
	var b Block
	b.Begin(h.Place(), int64(len(file)))
	b.Append(&joiner.Entry{TimeMS: 1500, Offset: 7, Value: []byte(`{"item":"a"}`)})
	file = b.Seal(file, 0)

	err := Walk(bytes.NewReader(file), Extent{Bytes: int64(len(file)), Entries: 1}, func(e *joiner.Entry) error {
		fmt.Printf("%d %d %s\n", e.TimeMS, e.Offset, e.Value)
		return nil
	})
	fmt.Println(err)
	// Output:
	// 1500 7 {"item":"a"}
	// <nil>
}
