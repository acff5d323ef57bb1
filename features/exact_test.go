package features

import (
	"bytes"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// bigSum is Σ v² or Σ v in more bits than any sum of float64 has.
func bigSum(values []float64, square bool) *big.Float {
	total := new(big.Float).SetPrec(8000)
	for _, v := range values {
		x := new(big.Float).SetPrec(8000).SetFloat64(v)
		if square {
			x.Mul(x, x)
		}
		total.Add(total, x)
	}
	return total
}

// randomFloat is any finite float64: of any exponent, or a plain number.
func randomFloat(rnd *rand.Rand) float64 {
	switch rnd.IntN(4) {
	case 0:
		return math.Round(rnd.NormFloat64()*1e4) / 100
	case 1:
		return math.Ldexp(float64(rnd.IntN(9)-4), rnd.IntN(30)-1074)
	}
	for {
		v := math.Float64frombits(rnd.Uint64())
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v
		}
	}
}

func TestExactIsTheNearest(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 3000 {
		values := make([]float64, rnd.IntN(12))
		for i := range values {
			values[i] = randomFloat(rnd)
			if i > 0 && rnd.IntN(3) == 0 {
				values[i] = -values[rnd.IntN(i)]
			}
		}
		for _, square := range []bool{false, true} {
			var x exact
			for _, v := range values {
				if square {
					x.addSquare(v)
				} else {
					x.addFloat(v, 0)
				}
			}
			want, _ := bigSum(values, square).Float64()
			if got := x.round(0); got != want {
				t.Fatalf("%v, square %v: %x, want %x", values, square, got, want)
			}
		}
	}
}

// Ties, the border to infinity, and what is smaller than the smallest float64.
func TestExactRounding(t *testing.T) {
	const ulp = 0x1p-52
	for _, c := range []struct {
		name   string
		values []float64
		shift  int64
		want   float64
	}{
		{"nothing", nil, 0, 0},
		{"cancelled", []float64{1e300, 1e-300, -1e300, -1e-300}, 0, 0},
		{"tie to even, down", []float64{1, ulp / 2}, 0, 1},
		{"tie to even, up", []float64{1 + ulp, ulp / 2}, 0, 1 + 2*ulp},
		{"just above a tie", []float64{1, ulp / 2, 0x1p-1074}, 0, 1 + ulp},
		{"just below a tie", []float64{1 + ulp, ulp / 2, -0x1p-1074}, 0, 1 + ulp},
		{"negative", []float64{-1, -ulp / 2, -0x1p-1074}, 0, -1 - ulp},
		{"largest", []float64{math.MaxFloat64, 0x1p969}, 0, math.MaxFloat64},
		{"beyond the largest", []float64{math.MaxFloat64, 0x1p970}, 0, math.Inf(1)},
		{"beyond, and back", []float64{math.MaxFloat64, math.MaxFloat64, -math.MaxFloat64}, 0, math.MaxFloat64},
		{"negative infinity", []float64{-math.MaxFloat64, -math.MaxFloat64}, 0, math.Inf(-1)},
		{"half of the smallest", []float64{0x1p-1074}, 1, 0},
		{"more than half of the smallest", []float64{0x3p-1074}, 2, 0x1p-1074},
		{"subnormal tie", []float64{0x3p-1074}, 1, 0x2p-1074},
		{"scaled up", []float64{0x1p-1074}, -2000, 0x1p926},
	} {
		for range 5 {
			var x exact
			for _, v := range c.values {
				x.addFloat(v, 0)
			}
			if got := x.round(c.shift); got != c.want {
				t.Errorf("%s: %x, want %x", c.name, got, c.want)
			}
			slices.Reverse(c.values)
		}
	}
}

// However a sum is divided and whatever the order, the state's bytes are the same.
func TestExactStateIsCanonical(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 1))
	for range 500 {
		values := make([]float64, 1+rnd.IntN(20))
		for i := range values {
			values[i] = randomFloat(rnd)
		}
		var want []byte
		for try := range 4 {
			rnd.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
			var total exact
			for part := range slices.Chunk(values, 1+rnd.IntN(len(values))) {
				var x exact
				for _, v := range part {
					x.addFloat(v, 0)
				}
				d := decoder{data: x.append(nil, 77)}
				total.absorb(&d, 77)
				if err := d.done(); err != nil {
					t.Fatal(err)
				}
			}
			if got := total.append(nil, 0); try == 0 {
				want = got
			} else if !bytes.Equal(got, want) {
				t.Fatalf("%v: %x, want %x", values, got, want)
			}
		}
	}
}

func TestExactCarries(t *testing.T) {
	var x exact
	for i := range 1000 {
		x.addFloat(float64(math.MaxInt32)*2, 0)
		x.addFloat(-float64(math.MaxInt32)*2, 32)
		if i%7 == 0 {
			x.carry()
		}
		x.adds = maxAdds - 2 // so that carries move within the loop
	}
	want := new(big.Float).SetPrec(200).SetInt64(2 * math.MaxInt32)
	want.Sub(want, new(big.Float).SetMantExp(want, 32))
	want.Mul(want, big.NewFloat(1000))
	w, _ := want.Float64()
	if got := x.round(0); got != w {
		t.Fatalf("%x, want %x", got, w)
	}
}

func TestExactRefusesWhatDoesNotFit(t *testing.T) {
	var x exact
	if !x.addBits(false, 0, 1, 0) || !x.addBits(false, 0, 1, 32*(maxLimbs-1)) {
		t.Fatal("what fits is refused")
	}
	before := x.append(nil, 0)
	for _, e := range []int64{32 * maxLimbs, -1, math.MaxInt32 * 64, math.MinInt32 * 64} {
		if x.addBits(true, 0, 1, e) {
			t.Errorf("exponent %d is taken", e)
		}
	}
	if !bytes.Equal(x.append(nil, 0), before) {
		t.Error("what was refused left something behind")
	}
}

func TestExp2(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 1))
	worst := 0.0
	for i := range 20_000 {
		whole := int64(1 + rnd.IntN(1_000_000))
		part := rnd.Int64N(whole)
		if i < 64 {
			part, whole = int64(i), 64
		}
		// 2^x in 100 bits: e^(x·ln2) by its series.
		x := new(big.Float).SetPrec(120).Quo(big.NewFloat(float64(part)).SetPrec(120), big.NewFloat(float64(whole)))
		ln2, _, _ := big.ParseFloat("0.693147180559945309417232121458176568075500134360255254120680009", 10, 120, big.ToNearestEven)
		x.Mul(x, ln2)
		want, term := big.NewFloat(1).SetPrec(120), big.NewFloat(1).SetPrec(120)
		for k := 1; k < 40; k++ {
			term.Mul(term, x).Quo(term, big.NewFloat(float64(k)))
			want.Add(want, term)
		}
		off := new(big.Float).Sub(want, big.NewFloat(exp2(part, whole)))
		relative, _ := off.Quo(off, want).Float64()
		worst = max(worst, math.Abs(relative))
	}
	if worst > 0x1p-52 {
		t.Errorf("off by up to %.2f·2^-53", worst/0x1p-53)
	}
	t.Logf("off by up to %.2f·2^-53", worst/0x1p-53)
}

func BenchmarkExactAdd(b *testing.B) {
	values := make([]float64, 1024)
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range values {
		values[i] = math.Round(rnd.Float64()*1e5) / 100
	}
	b.ReportAllocs()
	var x exact
	for i := 0; b.Loop(); i++ {
		x.addFloat(values[i&1023], 0)
	}
}
