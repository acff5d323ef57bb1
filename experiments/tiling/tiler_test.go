package tiling_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/memory"
)

var seedFlag = flag.Uint64("seed", 0, "run this seed alone")

func seeds(n uint64) (all []uint64) {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	for seed := uint64(1); seed <= n; seed++ {
		all = append(all, seed)
	}
	return all
}

// flakyStore fails commits: some before they happen, some after.
type flakyStore struct {
	features.Store
	mu    sync.Mutex // of rnd: sources commit beside one another
	rnd   *rand.Rand
	every int
}

var errFlaky = errors.New("the store failed")

func (s *flakyStore) Commit(ctx context.Context, c *features.Commit) error {
	s.mu.Lock()
	fails := s.every > 0 && s.rnd.IntN(s.every) == 0
	before := fails && s.rnd.IntN(2) == 0
	s.mu.Unlock()
	if before {
		return errFlaky
	}
	if err := s.Store.Commit(ctx, c); err != nil {
		return err
	}
	if fails {
		return errFlaky
	}
	return nil
}

func options(rnd *rand.Rand) tiling.Options {
	clock := time.UnixMilli(nowMS)
	return tiling.Options{UntilEnd: true, PollRecords: 1 + rnd.IntN(90), MaxBytes: 2000 << rnd.IntN(6), MaxAhead: time.Minute << rnd.IntN(9),
		CommitEvery: time.Duration(rnd.IntN(20)) * time.Millisecond, Now: func() time.Time {
			clock = clock.Add(time.Duration(rnd.IntN(10)) * time.Millisecond)
			return clock
		}}
}

// tile runs tilers one after the other, each until it dies, up to the end.
func tile(t testing.TB, p *experiments.Plan, store features.Store, topics map[string][][]mortise.Record, rnd *rand.Rand, deaths int) []*tiling.Generation {
	t.Helper()
	for try := 0; ; try++ {
		gens := generations(t, store, p)
		lives := -1
		flaky := &flakyStore{Store: store, rnd: rnd}
		if try < deaths {
			lives, flaky.every = 1+rnd.IntN(60), 10
		}
		err := tiling.New(newLog(topics, rnd, lives), flaky, gens, options(rnd)).Run(context.Background())
		if err == nil {
			return gens
		}
		if !errors.Is(err, errDied) && !errors.Is(err, errFlaky) {
			t.Fatal(err)
		}
	}
}

// TestTilerEqualsOracle has tilers die at random, with their commits known or not,
// over topics whose partitions nothing orders, and expects the oracle's rows.
func TestTilerEqualsOracle(t *testing.T) {
	for _, seed := range seeds(20) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 5))
			w, p, store := newWorld(seed, 150), plan(t, experiment), memory.New()
			gens := tile(t, p, store, publish(w, 1+rnd.IntN(5), rnd), rnd, rnd.IntN(6))
			w.run(t, p, store, gens)
		})
	}
}

// TestFeatureAddedLater begins with some features, and adds others when the log
// has been read: they reach as far back, and the first ones are left alone.
func TestFeatureAddedLater(t *testing.T) {
	for _, seed := range seeds(10) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 6))
			w, store := newWorld(seed, 120), memory.New()
			full := plan(t, experiment)
			little := plan(t, strings.NewReplacer("  user_last: {source: clicks, entity: user, agg: \"last_n(item_id, 3)\", window: 1d, tile: 1m}\n", "",
				"  pair_spend: {source: clicks, entity: [user, item_id], agg: sum(price), where: dear, window: 2h, tile: 5m}\n", "",
				"user_last, pair_spend, ", "").Replace(experiment))
			topics := publish(w, 3, rnd)
			if gens := tile(t, little, store, topics, rnd, rnd.IntN(3)); len(gens) != 1 {
				t.Fatalf("%d generations at first", len(gens))
			}
			before := positions(t, store)
			gens := tile(t, full, store, topics, rnd, rnd.IntN(3))
			if len(gens) != 2 || len(gens[0].Features) != 2 || len(gens[1].Features) != 2 {
				t.Fatalf("generations %+v", gens)
			}
			after := positions(t, store)
			for task, at := range before {
				if after[task].Next() != at.Next() {
					t.Errorf("task %s was at %v and is at %v", task, at, after[task])
				}
			}
			w.run(t, full, store, gens)
		})
	}
}

type place struct{ p *features.Position }

// Next is the latest event time that was added, which grows with what is read again.
func (p place) Next() int64 { return p.p.LatestMS }

func positions(t testing.TB, store features.Store) map[string]place {
	t.Helper()
	all, err := store.Positions(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]place{}
	for task, text := range all {
		p, err := features.ParsePosition(text)
		if err != nil {
			t.Fatal(err)
		}
		out[task] = place{p}
	}
	return out
}

// TestFeatureLeftOutAndBack leaves a feature out while the log goes on: it begins
// anew when it is back, for what came meanwhile is not in its tiles.
func TestFeatureLeftOutAndBack(t *testing.T) {
	const seed = 4
	rnd := rand.New(rand.NewPCG(seed, 7))
	w, store := newWorld(seed, 150), memory.New()
	full, without := plan(t, experiment), plan(t, strings.NewReplacer("  pair_spend: {source: clicks, entity: [user, item_id], agg: sum(price), where: dear, window: 2h, tile: 5m}\n", "",
		"pair_spend, ", "").Replace(experiment))
	topics := publish(w, 2, rnd)
	part := map[string][][]mortise.Record{}
	for topic, logs := range topics {
		for _, log := range logs {
			part[topic] = append(part[topic], log[:len(log)/2])
		}
	}
	tile(t, full, store, part, rnd, 0)
	tile(t, without, store, topics, rnd, 0)
	gens := tile(t, full, store, topics, rnd, 0)
	if len(gens) != 2 {
		t.Errorf("%d generations", len(gens))
	}
	w.run(t, full, store, gens)
}

