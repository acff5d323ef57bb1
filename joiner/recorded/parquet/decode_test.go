package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go/compress/lz4"
	"github.com/parquet-go/parquet-go/encoding/bytestreamsplit"
	deltaenc "github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"
)

// numbers returns n numbers below 2^width, in runs and not.
func numbers(rng *rand.Rand, n int, width uint) (all []uint64) {
	for len(all) < n {
		v := rng.Uint64() >> (64 - max(width, 1))
		if width == 0 {
			v = 0
		}
		for range min(n-len(all), []int{1, 1, 3, 9, 40}[rng.IntN(5)]) {
			all = append(all, v)
		}
	}
	return all
}

// drainBits decodes n values in random steps.
func drainBits(t *testing.T, rng *rand.Rand, d decoder, n int) (got []uint64) {
	t.Helper()
	var vals [batchValues]value
	for len(got) < n {
		step := vals[:min(n-len(got), 1+rng.IntN(batchValues))]
		if err := d.read(step); err != nil {
			t.Fatalf("after %d of %d values: %v", len(got), n, err)
		}
		for _, v := range step {
			got = append(got, v.bits)
		}
	}
	if err := d.read(vals[:1]); err == nil && n > 0 {
		if _, padded := d.(*indexes); !padded {
			t.Fatalf("a value behind the last one")
		}
	}
	return got
}

