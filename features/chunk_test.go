package features

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	mortise "github.com/mortise-dev/mortise"
)

// tileOf is one tile with its column.
type tileOf struct {
	column columnKey
	place  int
	state  []byte
}

func chunkOf(tiles ...tileOf) []byte {
	var w chunkWriter
	w.start(nil)
	for i, t := range tiles {
		if i == 0 || tiles[i-1].column != t.column {
			w.startColumn(t.column)
		}
		w.tile(t.place, t.state)
		if i+1 == len(tiles) || tiles[i+1].column != t.column {
			w.endColumn()
		}
	}
	return w.dst
}

func listChunk(t testing.TB, chunk []byte) (out string) {
	r := readChunk(chunk)
	for r.nextColumn() {
		out += fmt.Sprintf("%d/%d:", r.column>>4, r.column.kind())
		for place, state, ok := r.nextTile(); ok; place, state, ok = r.nextTile() {
			out += fmt.Sprintf(" %d=%x", place, state)
		}
		out += ";"
	}
	if err := r.err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestChunkGolden(t *testing.T) {
	count, last := newColumnKey(0, kindCount), newColumnKey(3, kindLast)
	chunk := chunkOf(tileOf{count, 0, []byte{5}}, tileOf{count, 59, []byte{0x80, 1}}, tileOf{last, 7, []byte{1, 2, 3}})
	if got, want := hex.EncodeToString(chunk), "010005"+"0005"+"3a8001"+"3705"+"0703010203"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := listChunk(t, chunk), "0/0: 0=05 59=8001;3/7: 7=010203;"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Merging chunks is the same as having had all events in one.
func TestMergeIsAnyOrderAndGrouping(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6, 1))
	for range 200 {
		// Per column and place, the events of all chunks.
		var parts [][]byte
		whole := map[[2]int][]event{}
		for range 1 + rnd.IntN(6) {
			var tiles []tileOf
			for k := range numKinds {
				for place := rnd.IntN(4); place < 8; place += 1 + rnd.IntN(6) {
					e := event{int64(place)*60_000 + int64(rnd.IntN(60_000)), argument(calls[k], rnd.IntN(9))}
					at := [2]int{int(k), place}
					whole[at] = append(whole[at], e)
					tiles = append(tiles, tileOf{newColumnKey(uint32(k), k), place, stateBytes(t, calls[k], []event{e})})
				}
			}
			parts = append(parts, chunkOf(tiles...))
		}
		var want []tileOf
		for k := range numKinds {
			for place := range 60 {
				if events := whole[[2]int{int(k), place}]; events != nil {
					want = append(want, tileOf{newColumnKey(uint32(k), k), place, stateBytes(t, calls[k], events)})
				}
			}
		}
		var m Merger
		for len(parts) > 1 {
			rnd.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			n := 2 + rnd.IntN(len(parts)-1)
			merged, err := m.Merge(nil, parts[:n]...)
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts[n:], merged)
		}
		if !bytes.Equal(parts[0], chunkOf(want...)) {
			t.Fatalf("%s, want %s", listChunk(t, parts[0]), listChunk(t, chunkOf(want...)))
		}
	}
}

func FuzzMerge(f *testing.F) {
	for k := range numKinds {
		state := stateBytes(f, calls[k], []event{{1, argument(calls[k], 1)}, {2, argument(calls[k], 2)}})
		one := chunkOf(tileOf{newColumnKey(1, k), 3, state}, tileOf{newColumnKey(2, kindCount), 4, []byte{9}})
		f.Add(one, one)
		f.Add(one, one[:len(one)-1])
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var m Merger
		ab, err := m.Merge(nil, a, b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		ba, err := m.Merge(nil, b, a)
		if err != nil || !bytes.Equal(ab, ba) {
			t.Fatalf("%x and %x: %x one way, %x the other (%v)", a, b, ab, ba, err)
		}
		if again, err := m.Merge(nil, ab); err != nil || !bytes.Equal(again, ab) {
			t.Fatalf("%x merged with nothing is %x (%v)", ab, again, err)
		}
	})
}

func FuzzPosition(f *testing.F) {
	p := Position{Meta: []byte("offsets"), WatermarkMS: 5, LatestMS: 7, Shard: 9, commits: 3}
	p.declare(1, 2, 0, 77)
	p.declare(0, 2, 1, -5)
	f.Add(p.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePosition(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := ParsePosition(p.encode())
		if err != nil || !bytes.Equal(again.encode(), p.encode()) {
			t.Fatalf("%+v is read back as %+v (%v)", p, again, err)
		}
	})
}

func BenchmarkMerge(b *testing.B) {
	for _, k := range []kind{kindCount, kindSumFloat, kindLast, kindSketch} {
		b.Run(calls[k], func(b *testing.B) {
			var tiles, more []tileOf
			for place := range 60 {
				state := stateBytes(b, calls[k], []event{{int64(place) * 60_000, argument(calls[k], place)}})
				tiles = append(tiles, tileOf{newColumnKey(0, k), place, state})
				if place%20 == 0 {
					more = append(more, tiles[place])
				}
			}
			one, two := chunkOf(tiles...), chunkOf(more...)
			var m Merger
			var dst []byte
			b.SetBytes(int64(len(one) + len(two)))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = m.Merge(dst[:0], one, two); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkState(b *testing.B) {
	for _, call := range calls {
		b.Run(call, func(b *testing.B) {
			s := statesOf(b, call)
			var values []mortise.Value
			for i := range 64 {
				values = append(values, argument(call, i))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.add(0, values[i&63], int64(i))
			}
		})
	}
}