// TestTruncatedLog says from when on features hold when the log has lost its beginning.
func TestTruncatedLog(t *testing.T) {
	const seed = 9
	rnd := rand.New(rand.NewPCG(seed, 8))
	w, p, store := newWorld(seed, 200), plan(t, experiment), memory.New()
	topics := publish(w, 2, rnd)
	log := newLog(topics, rnd, -1)
	cut := experiments.TopicPartition{Topic: "c", Partition: 1}
	log.first[cut] = int64(len(topics["c"][1]) / 2)
	firstMS := recordTime(t, topics["c"][1][log.first[cut]])
	gens := generations(t, store, p)
	if err := tiling.New(log, store, gens, options(rnd)).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i, f := range gens[0].Features {
		r, err := features.OpenReader(context.Background(), gens[0].Set, store, features.ReaderOptions{Tasks: gens[0].Tasks()})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Refresh(context.Background()); err != nil {
			t.Fatal(err)
		}
		got := r.CompleteFrom()[i]
		if f.Source.Name == "imps" && got != math.MinInt64 {
			t.Errorf("%s is complete from %d, want always", f.Definition.Name, got)
		}
		if want := firstMS + 10_000 + f.Definition.Window.Milliseconds(); f.Source.Name == "clicks" && (got < want || got >= want+f.Definition.Tile.Milliseconds()) {
			t.Errorf("%s is complete from %d, want the first tile from %d on", f.Definition.Name, got, want)
		}
	}
	// The next one finds that more is gone than it has read.
	behind := newLog(topics, rnd, -1)
	more := map[string][][]mortise.Record{"i": topics["i"], "c": {topics["c"][0], append(slices.Clone(topics["c"][1]), topics["c"][1]...)}}
	behind.topics, behind.first[cut] = more, int64(len(topics["c"][1])+1)
	var gap *experiments.GapError
	if err := tiling.New(behind, store, generations(t, store, p), options(rnd)).Run(context.Background()); !errors.As(err, &gap) {
		t.Errorf("got %v, want a gap", err)
	}
	opts := options(rnd)
	opts.AcceptGap = true
	if err := tiling.New(behind, store, generations(t, store, p), opts).Run(context.Background()); err != nil {
		t.Errorf("a gap that is accepted: %v", err)
	}
}

func recordTime(t testing.TB, rec mortise.Record) int64 {
	t.Helper()
	var ms int64
	if _, err := fmt.Sscanf(string(rec.Value[bytes.Index(rec.Value, []byte(`"ts":`))+5:]), "%d", &ms); err != nil {
		t.Fatal(err)
	}
	return ms
}

// TestFinalFollowsTheLeast reads one source ahead of the other and sees that rows
// wait for both.
func TestFinalFollowsTheLeast(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	w, p, store := newWorld(1, 100), plan(t, experiment), memory.New()
	gens := generations(t, store, p)
	topics := publish(w, 1, rnd)
	topics["c"][0] = topics["c"][0][:10]
	e, err := tiling.NewEnrichment(context.Background(), store, gens, p.Pipelines[0])
	if err != nil {
		t.Fatal(err)
	}
	if e.FinalMS() != math.MinInt64 {
		t.Errorf("before anything: final up to %d", e.FinalMS())
	}
	ctx, cancel := context.WithCancel(context.Background())
	opts := options(rnd)
	opts.UntilEnd, opts.MaxAhead = false, 1000*time.Hour
	polls := 0
	opts.Committed = func() {
		if polls++; polls == 50 {
			cancel()
		}
	}
	opts.InputDone = make(chan struct{}) // nothing is idle
	if err := tiling.New(newLog(topics, rnd, -1), store, gens, opts).Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := e.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	if want := w.clicks[9].TimeMS - 10_000 + 1; e.FinalMS() != want {
		t.Errorf("final up to %d, want %d, the clicks' watermark", e.FinalMS(), want)
	}
}

// TestMoreAfterTheEnd runs to the end of half the input, and then of the rest:
// nothing counts as final in between that is not.
func TestMoreAfterTheEnd(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 2))
	w, p, store := newWorld(2, 200), plan(t, experiment), memory.New()
	half := &world{imps: w.imps[:len(w.imps)/2], clicks: w.clicks[:len(w.clicks)/2]}
	topics := publish(half, 1, rnd)
	tile(t, p, store, topics, rnd, 0)
	gens := generations(t, store, p)
	if err := tiling.Reopen(context.Background(), store, gens); err != nil {
		t.Fatal(err)
	}
	e, err := tiling.NewEnrichment(context.Background(), store, gens, p.Pipelines[0])
	if err != nil {
		t.Fatal(err)
	}
	last := half.imps[len(half.imps)-1].TimeMS // the last impression may be one that where leaves out
	if got := e.FinalMS(); got > last || got < last-spanMS/2 {
		t.Errorf("final up to %d, when the last event was of %d", got, last)
	}
	rest := publish(w, 1, rnd)
	tile(t, p, store, rest, rnd, 2)
	w.run(t, p, store, generations(t, store, p))
}