func seeded(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestHybridReadsWhatTheLibraryWrites(t *testing.T) {
	rng := seeded(t)
	for range 200 {
		width := uint(rng.IntN(21))
		want := numbers(rng, rng.IntN(700), width)
		var indices []int32
		dict := make([]value, 1<<width)
		for i := range dict {
			dict[i].bits = uint64(i)
		}
		for _, v := range want {
			indices = append(indices, int32(v))
		}
		data, err := (&rle.Encoding{BitWidth: int(width)}).EncodeInt32(nil, indices)
		if err != nil {
			t.Fatal(err)
		}
		d, err := newIndexes(append([]byte{byte(width)}, data...), dict)
		if err != nil {
			t.Fatal(err)
		}
		if got := drainBits(t, rng, d, len(want)); !slices.Equal(got, want) {
			t.Fatalf("width %d: got %v, want %v", width, got, want)
		}
	}
}

func TestDeltaReadsWhatTheLibraryWrites(t *testing.T) {
	rng := seeded(t)
	for range 200 {
		width := uint(rng.IntN(65))
		want := numbers(rng, rng.IntN(700), width)
		var longs []int64
		for _, v := range want {
			longs = append(longs, int64(v))
		}
		data, err := (&deltaenc.BinaryPackedEncoding{}).EncodeInt64(nil, longs)
		if err != nil {
			t.Fatal(err)
		}
		d, err := newDelta(data)
		if err != nil {
			t.Fatal(err)
		}
		rest, err := d.rest()
		if err != nil || len(rest) != 0 {
			t.Fatalf("%d values: %d bytes are left, %v", len(want), len(rest), err)
		}
		if got := drainBits(t, rng, &d, len(want)); !slices.Equal(got, want) {
			t.Fatalf("width %d: got %v, want %v", width, got, want)
		}
	}
}

// TestDeltaOfTooManyBits reads differences of int32 in 33 bits, which the format
// forbids and DuckDB writes.
func TestDeltaOfTooManyBits(t *testing.T) {
	data := []byte{128, 1, 4, 3} // blocks of 128 in 4, 3 values
	data = binary.AppendUvarint(data, 0)
	least := int64(math.MinInt32)
	data = binary.AppendUvarint(data, uint64(least<<1)^uint64(least>>63))
	data = append(data, 33, 0, 0, 0)
	bits := make([]byte, 32*33/8)
	binary.LittleEndian.PutUint64(bits, uint64(int64(math.MaxInt32)-least)|1<<33) // differences MaxInt32, and MinInt32+1
	d, err := newDelta(append(data, bits...))
	if err != nil {
		t.Fatal(err)
	}
	var got [3]value
	if err := d.read(got[:]); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int32{0, math.MaxInt32, 0} {
		if int32(got[i].bits) != want {
			t.Errorf("value %d: got %d, want %d", i, int32(got[i].bits), want)
		}
	}
}

func texts(rng *rand.Rand, n int) (all [][]byte) {
	for range n {
		all = append(all, append(bytes.Repeat([]byte("ab"), rng.IntN(30)), byte('a'+rng.IntN(3))))
	}
	return all
}

func TestTextsReadWhatTheLibraryWrites(t *testing.T) {
	rng := seeded(t)
	for range 100 {
		want := texts(rng, rng.IntN(600))
		var joined []byte
		offsets := []uint32{0}
		for _, text := range want {
			joined = append(joined, text...)
			offsets = append(offsets, uint32(len(joined)))
		}
		for encoding, encode := range map[format.Encoding]func([]byte, []byte, []uint32) ([]byte, error){
			format.DeltaLengthByteArray: (&deltaenc.LengthByteArrayEncoding{}).EncodeByteArray,
			format.DeltaByteArray:       (&deltaenc.ByteArrayEncoding{}).EncodeByteArray,
		} {
			data, err := encode(nil, joined, offsets)
			if err != nil {
				t.Fatal(err)
			}
			d, err := newDecoder(encoding, format.ByteArray, 0, data, nil)
			if err != nil {
				t.Fatal(err)
			}
			var vals [batchValues]value
			for at := 0; at < len(want); {
				step := vals[:min(len(want)-at, 1+rng.IntN(batchValues))]
				if err := d.read(step); err != nil {
					t.Fatalf("%s, value %d of %d: %v", encoding, at, len(want), err)
				}
				for i := range step {
					if !bytes.Equal(step[i].text, want[at]) {
						t.Fatalf("%s, value %d: got %q, want %q", encoding, at, step[i].text, want[at])
					}
					at++
				}
			}
		}
	}
}

func TestSplitReadsWhatTheLibraryWrites(t *testing.T) {
	rng := seeded(t)
	want := numbers(rng, 500, 64)
	var doubles []float64
	for _, v := range want {
		doubles = append(doubles, math.Float64frombits(v))
	}
	data, err := (&bytestreamsplit.Encoding{}).EncodeDouble(nil, doubles)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDecoder(format.ByteStreamSplit, format.Double, 0, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := drainBits(t, rng, d, len(want)); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestLZ4(t *testing.T) {
	rng := seeded(t)
	for range 200 {
		var want []byte
		for range rng.IntN(40) {
			switch rng.IntN(3) {
			case 0:
				want = append(want, bytes.Repeat([]byte{byte(rng.Uint32())}, rng.IntN(400))...)
			case 1:
				want = append(want, want[rng.IntN(len(want)+1):]...)
			default:
				for range rng.IntN(50) {
					want = append(want, byte(rng.Uint32()))
				}
			}
			want = want[:min(len(want), 1<<16)]
		}
		if len(want) == 0 {
			continue
		}
		packed, err := new(lz4.Codec).Encode(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if n, err := unpackLZ4(got, packed); err != nil || !bytes.Equal(got[:n], want) {
			t.Fatalf("%d bytes of %d, %v", n, len(want), err)
		}
		framed := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(len(want))), uint32(len(packed)))
		framed = append(framed, packed...)
		clear(got)
		if n, err := unpackHadoopLZ4(got, framed); err != nil || !bytes.Equal(got[:n], want) {
			t.Fatalf("framed: %d bytes of %d, %v", n, len(want), err)
		}
		if n, err := unpackHadoopLZ4(got, packed); err != nil || n != len(want) {
			t.Fatalf("not framed: %d bytes of %d, %v", n, len(want), err)
		}
		if n, err := unpackLZ4(got[:len(got)-1], packed); err == nil && n == len(want) {
			t.Fatal("more than there is room for")
		}
	}
}

// FuzzDecode gives decoders any bytes: they answer or fail, within their bounds.
func FuzzDecode(f *testing.F) {
	for i, seed := range [][]byte{{}, {3, 2, 1}, {128, 1, 4, 3, 0, 0, 0, 0, 0, 0}, {4, 0, 0, 0, 1, 2, 3, 4}, {8, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, bytes.Repeat([]byte{0xff}, 40)} {
		f.Add(seed, uint8(i), uint8(i), uint8(4))
	}
	dict := []value{{bits: 1}, {bits: 2, text: []byte("x")}}
	f.Fuzz(func(t *testing.T, data []byte, encoding, typ, width uint8) {
		d, err := newDecoder(format.Encoding(encoding%10), format.Type(typ%8), int(int8(width)), data, dict)
		if err != nil {
			return
		}
		var vals [batchValues]value
		for range 1000 {
			if err := d.read(vals[:]); err != nil {
				if !errors.Is(err, errDamaged) {
					t.Fatalf("got %v, want errDamaged", err)
				}
				return
			}
		}
	})
}

// FuzzLZ4 gives the decompressor any bytes.
func FuzzLZ4(f *testing.F) {
	for _, seed := range [][]byte{{}, {0x10, 'a', 1, 0}, {0x1f, 'a', 1, 0, 255, 3}, bytes.Repeat([]byte{0xff}, 20)} {
		f.Add(seed, uint16(100))
	}
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		dst := make([]byte, size)
		if n, err := unpackHadoopLZ4(dst, data); err == nil && n > len(dst) {
			t.Fatalf("%d bytes in %d", n, len(dst))
		}
	})
}

// FuzzHeader gives the header's reader any bytes.
func FuzzHeader(f *testing.F) {
	f.Add([]byte{0x15, 0, 0x15, 8, 0x15, 8, 0x2c, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0})
	f.Add([]byte{0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, n, err := parseHeader(data); err == nil && (n <= 0 || n > len(data)) {
			t.Fatalf("%d of %d bytes", n, len(data))
		}
		_ = checkThrift(data)
	})
}
