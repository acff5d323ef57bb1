package parquet

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestDecimals compares the writer with arithmetic of any size.
func TestDecimals(t *testing.T) {
	rng := seeded(t)
	for range 2000 {
		b := make([]byte, 1+rng.IntN(20))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		switch rng.IntN(4) {
		case 0:
			clear(b[:len(b)-1])
		case 1:
			for i := range b {
				b[i] = 0xff
			}
		case 2:
			clear(b[1:])
		}
		scale := rng.IntN(40) - 3
		n := new(big.Int).SetBytes(b)
		if b[0]&0x80 != 0 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
		want := n.String()
		switch digits := strings.TrimPrefix(want, "-"); {
		case scale < 0 && n.Sign() != 0:
			want += strings.Repeat("0", -scale)
		case scale > 0:
			digits = strings.Repeat("0", max(0, scale+1-len(digits))) + digits
			want = strings.Repeat("-", strings.Count(want, "-")) + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
		}
		if got := string(appendBig(nil, b, scale)); got != want {
			t.Fatalf("%x over 10^%d: got %s, want %s", b, scale, got, want)
		}
		if len(b) >= 8 {
			short := int64(binary.BigEndian.Uint64(b))
			var wide [8]byte
			binary.BigEndian.PutUint64(wide[:], uint64(short))
			if got, want := string(appendScaled(nil, short < 0, 0, magnitude(short), scale)), string(appendBig(nil, wide[:], scale)); got != want {
				t.Fatalf("%d over 10^%d: got %s, want %s", short, scale, got, want)
			}
		}
	}
}

func TestHalves(t *testing.T) {
	for bits, want := range map[uint16]float64{0: 0, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 1: math.Ldexp(1, -24), 0x03ff: math.Ldexp(1023, -24), 0x0400: math.Ldexp(1, -14), 0x3555: 0.333251953125} {
		if got := fromHalf(bits); got != want {
			t.Errorf("%x: got %v, want %v", bits, got, want)
		}
	}
	for _, bits := range []uint16{0x7c00, 0xfc00, 0x7e00} {
		if got := string(writeHalf(nil, &value{text: binary.LittleEndian.AppendUint16(nil, bits)})); got != "null" {
			t.Errorf("%x: got %s, want null", bits, got)
		}
	}
}

func TestFloats(t *testing.T) {
	for f, want := range map[float64]string{0.1: "0.1", 12: "12", 1e20: "100000000000000000000", 1e21: "1e+21", 1e-7: "1e-7", math.Copysign(0, -1): "-0", 5e-324: "5e-324"} {
		if got := string(appendFloat(nil, f, 64)); got != want {
			t.Errorf("%v: got %s, want %s", f, got, want)
		}
	}
	for f, want := range map[float64]string{7: "7", -7: "-7", 7.5: "7.5", 1 << 53: "9007199254740992", 1e300: "1e+300", math.Inf(1): "null"} {
		if got := string(writeWhole(nil, &value{bits: math.Float64bits(f)})); got != want {
			t.Errorf("%v: got %s, want %s", f, got, want)
		}
	}
	if got := string(writeSingle(nil, &value{bits: uint64(math.Float32bits(0.1))})); got != "0.1" {
		t.Errorf("got %s, want 0.1", got)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		f := math.Float32frombits(rng.Uint32())
		if f != f || math.IsInf(float64(f), 0) {
			continue
		}
		var back float64
		if _, err := fmt.Sscan(string(appendFloat(nil, float64(f), 32)), &back); err != nil || float32(back) != f {
			t.Fatalf("%v comes back as %v, %v", f, back, err)
		}
	}
}
