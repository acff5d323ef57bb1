package ab

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

var plot = flag.String("plot", "", "a file to write the share over time to, as CSV")

// world runs a test in fake time over two clusters.
func world(t *testing.T, o Options, perSecond float64, f func(t *testing.T, a, b *cluster, table *Table, reads *traffic)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := newCluster("a", 1), newCluster("b", 2)
		table := New(a, b, o)
		reads := &traffic{table: table, rng: rand.New(rand.NewPCG(3, 4)), perSecond: perSecond}
		f(t, a, b, table, reads)
		reads.reads.Wait()
		if err := table.Close(); err != nil {
			t.Error(err)
		}
		<-time.After(time.Minute)
		for _, s := range table.Stats().Sides {
			if s.Gone != 0 || s.Pending != 0 {
				t.Errorf("everything has returned, and %+v", s)
			}
		}
	})
}

func TestTrafficLeavesAStallAndReturns(t *testing.T) {
	for _, c := range []struct {
		name string
		bad  state
	}{
		{"slow", state{median: 400 * time.Millisecond}},
		{"hanging", state{hang: make(chan struct{})}},
		{"failing", state{median: time.Millisecond, err: errDown}},
		{"failing late", state{median: 300 * time.Millisecond, err: errDown}},
	} {
		t.Run(c.name, func(t *testing.T) {
			world(t, Options{}, 300, func(t *testing.T, a, _ *cluster, table *Table, reads *traffic) {
				if c.bad.hang != nil {
					c.bad.hang = make(chan struct{}) // the bubble's
				}
				reads.run(t, 10*time.Second)
				if s := table.Stats(); s.ShareA != 0.5 {
					t.Errorf("clusters are alike, and A has %.2f", s.ShareA)
				}
				calm := reads.past(0.99)
				a.set(c.bad)
				reads.run(t, time.Second)
				onset := reads.past(0.99)
				if s := table.Stats(); s.ShareA > 0.05 {
					t.Errorf("after a second A still has %.2f", s.ShareA)
				}
				before := a.asked()
				reads.run(t, 20*time.Second)
				stalled, asked := reads.past(0.99), a.asked()-before
				if asked > 6000/30 {
					t.Errorf("A was asked %d times in 20 seconds", asked)
				}
				if c.bad.hang != nil {
					close(c.bad.hang)
				}
				a.set(healthy)
				reads.run(t, 12*time.Second)
				if s := table.Stats(); s.ShareA != 0.5 {
					t.Errorf("12 seconds after A is well again it has %.2f", s.ShareA)
				}
				back := reads.past(0.99)
				t.Logf("p99: calm %v, the stall's first second %v, the rest of it %v, after it %v", calm, onset, stalled, back)
				if worst := max(calm, onset, stalled, back); worst > 20*time.Millisecond {
					t.Errorf("p99 of %v", worst)
				}
				if len(reads.errs) > 0 {
					t.Errorf("%d reads failed, the first: %v", len(reads.errs), reads.errs[0])
				}
				s := table.Stats()
				extra := s.Hedges + s.Copies
				if all := s.Sides[A].Requests + s.Sides[B].Requests - s.Instead; float64(extra) > 0.1*float64(all)+20 {
					t.Errorf("%d requests in addition to %d", extra, all)
				}
				if c.name == "slow" {
					savePlot(t, table.History())
				}
			})
		})
	}
}

