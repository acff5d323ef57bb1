package cache

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
)

// far is a world behind a network: a request takes a while, however many keys it has.
type far struct {
	world
	takes    time.Duration
	requests atomic.Int64
	keys     atomic.Int64
}

func (f *far) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	f.requests.Add(1)
	f.keys.Add(int64(len(lookups)))
	if f.takes > 0 {
		<-time.After(f.takes)
	}
	return f.world.Read(ctx, lookups)
}

// BenchmarkMiss is rows that the cache does not have, from a store that takes 1 ms a
// request, 4,000 a batch: 4 requests of 1,000 at once.
func BenchmarkMiss(b *testing.B) {
	const rows = 4000
	store := &far{world: world{"toys"}, takes: time.Millisecond}
	c, err := New(64 << 20)
	if err != nil {
		b.Fatal(err)
	}
	r := dimjoin.NewReader(definition, store, dimjoin.Options{Cache: c, Deadline: time.Minute})
	defer r.Close()
	b.ReportAllocs()
	var used time.Duration
	for i := range b.N {
		b.StopTimer()
		answers := batch(i*rows, rows)
		before := processor()
		b.StartTimer()
		r.Read(context.Background(), answers)
		used += processor() - before
	}
	if s := r.Stats(); s.Served[dimjoin.ServedStore] != int64(b.N*rows) {
		b.Fatalf("%+v", s)
	}
	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/rows, "cpu-ns/row")
	b.ReportMetric(float64(store.requests.Load())/float64(b.N), "requests/batch")
}

// BenchmarkExperiments is batches that several experiments have the same dimension of,
// each asking for it by itself: keys that the store is asked for, and the time.
func BenchmarkExperiments(b *testing.B) {
	for _, experiments := range []int{1, 16} {
		b.Run(fmt.Sprint("experiments=", experiments), func(b *testing.B) {
			const impressions = 500
			store := &far{world: world{"toys"}}
			c, err := New(256 << 20)
			if err != nil {
				b.Fatal(err)
			}
			r := dimjoin.NewReader(definition, store, dimjoin.Options{Cache: c, Deadline: time.Minute, TTL: time.Hour})
			defer r.Close()
			all := batch(0, 100_000)
			rng := rand.New(rand.NewPCG(1, 2))
			z := rand.NewZipf(rng, 1.1, 1, uint64(len(all)-1))
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				answers := make([]dimjoin.Answer, 0, impressions*experiments)
				for range impressions {
					answers = append(answers, all[z.Uint64()])
				}
				for range experiments - 1 {
					answers = append(answers, answers[:impressions]...)
				}
				b.StartTimer()
				r.Read(context.Background(), answers)
			}
			b.ReportMetric(float64(store.keys.Load())/float64(b.N)/impressions, "store-keys/impression")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/impressions, "ns/impression")
		})
	}
}

// BenchmarkRowLatency is how long a row waits, of batches that come one after another,
// from a store that takes 1 ms. The cache has the 20,000 most frequent keys.
func BenchmarkRowLatency(b *testing.B) {
	for _, size := range []int{1, 100} {
		b.Run(fmt.Sprint("batch=", size), func(b *testing.B) {
			store := &far{world: world{"toys"}, takes: time.Millisecond}
			c, err := New(256 << 20)
			if err != nil {
				b.Fatal(err)
			}
			r := dimjoin.NewReader(definition, store, dimjoin.Options{Cache: c, Deadline: time.Minute, TTL: time.Hour})
			defer r.Close()
			all := batch(0, 100_000)
			r.Read(context.Background(), all[:20_000])
			z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.3, 1, uint64(len(all)-1))
			before := r.Stats()
			took := make([]time.Duration, b.N)
			answers := make([]dimjoin.Answer, size)
			b.ResetTimer()
			for n := range b.N {
				for i := range answers {
					answers[i] = all[z.Uint64()]
				}
				began := time.Now()
				r.Read(context.Background(), answers)
				took[n] = time.Since(began)
			}
			slices.Sort(took)
			hits := r.Stats().Served[dimjoin.ServedHit] - before.Served[dimjoin.ServedHit]
			b.ReportMetric(100*float64(hits)/float64(b.N)/float64(size), "%hits")
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
			b.ReportMetric(float64(took[(len(took)-1)*99/100].Nanoseconds())/1e3, "p99-µs")
		})
	}
}
