package traffic

import (
	"fmt"
	"testing"
)

func BenchmarkNext(b *testing.B) {
	for _, c := range []struct {
		name    string
		rate    float64
		payload int
	}{{"plain", 1000, 0}, {"1KB", 1000, 1024}, {"1KB-150k/s", 150_000, 1024}} {
		b.Run(c.name, func(b *testing.B) {
			opts := Realistic()
			opts.Rate, opts.PayloadBytes, opts.Impressions = c.rate, c.payload, maxImpressions>>12
			g := newGenerator(b, opts)
			var e Event
			var bytes int64
			b.ReportAllocs()
			for b.Loop() {
				g.Next(&e)
				bytes += int64(len(e.Line))
			}
			b.SetBytes(bytes / int64(b.N))
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(len(g.queue.near)+len(g.queue.far)), "in-flight")
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				newGenerator(b, Options{Items: n, Users: n})
			}
		})
	}
}
