package segment

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mortise-dev/mortise/joiner"
)

// loads counts what a merge reads.
type loads struct {
	m    *image
	pool *Pool
	n    int
}

func (l *loads) LoadBlock(id uint64) (*Block, error) {
	l.n++
	b := l.pool.Get()
	ix := l.m.index[id]
	err := b.Load(l.m.place, &ix, int(id), slices.Clone(l.m.data[ix.Off:ix.Off+ix.Bytes]))
	return b, err
}

func startMerge(m *image) (*Merge, *loads) {
	pool := &Pool{MaxBytes: 1 << 20}
	merge := &Merge{Pool: pool}
	for n := range m.index {
		merge.Wait(m.index[n].Min(m.place.StartMS), uint64(n))
	}
	merge.Start()
	return merge, &loads{m: m, pool: pool}
}

func TestMergeOrder(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 5))
		m := newImage(Blocks)
		for range 1 + r.IntN(20) {
			m.add(random(r, 1+r.IntN(200))...)
		}
		want := slices.Clone(m.want)
		slices.SortStableFunc(want, func(a, b joiner.Entry) int { return compare(a.Position(), b.Position()) })
		since := want[r.IntN(len(want))].Position()
		want = slices.DeleteFunc(want, func(e joiner.Entry) bool { return e.Position().Less(since) })
		merge, load := startMerge(m)
		for i := range want {
			var e joiner.Entry
			block, err := merge.Next(math.MaxInt64, since, load, &e)
			if err != nil || block == nil || !same(e, want[i]) {
				t.Fatalf("seed %d: entry %d is %+v, want %+v, %v", seed, i, e, want[i], err)
			}
			load.pool.Release(block)
		}
		if block, err := merge.Next(math.MaxInt64, since, load, &joiner.Entry{}); block != nil || err != nil || !merge.Empty() {
			t.Fatalf("seed %d: more than was added: %v", seed, err)
		}
		for i, b := range load.pool.free {
			if b.refs != 0 || slices.Contains(load.pool.free[:i], b) {
				t.Fatalf("seed %d: block %d was released once too often", seed, i)
			}
		}
	}
}

// TestMergeIsLazy checks that a block is read when the merge gets there, and let
// go when it is through: blocks that do not overlap are in memory one at a time.
func TestMergeIsLazy(t *testing.T) {
	m := newImage(Blocks)
	for i := range int64(10) {
		m.add(joiner.Entry{TimeMS: -20_000 + 100*i}, joiner.Entry{TimeMS: -20_000 + 100*i + 50})
	}
	merge, load := startMerge(m)
	for i := range 20 {
		var e joiner.Entry
		beforeMS := int64(-20_000 + 50*i)
		if block, err := merge.Next(beforeMS, joiner.Cursor{TimeMS: math.MinInt64}, load, &e); block != nil || err != nil || load.n != (i+1)/2 {
			t.Fatalf("before entry %d: read %d blocks, %v", i, load.n, err)
		}
		block, err := merge.Next(beforeMS+1, joiner.Cursor{TimeMS: math.MinInt64}, load, &e)
		if err != nil || block == nil || load.n != i/2+1 {
			t.Fatalf("entry %d: read %d blocks, %v", i, load.n, err)
		}
		load.pool.Release(block)
	}
	if len(load.pool.free) != 1 {
		t.Fatalf("%d blocks were in memory at a time, want 1", len(load.pool.free))
	}
}

// TestPoolTrim checks that the pool keeps what a period needed, and gives back
// the rest within a few periods.
func TestPoolTrim(t *testing.T) {
	p := Pool{MaxBytes: 1 << 20}
	need := func(n int) {
		var blocks []*Block
		for range n {
			blocks = append(blocks, p.Get())
		}
		for _, b := range blocks {
			p.Release(b)
		}
		p.Trim()
	}
	for range 3 {
		if need(64); len(p.free) != 64 {
			t.Fatalf("the pool keeps %d blocks of 64 that are needed", len(p.free))
		}
	}
	for range 10 {
		need(3)
	}
	if len(p.free) != 3 {
		t.Fatalf("the pool keeps %d blocks when 3 are needed", len(p.free))
	}
	big := p.Get()
	big.Room(2 << 20)
	if p.Release(big); len(p.free) != 2 {
		t.Fatal("the pool keeps a huge block")
	}
}
