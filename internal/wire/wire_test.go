package wire

import (
	"math/rand"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// Tags, lengths and skipping agree with Protobuf's own library, on what is valid
// and on what is not.
func TestAgainstProtowire(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewSource(seed))
	for range 200_000 {
		data := make([]byte, rnd.Intn(14))
		for i := range data {
			if data[i] = byte(rnd.Intn(256)); rnd.Intn(2) == 0 {
				data[i] = byte(rnd.Intn(20))
			}
		}
		number, typ, n := protowire.ConsumeTag(data)
		gotNumber, gotTyp, next := Tag(data, 0)
		if number > 1<<29-1 {
			continue // beyond what a field may have, which that library says later
		}
		if n < 0 != (next < 0) && !(n < 0 && gotTyp > Fixed32) || n >= 0 && (int32(number) != gotNumber || Type(typ) != gotTyp || n != next) {
			t.Fatalf("tag of %x: %d %d %d, want %d %d %d", data, gotNumber, gotTyp, next, number, typ, n)
		}
		if n < 0 {
			continue
		}
		size := protowire.ConsumeFieldValue(number, typ, data[n:])
		end := Skip(data, n, int32(number), Type(typ))
		if size < 0 && end >= 0 || size >= 0 && end != n+size {
			t.Fatalf("field %x: passed over to %d, want %d behind %d", data, end, size, n)
		}
	}
}

func TestSizes(t *testing.T) {
	for shift := range 64 {
		for _, v := range []uint64{1 << shift, 1<<shift - 1} {
			if got, want := Size(v), protowire.SizeVarint(v); got != want {
				t.Errorf("%d takes %d bytes, want %d", v, got, want)
			}
		}
	}
	for _, number := range []int32{1, 15, 16, 2047, 2048, 262143, 262144, 1<<29 - 1} {
		tag := AppendTag(nil, number, Bytes)
		if got, typ, next := Tag(tag, 0); got != number || typ != Bytes || next != len(tag) {
			t.Errorf("tag %d comes back as %d", number, got)
		}
	}
}
