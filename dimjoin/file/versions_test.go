package file

import (
	"math/rand/v2"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// TestOverlaps holds spans against every version looked at anew: of those valid
// at a time the one that begins last wins.
func TestOverlaps(t *testing.T) {
	seed := uint64(5)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for round := range 3000 {
		b := newBuilder(mortise.Schema{{Name: "n", Type: mortise.Type{Kind: mortise.Int}}}, true)
		type valid struct{ fromMS, toMS int64 }
		var all []valid
		begun := map[int64]bool{}
		for n := range 1 + rnd.IntN(7) {
			v := valid{rnd.Int64N(20), 0}
			if v.toMS = v.fromMS + rnd.Int64N(12); rnd.IntN(5) == 0 {
				v.toMS = dimjoin.Latest
			}
			if rnd.IntN(9) == 0 {
				v.fromMS = dimjoin.Always
			}
			if begun[v.fromMS] {
				continue
			}
			begun[v.fromMS] = true
			all = append(all, v)
			if err := b.add([]byte("k"), mortise.Row{mortise.IntValue(v.fromMS)}, v.fromMS, v.toMS, n); err != nil {
				t.Fatal(err)
			}
		}
		c, err := b.build()
		if err != nil {
			t.Fatal(err)
		}
		at := func(ms int64) (from int64, ok bool) {
			for _, v := range all {
				if v.fromMS <= ms && (ms < v.toMS || v.toMS == dimjoin.Latest) && (!ok || v.fromMS > from) {
					from, ok = v.fromMS, true
				}
			}
			return from, ok
		}
		for _, ms := range []int64{-1 << 60, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 25, 31, 32, 40, dimjoin.Latest} {
			l := dimjoin.Lookup{Key: []byte("k"), AsOfMS: ms}
			c.answer(&l)
			want, ok := at(ms)
			if (l.Row != nil) != ok || ok && l.Row[0].Int() != want || l.FromMS > ms || l.ToMS <= ms && ms != dimjoin.Latest {
				t.Fatalf("seed %d, round %d: %v at %d is %v in [%d, %d), want the version of %d, %v", seed, round, all, ms, l.Row, l.FromMS, l.ToMS, want, ok)
			}
			for _, other := range []int64{l.FromMS, min(l.ToMS, 1<<50) - 1} {
				if w, k := at(other); w != want || k != ok {
					t.Fatalf("seed %d, round %d: %v at %d is said to be the same at %d", seed, round, all, ms, other)
				}
			}
		}
	}
}
