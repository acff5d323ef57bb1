package ab

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"
)

var chaosPhase = flag.Duration("chaos", 800*time.Millisecond, "how long each phase of the chaos test lasts; with 15s and more the options are the defaults")

// TestChaosInRealTime stalls, hangs, fails and heals one cluster after the other while
// reads go on, with real timers and goroutines. Its times depend on the machine, so
// its bound is loose; what they were, it logs.
func TestChaosInRealTime(t *testing.T) {
	o := Options{Window: time.Second, ReturnRate: 2}
	if *chaosPhase >= 15*time.Second {
		o = Options{}
	}
	a, b := newCluster("a", 1), newCluster("b", 2)
	table := New(a, b, o)
	reads := &traffic{table: table, rng: rand.New(rand.NewPCG(3, 4)), perSecond: 200}
	hang := make(chan struct{})
	const slow = 400 * time.Millisecond
	for _, phase := range []struct {
		name string
		a, b state
	}{
		{"both well", healthy, healthy},
		{"a slow", state{median: slow}, healthy},
		{"both well", healthy, healthy},
		{"b hangs", healthy, state{hang: hang}},
		{"a fails while b hangs no more", state{median: time.Millisecond, err: errDown}, healthy},
		{"both well", healthy, healthy},
	} {
		if phase.name[0] == 'a' && phase.a.err != nil {
			close(hang)
		}
		a.set(phase.a)
		b.set(phase.b)
		reads.run(t, *chaosPhase)
		share := table.Stats().ShareA
		reads.reads.Wait()
		ps := [3]time.Duration{}
		kept := append([]time.Duration(nil), reads.took...)
		late := 0
		for _, took := range kept {
			if took > slow/2 {
				late++
			}
		}
		for i, q := range []float64{0.5, 0.99, 0.999} {
			reads.took = append([]time.Duration(nil), kept...)
			ps[i] = reads.past(q)
		}
		t.Logf("%-30s %5d reads, p50 %v, p99 %v, p99.9 %v, then A has %.2f", phase.name, len(kept), ps[0], ps[1], ps[2], share)
		if late > len(kept)/20 {
			t.Errorf("%s: %d of %d reads waited for the bad cluster", phase.name, late, len(kept))
		}
		if phase.a.median == slow && share > 0.3 || phase.b.hang != nil && share < 0.7 {
			t.Errorf("%s: A has %.2f of the requests", phase.name, share)
		}
	}
	s := table.Stats()
	t.Logf("%+v", s.HedgeStats)
	if len(reads.errs) > 0 {
		t.Errorf("%d reads failed, the first: %v", len(reads.errs), reads.errs[0])
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
}
