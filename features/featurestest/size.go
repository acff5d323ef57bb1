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
// day in which an entity occurs ten times on average. size is what the store takes
// now, in bytes.
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
				b.ReportMetric(float64(w.Bytes()), "writer-B")
				b.ReportMetric(float64(events)/used.Seconds(), "events/cpu-s")
			}
		})
	}
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
