package experiments_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mortise-dev/mortise/experiments/simulation"
)

var (
	seedsFlag = flag.Int("seeds", 60, "how many seeds the simulation runs")
	traceFlag = flag.Bool("trace", false, "print what happens in the simulation of -seed")
)

// TestSimulation runs whole workers over a broker, a group, disks and a clock
// that are simulated, each seed in another world and with other troubles, and
// holds what is committed against the oracle.
func TestSimulation(t *testing.T) {
	if *seedFlag != 0 {
		simulate(t, *seedFlag)
		return
	}
	const shards = 2
	var mu sync.Mutex
	var total simCounts
	t.Run("seeds", func(t *testing.T) {
		for shard := range shards {
			t.Run(fmt.Sprint("shard=", shard), func(t *testing.T) {
				t.Parallel()
				for seed := 1 + shard; seed <= *seedsFlag; seed += shards {
					t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
						_, counts := simulate(t, uint64(seed))
						mu.Lock()
						defer mu.Unlock()
						total.add(&counts)
					})
				}
			})
		}
	})
	t.Logf("%+v", total)
	if err := total.check(); err != nil && *seedsFlag >= 50 {
		t.Error(err)
	}
}

// simulate runs one seed and returns what it went through.
func simulate(t *testing.T, seed uint64) (hash uint64, counts simCounts) {
	rng := rand.New(rand.NewPCG(seed, 1))
	world := newSimWorld(t, drawKind(rng))
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("seed %d: %v", seed, p)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		s := simulation.NewSchedule(seed, synctest.Wait)
		plan := drawPlan(rng, world.kind)
		var trace simTrace
		if *traceFlag {
			s.Trace = trace.add
			s.Tracef("%+v\n%+v", world.kind, plan)
		}
		r := &simRun{world: world, schedule: s, plan: plan, broker: s.NewBroker(plan.broker), check: newSimCheck(world, int(plan.broker.Partitions)),
			published: make(chan struct{}), troubles: plan.troubles}
		r.check.calm = !world.kind.live && plan.workers == 1 && plan.troubles == 0 && plan.broker.FaultEvery == 0
		r.check.end = r.broker.EndOf
		r.broker.OnCommit = func(c *simulation.Committed) {
			r.counts.commits++
			r.check.committed(c)
		}
		err := r.run()
		if err == nil {
			err = r.audit()
		}
		r.counts.parked, r.counts.amended = r.check.parkings, r.check.amendings
		r.stopAll()
		r.report(t, seed, err)
		if trace.lines.Len() > 0 {
			t.Log(trace.lines.String())
		}
		hash, counts = s.Hash(), r.counts
	})
	return hash, counts
}

// simTrace collects what happens.
type simTrace struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (t *simTrace) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines.WriteString(line + "\n")
}

// TestSimulationRepeats runs seeds twice.
func TestSimulationRepeats(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		first, _ := simulate(t, seed)
		if again, _ := simulate(t, seed); again != first {
			t.Errorf("seed %d goes two ways: %x and %x", seed, first, again)
		}
	}
}
