package segment

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mortise-dev/mortise/joiner"
)

// impressions makes entries of about valueBytes of JSON that s2 compresses
// about threefold, as impressions of one stream do.
func impressions(n, valueBytes int) []joiner.Entry {
	r := rand.New(rand.NewPCG(1, 2))
	entries := make([]joiner.Entry, n)
	for i := range entries {
		v := fmt.Appendf(nil, `{"impression_id":"%016x","ts":%d,"user_segment":"seg_%d","item_id":"item-%d","position":%d`, r.Uint64(), 1_700_000_000_000+int64(i), r.IntN(100), r.IntN(100000), r.IntN(10))
		for k := 0; len(v) < valueBytes-20; k++ {
			v = fmt.Appendf(v, `,"feature_number_%d":0.%d`, k, r.IntN(10000))
		}
		entries[i] = joiner.Entry{TimeMS: -20_000 + (int64(i)+r.Int64N(2000))%10_000, Offset: int64(i), Accept: 1, Value: append(v, '}')}
	}
	return entries
}

func BenchmarkBlock(b *testing.B) {
	for _, size := range []int{200, 1000} {
		for _, layout := range []Layout{Blocks, Frames} {
			entries := impressions((128<<10)/size, size)
			place := newImage(layout).place
			var block, back Block
			var out []byte
			fill := func() {
				block.Begin(place, HeaderBytes)
				for i := range entries {
					block.Append(&entries[i])
				}
				if out = block.Frames(); layout == Blocks {
					out = block.Seal(out[:0:0], 0)
				}
			}
			fill()
			name := fmt.Sprintf("layout=%d/value=%d", layout, size)
			var seal []byte
			b.Run("write/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(block.Bytes()))
				for b.Loop() {
					block.Begin(place, HeaderBytes)
					for i := range entries {
						block.Append(&entries[i])
					}
					if layout == Blocks {
						seal = block.Seal(seal[:0], 0)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(entries)), "ns/entry")
				b.ReportMetric(float64(block.Bytes())/float64(len(out)), "ratio")
			})
			b.Run("read/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(block.Bytes()))
				ix := block.Index(len(out))
				data := make([]byte, len(out))
				for b.Loop() {
					var err error
					if layout == Frames {
						copy(back.Room(len(out)), out)
						err = back.LoadFrames(place, &ix)
					} else {
						copy(data, out)
						err = back.Load(place, &ix, 0, data)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(entries)), "ns/entry")
			})
		}
	}
}

// BenchmarkMerge merges blocks of which so many overlap at any time.
func BenchmarkMerge(b *testing.B) {
	for _, overlap := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("overlap=%d", overlap), func(b *testing.B) {
			const perBlock = 128
			pool := &Pool{MaxBytes: 1 << 20}
			merge := Merge{Pool: pool}
			r := rand.New(rand.NewPCG(1, 3))
			place := newImage(Blocks).place
			blocks := make([]*Block, overlap)
			for n := range blocks {
				blocks[n] = pool.Get()
				blocks[n].Begin(place, 0)
				for range perBlock {
					blocks[n].Append(&joiner.Entry{TimeMS: place.StartMS + r.Int64N(10_000), Offset: r.Int64N(1 << 30), Value: make([]byte, 100)})
				}
			}
			b.ReportAllocs()
			var e joiner.Entry
			for b.Loop() {
				if merge.Empty() {
					merge.Reset()
					for n, block := range blocks {
						merge.Add(block, uint64(n), 0, perBlock, joiner.Cursor{TimeMS: math.MinInt64})
					}
				}
				block, _ := merge.Next(math.MaxInt64, joiner.Cursor{}, nil, &e)
				pool.Release(block)
			}
		})
	}
}
