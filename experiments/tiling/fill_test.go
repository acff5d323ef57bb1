package tiling_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features/memory"
)

// fill makes the tiles of a world, its events in a random order.
func fill(t testing.TB, w *world, p *experiments.Plan, rnd *rand.Rand) (*memory.Store, []*tiling.Generation) {
	t.Helper()
	store := memory.New()
	gens := generations(t, store, p)
	f, err := tiling.NewFiller(context.Background(), store, gens, 0, math.MinInt64, 4096, now)
	if err != nil {
		t.Fatal(err)
	}
	var records []mortise.Record
	for topic, lines := range map[string][]line{"i": w.imps, "c": w.clicks} {
		for i := range lines {
			records = append(records, mortise.Record{Topic: topic, Value: []byte(lines[i].text)})
		}
	}
	records = append(records, mortise.Record{Topic: "c", Value: []byte("{broken")})
	rnd.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	for i := range records {
		if err := f.Add(context.Background(), records[i].Topic, &records[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Finish(context.Background()); err != nil {
		t.Fatal(err)
	}
	return store, gens
}

func TestFilledFeaturesEqualOracle(t *testing.T) {
	const seed = 11
	w, p := newWorld(seed, 600), plan(t, experiment)
	store, gens := fill(t, w, p, rand.New(rand.NewPCG(seed, 1)))
	if rows := w.run(t, p, store, gens); len(rows) < 400 {
		t.Errorf("%d rows", len(rows))
	}
	if _, err := tiling.NewFiller(context.Background(), store, generations(t, store, p), 0, math.MinInt64, 0, now); err == nil {
		t.Error("a store that holds events was filled again: they would count twice")
	}
}
