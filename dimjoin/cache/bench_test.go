package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
)

const batchRows = 1000

// BenchmarkRead is rows that are answered out of the cache, 1,000 a batch. Beside
// the time it reports the processor's, which other programs do not disturb.
func BenchmarkRead(b *testing.B) {
	for _, keys := range []int{1_000, 100_000, 1_000_000} {
		for _, draw := range []string{"zipf", "uniform"} {
			if testing.Short() && keys > 1_000 {
				continue
			}
			b.Run(fmt.Sprintf("keys=%d/%s", keys, draw), func(b *testing.B) { benchmarkRead(b, keys, draw == "zipf") })
		}
	}
}

func benchmarkRead(b *testing.B, keys int, zipf bool) {
	c, err := New(2 << 30)
	if err != nil {
		b.Fatal(err)
	}
	r := dimjoin.NewReader(definition, world{"toys"}, dimjoin.Options{Cache: c, Deadline: time.Minute, TTL: time.Hour})
	defer r.Close()
	all := batch(0, keys)
	for from := 0; from < keys; from += batchRows {
		r.Read(context.Background(), all[from:min(from+batchRows, keys)])
	}
	rng := rand.New(rand.NewPCG(1, 2))
	z := rand.NewZipf(rng, 1.1, 1, uint64(keys-1))
	batches := make([][]dimjoin.Answer, 256)
	for i := range batches {
		for range batchRows {
			k := rng.IntN(keys)
			if zipf {
				k = int(z.Uint64())
			}
			batches[i] = append(batches[i], all[k])
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := processor()
	for i := range b.N {
		r.Read(context.Background(), batches[i%len(batches)])
	}
	used := processor() - before
	b.StopTimer()
	if s := r.Stats(); s.Served[dimjoin.ServedHit] != int64(b.N*batchRows) {
		b.Fatalf("%+v", s)
	}
	b.ReportMetric(float64(b.N)*batchRows/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/batchRows, "cpu-ns/row")
}

// processor is the time that the process has used of it.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
