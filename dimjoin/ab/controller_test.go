package ab

import (
	"flag"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

var seed = flag.Uint64("seed", 0, "the seed of a random test; 0 draws one")

func drawn(t *testing.T) *rand.Rand {
	t.Helper()
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", s)
	return rand.New(rand.NewPCG(s, 8))
}

// step is one thing that a controller is told.
type step struct {
	at    time.Time
	side  Side
	took  time.Duration
	err   error
	hedge bool
}

// randomSteps is a random life of two clusters, whose latencies and failures change
// every few seconds.
func randomSteps(rng *rand.Rand, n int) (steps []step) {
	at := time.Unix(1_700_000_000, 0)
	var median [2]float64
	var failing [2]float64
	for i := range n {
		if i%500 == 0 {
			for s := range median {
				median[s] = float64(time.Millisecond) * math.Exp(3*rng.Float64())
				failing[s] = max(0, rng.Float64()-0.7)
			}
		}
		at = at.Add(time.Duration(rng.ExpFloat64() * float64(5*time.Millisecond)))
		st := step{at: at, side: Side(rng.IntN(2)), hedge: rng.IntN(4) == 0}
		st.took = time.Duration(median[st.side] * math.Exp(0.6*rng.NormFloat64()))
		if rng.Float64() < failing[st.side] {
			st.err = errDown
		}
		steps = append(steps, st)
	}
	return steps
}

// live tells a controller the steps, and returns the choices.
func live(c *Controller, steps []step) (choices []Choice, hedges int) {
	type ending struct {
		at time.Time
		step
		first Side
	}
	var under []ending
	for _, st := range steps {
		slices.SortFunc(under, func(a, b ending) int { return a.at.Compare(b.at) })
		for len(under) > 0 && under[0].at.Before(st.at) {
			c.Ended(under[0].first, under[0].step.at, under[0].at, under[0].err, false)
			under = under[1:]
		}
		choice := c.Choose(st.at)
		choices = append(choices, choice)
		c.Began(choice.First, st.at)
		under = append(under, ending{st.at.Add(st.took), st, choice.First})
		if choice.Copy {
			hedges++
		}
		if st.hedge && c.Hedge(choice.First.other()) {
			hedges++
		}
	}
	return choices, hedges
}

func TestEqualObservationsMakeEqualChoices(t *testing.T) {
	steps := randomSteps(drawn(t), 5000)
	a, b := NewController(Options{}, steps[0].at), NewController(Options{}, steps[0].at)
	ca, _ := live(a, steps)
	cb, _ := live(b, steps)
	if !reflect.DeepEqual(ca, cb) || !reflect.DeepEqual(a.History(), b.History()) {
		t.Error("two controllers that were told the same chose differently")
	}
	moved := false
	for _, p := range a.History() {
		moved = moved || p.ShareA != 0.5
	}
	if !moved {
		t.Error("the share did not move at all")
	}
}

func TestWhateverHappensBoundsHold(t *testing.T) {
	rng := drawn(t)
	for range 20 {
		o := Options{Share: 0.1 + 0.8*rng.Float64(), Floor: 0.05 * rng.Float64(), HedgeBudget: 0.3 * rng.Float64(), HedgeBurst: 1 + rng.IntN(20)}
		steps := randomSteps(rng, 3000)
		c := NewController(o, steps[0].at)
		choices, hedges := live(c, steps)
		o.EnsureDefaults()
		if most := o.HedgeBudget*float64(len(steps)) + float64(o.HedgeBurst); float64(hedges) > most {
			t.Errorf("%d requests in addition, of at most %.1f", hedges, most)
		}
		for _, p := range c.History() {
			if p.ShareA < o.Floor-1e-9 || p.ShareA > 1-o.Floor+1e-9 {
				t.Errorf("a share of %.3f with a floor of %.3f", p.ShareA, o.Floor)
			}
		}
		for _, choice := range choices {
			if choice.HedgeAfter < o.HedgeMin || choice.HedgeAfter > o.HedgeMax {
				t.Fatalf("hedged after %v", choice.HedgeAfter)
			}
		}
	}
}

func TestRequestsAreDividedExactly(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, share := range []float64{0.5, 0.25, 0.9} {
		c := NewController(Options{Share: share}, now)
		toA := 0
		for i := 1; i <= 1000; i++ {
			if c.Choose(now).First == A {
				toA++
			}
			if want := share * float64(i); math.Abs(float64(toA)-want) > 1 {
				t.Fatalf("of %d requests %d went to A with a share of %.2f", i, toA, share)
			}
		}
	}
}

func TestQuantilesAreThoseOfTheWindow(t *testing.T) {
	rng := drawn(t)
	type observed struct {
		at   time.Time
		took time.Duration
	}
	var w window
	var all []observed
	const width = 100 * time.Millisecond
	now := time.Unix(1_700_000_000, 0)
	for i := range 5000 {
		now = now.Add(time.Duration(rng.IntN(5)) * time.Millisecond)
		if rng.IntN(500) == 0 {
			now = now.Add(time.Duration(rng.IntN(2000)) * time.Millisecond)
		}
		w.advance(now, width)
		took := time.Duration(float64(time.Millisecond) * math.Exp(2*rng.NormFloat64()))
		w.add(took, false)
		all = append(all, observed{now, took})
		if i%50 > 0 {
			continue
		}
		oldest := now.Truncate(width).Add(-(sliceCount - 1) * width)
		var within []time.Duration
		for _, o := range all {
			if !o.at.Before(oldest) {
				within = append(within, max(o.took, shortest))
			}
		}
		slices.Sort(within)
		total := w.sum(sliceCount)
		if n := total.took.count(); n != len(within) {
			t.Fatalf("%d requests within the window, want %d", n, len(within))
		}
		for _, q := range []float64{0.5, 0.95, 1} {
			want := within[int(math.Ceil(q*float64(len(within))))-1]
			if got := total.took.quantile(q); float64(got) < 0.999*float64(want) || float64(got) > 1.2*float64(want) {
				t.Fatalf("the %.2f quantile is %v, want %v", q, got, want)
			}
		}
	}
}

func TestALongSleepIsNoWork(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	c := NewController(Options{}, now)
	c.Choose(now)
	c.Choose(now.Add(1000 * 24 * time.Hour))
	if n := len(c.History()); n == 0 || n > 700 {
		t.Errorf("%d points after a sleep", n)
	}
}

func TestOptionsThatMakeNoSenseAreNamed(t *testing.T) {
	for _, o := range []Options{{Share: 1}, {Floor: 0.5}, {Window: time.Microsecond}, {Alike: 0.5}, {HedgeBudget: 2}, {MaxPending: -1}, {Crowd: -1}} {
		if o.Validate() == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	if err := (&Options{}).Validate(); err != nil {
		t.Error(err)
	}
}

func BenchmarkController(b *testing.B) {
	now := time.Unix(1_700_000_000, 0)
	c := NewController(Options{}, now)
	b.ReportAllocs()
	for range b.N {
		choice := c.Choose(now)
		c.Began(choice.First, now)
		began := now
		now = now.Add(time.Millisecond)
		c.Ended(choice.First, began, now, nil, false)
	}
}

// TestASlowClusterIsWatched: a cluster that answers, but slowly, is left, and stays
// left for as long as it is slow, longer than observations count: copies show how it
// does. When it is well again it gets its share back.
func TestASlowClusterIsWatched(t *testing.T) {
	type request struct {
		side       Side
		began, end time.Time
	}
	start := time.Unix(1_700_000_000, 0)
	c := NewController(Options{}, start)
	var under []request
	copies, firsts := 0, 0 // of the slow cluster, once it is left
	for n := range 200 * 90 {
		now := start.Add(time.Duration(n) * 5 * time.Millisecond)
		since := now.Sub(start)
		slices.SortStableFunc(under, func(a, b request) int { return a.end.Compare(b.end) })
		for len(under) > 0 && !under[0].end.After(now) {
			c.Ended(under[0].side, under[0].began, under[0].end, nil, false)
			under = under[1:]
		}
		begin := func(s Side) {
			took := 3 * time.Millisecond
			if s == A && since > 5*time.Second && since < 60*time.Second {
				took = 300 * time.Millisecond
			}
			c.Began(s, now)
			under = append(under, request{s, now, now.Add(took)})
		}
		choice := c.Choose(now)
		begin(choice.First)
		if choice.Copy {
			begin(choice.First.other())
		}
		if since > 10*time.Second && since < 60*time.Second {
			if choice.Copy {
				copies++
			}
			if choice.First == A {
				firsts++
			}
		}
	}
	if firsts > 0 || copies < 100 {
		t.Errorf("while it was slow, a cluster was asked first %d times, and sent %d copies", firsts, copies)
	}
	history := c.History()
	if last := history[len(history)-1]; last.ShareA < 0.49 {
		t.Errorf("30 seconds after it was well again its share is %.2f", last.ShareA)
	}
}
