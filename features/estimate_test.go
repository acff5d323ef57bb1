package features_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/memory"
)

// TestEstimateBytes compares the estimates with what an entity's tiles take.
func TestEstimateBytes(t *testing.T) {
	const day = 24 * time.Hour
	for _, agg := range []string{"count", "sum(qty)", "sum(price)", "stddev(price)", "max(price)", "last(brand)", "last_n(brand, 5)", "distinct(user)", "distinct(user, exact)", "topk(brand, 3)", "decayed_sum(price, 6h)"} {
		for _, window := range []time.Duration{day, 14 * day} {
			for _, perDay := range []float64{1, 20, 500} {
				name := fmt.Sprintf("%s over %s, %g a day", agg, window, perDay)
				defs := []features.Definition{featurestest.Define("f", "views", agg, "", window, time.Minute, "item"), featurestest.Define("n", "views", "count", "", time.Hour, time.Minute, "item")}
				set, err := features.Compile(defs, featurestest.Sources)
				if err != nil {
					t.Fatal(err)
				}
				w, err := features.OpenWriter(context.Background(), set, memory.New(), features.WriterOptions{Task: "t", Slot: featurestest.Slot, SinceMS: math.MinInt64})
				if err != nil {
					t.Fatal(err)
				}
				const entities = 20
				rnd := rand.New(rand.NewPCG(1, 1))
				for e := range entities {
					for range int(perDay * window.Hours() / 24) {
						row := make(mortise.Row, len(featurestest.Row))
						row[0] = mortise.StringValue(fmt.Sprintf("an-entity-%06d", e))
						row[featurestest.Row.Index("user")], row[featurestest.Row.Index("qty")] = mortise.IntValue(rnd.Int64N(1<<40)), mortise.IntValue(rnd.Int64N(100))
						row[featurestest.Row.Index("price")], row[featurestest.Row.Index("brand")] = mortise.FloatValue(float64(rnd.IntN(10_000))/100), mortise.StringValue(fmt.Sprintf("brand-%04d", rnd.IntN(10_000)))
						if err := w.Add(0, row, featurestest.Base+rnd.Int64N(window.Milliseconds())); err != nil {
							t.Fatal(err)
						}
					}
				}
				if err := w.Commit(context.Background(), nil, math.MaxInt64); err != nil {
					t.Fatal(err)
				}
				s := w.Stats()
				takes := float64(s.Bytes+s.Chunks*(features.KeyPrefixBytes+16)) / entities
				if estimate := float64(set.EstimateBytes(0, perDay)); estimate < takes/2 || estimate > takes*2 {
					t.Errorf("%s: estimated %.0f, an entity takes %.0f bytes", name, estimate, takes)
				}
			}
		}
	}
}
