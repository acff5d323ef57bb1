package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/mortise-dev/mortise/joiner"
)

// FuzzDamage writes a file of either layout, does to its bytes what the fuzzer
// says, and expects a reader that knows the length and the count to notice.
// Each five bytes of edits are one: what to do, a position, a value.
func FuzzDamage(f *testing.F) {
	f.Add(uint64(1), uint8(3), false, []byte{0, 0, 0, 8, 1})
	f.Add(uint64(2), uint8(30), true, []byte{0, 0, 0, 60, 0x80})
	f.Add(uint64(3), uint8(9), false, []byte{1, 0, 0, 90, 0})
	f.Add(uint64(4), uint8(9), true, []byte{1, 0, 0, 56, 7, 2, 0, 0, 56, 9})
	f.Add(uint64(5), uint8(200), false, []byte{3, 0, 0, 200, 0})
	f.Add(uint64(6), uint8(2), true, []byte{0, 0, 0, 58, 255, 0, 0, 0, 59, 255})
	f.Fuzz(func(t *testing.T, seed uint64, n uint8, frames bool, edits []byte) {
		m := newImage(Blocks)
		if frames {
			m = newImage(Frames)
		}
		r := rand.New(rand.NewPCG(seed, 0))
		for left := int(n) + 1; left > 0; {
			batch := 1 + r.IntN(left)
			m.add(random(r, batch)...)
			left -= batch
		}
		data := damage(bytes.Clone(m.data), edits)
		before := allocated()
		got, err := walkImage(data, m.extent())
		if spent := allocated() - before; spent > 64*uint64(len(m.data))+(1<<20) {
			t.Fatalf("reading %d bytes allocated %d", len(data), spent)
		}
		if bytes.Equal(data, m.data) {
			if err != nil || !slices.EqualFunc(got, m.want, same) {
				t.Fatalf("an undamaged file: %v", err)
			}
			return
		}
		if !errors.Is(err, joiner.ErrCorrupt) {
			t.Fatalf("a damaged file is read without complaint: %v", err)
		}
	})
}

func damage(data, edits []byte) []byte {
	for ; len(edits) >= 5 && len(data) > 0; edits = edits[5:] {
		at := int(binary.BigEndian.Uint32(append([]byte{0}, edits[1:4]...))) % len(data)
		switch edits[0] % 4 {
		case 0:
			data[at] ^= edits[4]
		case 1:
			data = slices.Delete(data, at, min(at+1+int(edits[4]), len(data)))
		case 2:
			data = slices.Insert(data, at, edits[4])
		case 3:
			data = data[:at]
		}
	}
	return data
}

func allocated() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.TotalAlloc
}

// FuzzForged gives the readers bytes whose checksums hold, as only a writer with
// a bug could make them: they may be refused or read, without a panic.
func FuzzForged(f *testing.F) {
	whole := newImage(Blocks)
	whole.add(random(rand.New(rand.NewPCG(1, 0)), 20)...)
	f.Add(whole.data[HeaderBytes:], false)
	frames := newImage(Frames)
	frames.add(random(rand.New(rand.NewPCG(2, 0)), 1)...)
	f.Add(frames.data[HeaderBytes:], true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, data []byte, layout bool) {
		m := newImage(Blocks)
		if layout {
			m = newImage(Frames)
		}
		if layout && len(data) >= FrameBytes {
			binary.LittleEndian.PutUint32(data[8:], uint32(len(data)-FrameBytes))
			binary.LittleEndian.PutUint64(data, m.place.sum(data[8:], HeaderBytes))
		}
		if !layout && len(data) >= BlockHeaderBytes {
			binary.LittleEndian.PutUint32(data, uint32(len(data)-BlockHeaderBytes))
			binary.LittleEndian.PutUint64(data[64:], 0)
			binary.LittleEndian.PutUint64(data[64:], m.place.sum(data, HeaderBytes))
		}
		file := slices.Concat(m.data, data)
		if _, err := walkImage(file, Extent{Bytes: int64(len(file)), Entries: 1}); err != nil && !errors.Is(err, joiner.ErrCorrupt) {
			t.Fatal(err)
		}
	})
}