// savePlot writes the share over time where the flag says.
func savePlot(t *testing.T, points []Point) {
	if *plot == "" {
		return
	}
	var text strings.Builder
	text.WriteString("seconds,share_a,a_ms,b_ms\n")
	for _, p := range points {
		fmt.Fprintf(&text, "%.1f,%.3f,%.1f,%.1f\n", float64(p.AtMS-points[0].AtMS)/1000, p.ShareA, float64(p.TookUS[A])/1000, float64(p.TookUS[B])/1000)
	}
	if err := os.WriteFile(*plot, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTheShareMovesSmoothly(t *testing.T) {
	world(t, Options{}, 300, func(t *testing.T, a, _ *cluster, table *Table, reads *traffic) {
		for _, median := range []time.Duration{1500 * time.Microsecond, 6 * time.Millisecond, 40 * time.Millisecond, 1500 * time.Microsecond} {
			a.set(state{median: median})
			reads.run(t, 20*time.Second)
		}
		last := 0.5
		seen := map[string]bool{}
		for _, p := range table.History() {
			away, back := last-p.ShareA, p.ShareA-last
			if away > 0.2+1e-9 || back > 0.01+1e-9 || p.ShareA < 0.02-1e-9 || p.ShareA > 0.98+1e-9 {
				t.Fatalf("A's share goes from %.3f to %.3f in 100 ms", last, p.ShareA)
			}
			switch {
			case p.ShareA > 0.03 && p.ShareA < 0.3:
				seen["some"] = true
			case p.ShareA < 0.03:
				seen["floor"] = true
			}
			last = p.ShareA
		}
		if !seen["some"] || !seen["floor"] {
			t.Errorf("a cluster that is four times slower, and one that is 27 times slower, had %v", seen)
		}
	})
}

func TestBothClustersBad(t *testing.T) {
	world(t, Options{Timeout: 200 * time.Millisecond}, 50, func(t *testing.T, a, b *cluster, table *Table, reads *traffic) {
		a.set(state{err: errDown})
		b.set(state{median: 10 * time.Second})
		reads.run(t, 2*time.Second)
		reads.reads.Wait()
		if len(reads.errs) != len(reads.took) {
			t.Errorf("%d of %d reads failed", len(reads.errs), len(reads.took))
		}
		if err := reads.errs[0]; !errors.Is(err, errDown) || !strings.Contains(err.Error(), "b: it did not answer in time") {
			t.Error(err)
		}
		b.set(healthy)
		reads.errs = nil
		reads.run(t, 2*time.Second)
		reads.reads.Wait()
		if len(reads.errs) > 0 {
			t.Errorf("%d reads failed with one cluster well, the first: %v", len(reads.errs), reads.errs[0])
		}
	})
}

func TestAClusterThatNeverReturnsHoldsBoundedGoroutines(t *testing.T) {
	world(t, Options{Timeout: 100 * time.Millisecond, MaxPending: 8, HedgeBudget: 1, HedgeBurst: 100}, 300, func(t *testing.T, a, _ *cluster, table *Table, reads *traffic) {
		hang := make(chan struct{})
		defer close(hang)
		before := runtime.NumGoroutine()
		a.set(state{hang: hang})
		reads.run(t, 10*time.Second)
		reads.reads.Wait()
		<-time.After(time.Second)
		if n := runtime.NumGoroutine() - before; n > 8 || a.atMost() > 8 {
			t.Errorf("%d goroutines are left, %d requests were at A at once", n, a.atMost())
		}
		if s := table.Stats(); s.Sides[A].Gone != 8 || s.Sides[A].Refused == 0 || len(reads.errs) > 0 {
			t.Errorf("%+v, %d errors", s, len(reads.errs))
		}
	})
}

func TestAReadEndsWithItsContext(t *testing.T) {
	world(t, Options{}, 1, func(t *testing.T, a, b *cluster, table *Table, _ *traffic) {
		a.set(state{median: 500 * time.Millisecond})
		b.set(state{median: 500 * time.Millisecond})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		lookups := []dimjoin.Lookup{{Key: []byte("k"), AsOfMS: dimjoin.Latest}}
		began := time.Now()
		err := table.Read(ctx, lookups)
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != 5*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
		lookups[0].Key[0] = 'x' // the caller's again
		<-time.After(3 * time.Second)
		if lookups[0].Row != nil {
			t.Error("a read that had ended was answered")
		}
	})
}

func TestAClosedTableSaysSo(t *testing.T) {
	world(t, Options{}, 1, func(t *testing.T, _, _ *cluster, table *Table, _ *traffic) {
		if err := table.Close(); err != nil {
			t.Error(err)
		}
		if err := table.Read(t.Context(), []dimjoin.Lookup{{Key: []byte("k")}}); !errors.Is(err, errClosed) {
			t.Error(err)
		}
	})
}

// breaker is one that a test throws.
type breaker struct {
	open    atomic.Bool
	reports atomic.Int64
}

func (b *breaker) Allow() bool                 { return !b.open.Load() }
func (b *breaker) Report(time.Duration, error) { b.reports.Add(1) }

func (b *breaker) State() dimjoin.BreakerState {
	if b.open.Load() {
		return dimjoin.BreakerOpen
	}
	return dimjoin.BreakerClosed
}

func TestAnOpenBreakerMovesTheShare(t *testing.T) {
	br := &breaker{}
	br.open.Store(true)
	world(t, Options{Breakers: [2]dimjoin.Breaker{nil, br}}, 100, func(t *testing.T, _, b *cluster, table *Table, reads *traffic) {
		reads.run(t, 3*time.Second)
		s := table.Stats()
		if b.asked() != 0 || br.reports.Load() != 0 || s.ShareA != 0.98 || s.Sides[B].Breaker != dimjoin.BreakerOpen || len(reads.errs) > 0 {
			t.Errorf("%+v, asked %d times, %d reports", s, b.asked(), br.reports.Load())
		}
		br.open.Store(false)
		reads.run(t, 12*time.Second)
		reads.reads.Wait()
		<-time.After(time.Second)
		if s := table.Stats(); s.ShareA != 0.5 || br.reports.Load() != int64(b.asked()) || b.asked() == 0 {
			t.Errorf("%+v, asked %d times, %d reports", s, b.asked(), br.reports.Load())
		}
	})
}

// TestRowsOverTwoClusters has rows read as instances do: cache, Reader, two clusters
// of which one stalls. It is the row that must not wait.
func TestRowsOverTwoClusters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newCluster("a", 1), newCluster("b", 2)
		table := New(a, b, Options{})
		def := &dimjoin.Definition{Name: "item", Key: []string{"id"}, AsOf: dimjoin.AsOfEmission, Missing: dimjoin.MissingNull,
			Fields: mortise.Schema{{Name: "brand", Type: mortise.Type{Kind: mortise.String}}}}
		r := dimjoin.NewReader(def, table, dimjoin.Options{Cache: &rows{}})
		keys := rand.NewZipf(rand.New(rand.NewPCG(5, 6)), 1.3, 1, 20_000)
		phase := func(name string, d time.Duration, bound time.Duration) {
			before := r.Stats()
			var took []time.Duration
			for range d / (5 * time.Millisecond) {
				<-time.After(5 * time.Millisecond)
				for range 20 { // 4,000 rows a second
					answers := []dimjoin.Answer{{Key: fmt.Append(nil, keys.Uint64()), AsOfMS: dimjoin.Latest}}
					began := time.Now()
					r.Read(t.Context(), answers)
					took = append(took, time.Since(began))
					if answers[0].Served.Degraded() || string(answers[0].Row[0].Text()) != string(answers[0].Key) {
						t.Fatalf("%s was served as %v", answers[0].Key, answers[0].Served)
					}
				}
			}
			hits := r.Stats().Served[dimjoin.ServedHit] - before.Served[dimjoin.ServedHit]
			slices.Sort(took)
			p99 := took[len(took)*99/100]
			t.Logf("%s: %.2f%% of %d rows out of the cache; p50 %v, p99 %v, p99.9 %v", name, 100*float64(hits)/float64(len(took)), len(took), took[len(took)/2], p99, took[len(took)*999/1000])
			if p99 > bound {
				t.Errorf("%s: a row's p99 is %v", name, p99)
			}
		}
		phase("cold", 60*time.Second, 20*time.Millisecond)
		phase("warm", 20*time.Second, 2*time.Millisecond)
		a.set(state{median: 400 * time.Millisecond})
		phase("a stalls", 20*time.Second, 2*time.Millisecond)
		a.set(healthy)
		phase("a is back", 20*time.Second, 2*time.Millisecond)
		r.Close()
		table.Close()
		<-time.After(time.Minute)
	})
}

// rows is a cache without bounds.
type rows struct{ m sync.Map }

func (c *rows) Get(key []byte) *dimjoin.Entry {
	e, _ := c.m.Load(string(key))
	entry, _ := e.(*dimjoin.Entry)
	return entry
}

func (c *rows) Put(key string, e *dimjoin.Entry) { c.m.Store(key, e) }
func (c *rows) Bytes() int64                     { return 0 }
func (c *rows) Len() int                         { return 0 }
