package featurestest

import (
	"context"
	"flag"
	"math"
	"testing"

	"github.com/mortise-dev/mortise/features"
)

var sizeEntities = flag.Int("feature-entities", 1_000_000, "entities of the size benchmark of feature stores")

// BenchmarkSize measures what a store takes for each entity and feature, after a
// day in which an entity occurs ten times on average, how much memory the process
// had at most meanwhile, and how fast entities are read then, by the distribution of
// the events. size is what the store takes now, in bytes.
func BenchmarkSize(b *testing.B, open func(b *testing.B) (store features.Store, size func() int64)) {
	entities := *sizeEntities
	if testing.Short() {
		entities = 2_000
	}
	for _, c := range []struct {
		name string
		defs []features.Definition
		hot  bool
	}{{"counts", Counts(), false}, {"counts hot", Counts(), true}, {"mixed", Mixed(), false}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				events := 10 * entities
				forgetPeak()
				l := NewLoad(c.defs, entities, float64(events)/86_400_000, c.hot)
				store, size := open(b)
				before := size()
				w, err := features.OpenWriter(context.Background(), l.Set, store, features.WriterOptions{Task: "t", Slot: Slot, SinceMS: math.MinInt64})
				if err != nil {
					b.Fatal(err)
				}
				start := ProcessorTime()
				l.Add(b, w, events, 100_000)
				used := ProcessorTime() - start
				bytes, seen := float64(size()-before), l.distinct()
				b.ReportMetric(bytes/float64(seen), "B/entity")
				b.ReportMetric(bytes/float64(seen*len(c.defs)), "B/entity-feature")
				b.ReportMetric(bytes/float64(w.Stats().Tiles), "B/tile")
				b.ReportMetric(float64(seen), "entities")
				b.ReportMetric(float64(events)/used.Seconds(), "events/cpu-s")
				b.ReportMetric(readSome(b, l, store), "rows-read/cpu-s")
				if peak := peakMemory(); peak > 0 {
					b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
				}
			}
		})
	}
}

// readSome reads entities as of now, as impressions ask for them, and tells how
// many different ones a second of processor time.
func readSome(b *testing.B, l *Load, store features.Store) float64 {
	r, err := features.OpenReader(context.Background(), l.Set, store, features.ReaderOptions{Tasks: [][]string{{"t"}, {"t"}}, Unfinished: true})
	if err == nil {
		err = r.Refresh(context.Background())
	}
	start := ProcessorTime()
	for range 20 {
		if err == nil {
			err = r.Read(context.Background(), l.Lookups(nil, 1000, l.NowMS()))
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	return float64(r.Stats().Rows) / (ProcessorTime() - start).Seconds()
}

// distinct is how many items have occurred.
func (l *Load) distinct() (n int) {
	seen := make([]bool, l.entities)
	for at := 1; at <= l.at; at++ {
		if i := l.item(at); !seen[i] {
			seen[i] = true
			n++
		}
	}
	return n
}
