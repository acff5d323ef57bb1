package tiling_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/memory"
)

// fakeGroup gives partitions of one topic to the members that run, and moves them
// about at random: also while their old owner still works, which then is a zombie.
type fakeGroup struct {
	*fakeLog
	topic string
	mine  []int32 // that are to be given
	given []int32
}

var _ experiments.Transport = (*fakeGroup)(nil)

func (g *fakeGroup) Assigned() (experiments.Assignment, error) {
	var a experiments.Assignment
	if slices.Equal(g.mine, g.given) {
		return a, nil
	}
	a.Gained = map[experiments.TopicPartition]experiments.CommittedOffset{}
	for _, p := range g.mine {
		if !slices.Contains(g.given, p) {
			a.Gained[experiments.TopicPartition{Topic: g.topic, Partition: p}] = experiments.CommittedOffset{Next: -1}
		}
	}
	for _, p := range g.given {
		if !slices.Contains(g.mine, p) {
			a.Revoked = append(a.Revoked, experiments.TopicPartition{Topic: g.topic, Partition: p})
		}
	}
	g.given = slices.Clone(g.mine)
	return a, nil
}

func (g *fakeGroup) Start(offsets map[experiments.TopicPartition]int64) error {
	for tp, at := range offsets {
		if at == experiments.OffsetEarliest {
			offsets[tp] = 0
		}
	}
	return g.fakeLog.Start(offsets)
}

func (g *fakeGroup) Release(parts []experiments.TopicPartition) error {
	g.Stop(parts)
	return nil
}

func (g *fakeGroup) Ends(_ context.Context, parts []experiments.TopicPartition) (map[experiments.TopicPartition]int64, error) {
	return g.fakeLog.Ends(context.Background())
}
func (g *fakeGroup) Produce(*experiments.Output) error { return errors.New("features produce nothing") }
func (g *fakeGroup) Commit(context.Context, map[experiments.TopicPartition]experiments.CommittedOffset) error {
	return nil
}
func (g *fakeGroup) Abort(context.Context) error {
	clear(g.next)
	g.given = nil
	return nil
}
func (g *fakeGroup) Close() error { return nil }

// TestSharedEqualsOracle has members die, give partitions up and work on as
// zombies over one store, and expects the oracle's rows.
func TestSharedEqualsOracle(t *testing.T) {
	for _, seed := range seeds(15) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 9))
			w, p, store := newWorld(seed, 120), plan(t, experiment), memory.New()
			partitions := 2 + rnd.IntN(3)
			topics := publish(w, partitions, rnd)
			for topic := range topics {
				shareOut(t, p, store, topics, topic, partitions, rnd)
			}
			gens := spread(t, store, p, partitions)
			w.run(t, p, store, gens)
		})
	}
}

func spread(t testing.TB, store features.Store, p *experiments.Plan, partitions int) []*tiling.Generation {
	t.Helper()
	gens := generations(t, store, p)
	for _, g := range gens {
		if err := g.Spread(context.Background(), store, partitions); err != nil {
			t.Fatal(err)
		}
	}
	return gens
}

// shareOut runs members over one topic, one step of one after the other, until
// every partition is final.
func shareOut(t *testing.T, p *experiments.Plan, store features.Store, topics map[string][][]mortise.Record, topic string, partitions int, rnd *rand.Rand) {
	t.Helper()
	all := make([]int32, partitions)
	for i := range all {
		all[i] = int32(i)
	}
	for round := 0; ; round++ {
		lives := 1 + rnd.IntN(40)
		mine := slices.DeleteFunc(slices.Clone(all), func(int32) bool { return rnd.IntN(3) == 0 })
		last := round >= 6
		if last {
			lives, mine = 1000, all
		}
		ctx, cancel := context.WithCancel(context.Background())
		g := &fakeGroup{fakeLog: newLog(topics, rnd, lives), topic: topic, mine: mine}
		opts := options(rnd)
		commits := 0
		opts.Committed = func() {
			if commits++; rnd.IntN(4) == 0 && !last {
				g.mine = slices.DeleteFunc(slices.Clone(all), func(int32) bool { return rnd.IntN(2) == 0 })
			}
			if done(t, store, p, topic, partitions) {
				cancel()
			}
		}
		flaky := &flakyStore{Store: store, rnd: rnd}
		if !last {
			flaky.every = 15
		}
		err := tiling.NewShared(g, flaky, spread(t, store, p, partitions), topic, opts).Run(ctx)
		cancel()
		if err == nil {
			return
		}
		if !errors.Is(err, errDied) && !errors.Is(err, errFlaky) || last {
			t.Fatal(err)
		}
	}
}

// done reports whether every task of the topic is final.
func done(t *testing.T, store features.Store, p *experiments.Plan, topic string, partitions int) bool {
	t.Helper()
	for _, g := range spread(t, store, p, partitions) {
		r, err := features.OpenReader(context.Background(), g.Set, store, features.ReaderOptions{Tasks: g.Tasks()})
		if err == nil {
			err = r.Refresh(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range g.Set.Sources {
			if g.Features[slices.IndexFunc(g.Features, func(f experiments.Feature) bool { return f.SourceID == s.Name })].Source.Topic == topic && r.FinalMS(i) < startMS*2 {
				return false
			}
		}
	}
	return true
}

// TestZombieOfAPartition has two members work on one partition: the store lets one
// of them commit, and each event counts once.
func TestZombieOfAPartition(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	w, p, store := newWorld(3, 150), plan(t, experiment), memory.New()
	topics := publish(w, 1, rnd)
	for _, topic := range []string{"i", "c"} {
		var second func()
		opts := options(rnd)
		opts.UntilEnd, opts.CommitEvery, opts.PollRecords = true, time.Nanosecond, 20
		commits := 0
		ctx, cancel := context.WithCancel(context.Background())
		opts.Committed = func() {
			if commits++; commits == 2 {
				second() // runs to the end while the first one stands still
			}
			if done(t, store, p, topic, 1) {
				cancel()
			}
		}
		second = func() {
			all, stop := context.WithCancel(context.Background())
			o := options(rnd)
			o.Committed = func() {
				if done(t, store, p, topic, 1) {
					stop()
				}
			}
			if err := tiling.NewShared(&fakeGroup{fakeLog: newLog(topics, rnd, -1), topic: topic, mine: []int32{0}}, store, spread(t, store, p, 1), topic, o).Run(all); err != nil {
				t.Error(err)
			}
		}
		if err := tiling.NewShared(&fakeGroup{fakeLog: newLog(topics, rnd, -1), topic: topic, mine: []int32{0}}, store, spread(t, store, p, 1), topic, opts).Run(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	w.run(t, p, store, spread(t, store, p, 1))
}
