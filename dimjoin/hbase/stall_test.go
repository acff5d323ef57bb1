package hbase_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tsuna/gohbase"
	"github.com/tsuna/gohbase/hrpc"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/ab"
	"github.com/mortise-dev/mortise/dimjoin/hbase"
	"github.com/mortise-dev/mortise/internal/hbasetest"
)

var (
	stallPhase = flag.Duration("stall", 3*time.Second, "how long TestStalledCluster goes on before and in the stall, once traffic has moved")
	plotFlag   = flag.String("plot", "", "write how the shares went in TestStalledCluster to this file, as SVG")
)

// TestStalledCluster reads 100 times a second from two HBase clusters, of which A
// freezes for a while. Traffic moves to B, and back once A is well; no read fails.
// The plot in the documentation is its work:
//
//	go test ./dimjoin/hbase -run TestStalledCluster -v -stall 8s -plot "$PWD/docs/shares.svg"
func TestStalledCluster(t *testing.T) {
	var servers [2]*hbasetest.Server
	var sides [2]dimjoin.Table
	def := itemDef()
	for i := range servers {
		servers[i] = hbasetest.Start(t)
		t.Cleanup(servers[i].Kill)
		def.Store = dimjoin.Store{Kind: "hbase", HBase: dimjoin.HBase{ZK: servers[i].ZK, Table: "items"}}
		create := hrpc.NewCreateTable(context.Background(), []byte("items"), map[string]map[string]string{hbase.DefaultFamily: nil})
		if err := gohbase.NewAdminClient(servers[i].ZK).CreateTable(create); err != nil {
			t.Fatal(err)
		}
		own := def
		table, err := hbase.Open(context.Background(), &own, hbase.Options{})
		if err != nil {
			t.Fatal(err)
		}
		fillItems(t, table)
		sides[i] = table
	}
	both := ab.New(sides[0], sides[1], ab.Options{})
	defer both.Close()
	s := &stall{both: both, began: time.Now()}

	await := func(what string, longest time.Duration, reached func(shareA float64) bool) {
		t.Helper()
		for began := time.Now(); !reached(both.Stats().ShareA); {
			if time.Since(began) > longest {
				t.Fatalf("%s not within %v: %+v", what, longest, both.Stats())
			}
			s.read(t, 100*time.Millisecond)
		}
	}
	s.read(t, *stallPhase)
	s.past(t, "both well")
	before := both.Stats().LeftOut
	servers[0].Freeze(t)
	s.mark("A freezes")
	await("traffic has left A", 10*time.Second, func(a float64) bool { return a < 0.1 })
	s.read(t, *stallPhase)
	stalled, leftOut := s.past(t, "A is frozen"), both.Stats().LeftOut-before
	servers[0].Thaw(t)
	s.mark("A goes on")
	await("traffic has come back to A", 60*time.Second, func(a float64) bool { return a > 0.35 })
	s.read(t, *stallPhase/2)
	s.past(t, "A is back")
	s.reads.Wait()
	for _, err := range s.errs[:min(len(s.errs), 3)] {
		t.Error(err)
	}
	// A read in the stall waits for a hedge. Those that the budget had no hedge for wait
	// for the timeout of a request, which is a second; they are few, since traffic moves.
	slow := int64(0)
	for _, took := range stalled {
		if took > 700*time.Millisecond {
			slow++
		}
	}
	if slow > leftOut+2 || slow > int64(len(stalled)/20) {
		t.Errorf("%d of %d reads waited for A while it was frozen; %d had no hedge", slow, len(stalled), leftOut)
	}
	if *plotFlag != "" {
		if err := os.WriteFile(*plotFlag, []byte(s.plot()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

const stallItems = 2000

func fillItems(t *testing.T, table *hbase.Table) {
	t.Helper()
	w, err := table.Writer(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var rows []dimjoin.Record
	for i := range stallItems {
		rows = append(rows, dimjoin.Record{Key: fmt.Append(nil, "k", i), Row: mortise.Row{mortise.IntValue(int64(i)), mortise.StringValue("b")}})
	}
	if err := w.Write(context.Background(), rows); err != nil {
		t.Fatal(err)
	}
}

// stall is reads at a steady rate, and what came of them.
type stall struct {
	both  *ab.Table
	began time.Time
	next  int
	reads sync.WaitGroup
	marks []stallMark

	mu   sync.Mutex
	took []time.Duration
	errs []error
}

type stallMark struct {
	at   time.Duration
	what string
}

func (s *stall) mark(what string) { s.marks = append(s.marks, stallMark{time.Since(s.began), what}) }

// read begins a read of ten keys every 10 ms.
func (s *stall) read(t *testing.T, during time.Duration) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(during); time.Now().Before(end); <-tick.C {
		lookups := make([]dimjoin.Lookup, 10)
		for i := range lookups {
			s.next++
			lookups[i] = dimjoin.Lookup{Key: fmt.Append(nil, "k", s.next*7%stallItems), AsOfMS: dimjoin.Latest}
		}
		s.reads.Go(func() {
			began := time.Now()
			err := s.both.Read(context.Background(), lookups)
			for i := range lookups {
				if err == nil && lookups[i].Row == nil {
					err = fmt.Errorf("no row of %s", lookups[i].Key)
				}
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.took = append(s.took, time.Since(began)); err != nil {
				s.errs = append(s.errs, err)
			}
		})
	}
}

// past tells how long reads took since it was called last, and returns that, sorted.
func (s *stall) past(t *testing.T, phase string) []time.Duration {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.Sort(s.took)
	at := func(q float64) time.Duration {
		return s.took[int(q*float64(len(s.took)-1))].Round(10 * time.Microsecond)
	}
	st := s.both.Stats()
	t.Logf("%-12s %5d reads: p50 %v, p99 %v, p99.9 %v; then A has %.2f; hedges %d, copies %d", phase, len(s.took), at(.5), at(.99), at(.999), st.ShareA, st.Hedges, st.Copies)
	took := s.took
	s.took = nil
	return took
}

// plot draws A's share over time.
func (s *stall) plot() string {
	const width, height, left, top = 828.0, 180.0, 56.0, 34.0
	points := s.both.History()
	from := s.began.UnixMilli()
	end := points[len(points)-1].AtMS - from
	x := func(ms int64) float64 { return left + width*float64(ms)/float64(end) }
	y := func(share float64) float64 { return top + height*(1-share) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 252" role="img" aria-labelledby="title desc" font-family="-apple-system, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif" font-size="12">
<title id="title">The share of requests that cluster A is asked first</title>
<desc id="desc">It is one half, falls to 2 %% within seconds after A freezes, and rises to one half again after A goes on.</desc>
<rect width="900" height="252" fill="#ffffff"/>
`)
	for _, share := range []float64{0, .25, .5, .75, 1} {
		fmt.Fprintf(&b, `<line x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f" stroke="#d8dee4"/><text x="%.0f" y="%.1f" text-anchor="end" fill="#57606a">%.0f %%</text>`+"\n", left, left+width, y(share), y(share), left-6, y(share)+4, share*100)
	}
	for ms := int64(0); ms <= end; ms += 5000 {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.0f" text-anchor="middle" fill="#57606a">%d s</text>`+"\n", x(ms), top+height+18, ms/1000)
	}
	for _, m := range s.marks {
		fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%.0f" y2="%.0f" stroke="#bc4c00" stroke-dasharray="4 3"/><text x="%.1f" y="%.0f" fill="#bc4c00">%s</text>`+"\n", x(m.at.Milliseconds()), x(m.at.Milliseconds()), top, top+height, x(m.at.Milliseconds())+4, top-8, m.what)
	}
	b.WriteString(`<polyline fill="none" stroke="#0969da" stroke-width="2" points="`)
	for _, p := range points {
		if ms := p.AtMS - from; ms >= 0 {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(ms), y(p.ShareA))
		}
	}
	b.WriteString(`"/>` + "\n</svg>\n")
	return b.String()
}
