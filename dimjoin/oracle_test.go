package dimjoin_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
)

var (
	worlds    = flag.Int("worlds", 60, "how many random worlds the oracle judges")
	worldSeed = flag.Uint64("seed", 0, "the seed of one world to judge; 0 judges -worlds of them")
)

// TestEveryAnswerIsExplained reads at random, from several goroutines, tables that
// change, fail, are slow and hang, and holds every answer against what the table
// has held and said.
func TestEveryAnswerIsExplained(t *testing.T) {
	n := *worlds
	if testing.Short() {
		n = min(n, 10)
	}
	base := uint64(time.Now().UnixNano())
	for i := range n {
		seed := base + uint64(i)
		if *worldSeed != 0 {
			seed = *worldSeed
		}
		var served [5]int
		synctest.Test(t, func(t *testing.T) { served = newTrial(seed).run(t) })
		if *worldSeed != 0 {
			t.Logf("served %v", served)
			return
		}
	}
}

// trial is one random world.
type trial struct {
	seed  uint64
	rng   *rand.Rand
	table *table
	def   *dimjoin.Definition
	opts  dimjoin.Options
	hang  chan struct{}
	calm  bool // no faults: then every answer is the truth

	mu    sync.Mutex
	reads []reading
}

// reading is one Read.
type reading struct {
	began, ended time.Time
	answers      []dimjoin.Answer
}

func newTrial(seed uint64) *trial {
	rng := rand.New(rand.NewPCG(seed, 7))
	asOf := []string{dimjoin.AsOfEventTime, dimjoin.AsOfEmission}[rng.IntN(2)]
	w := &trial{seed: seed, rng: rng, table: newTable(), def: define(asOf, dimjoin.MissingNull), hang: make(chan struct{}), calm: rng.IntN(3) == 0}
	w.table.history = asOf == dimjoin.AsOfEventTime
	ms := func(most int) time.Duration { return time.Duration(1+rng.IntN(most)) * time.Millisecond }
	w.opts = dimjoin.Options{TTL: ms(3000), NegativeTTL: ms(1000), StaleFor: ms(5000), Jitter: rng.Float64() * 0.5, RefreshAhead: rng.Float64() - 0.5,
		MaxBatch: 1 + rng.IntN(8), Concurrency: 1 + rng.IntN(4), MaxAbandoned: 1 + rng.IntN(6), Deadline: ms(300), Cache: newRows()}
	if rng.IntN(4) == 0 { // calls end while they wait for their turn
		w.opts.Deadline, w.opts.Concurrency = ms(20), 1
	}
	if w.calm {
		w.opts.Deadline, w.opts.Concurrency = time.Minute, 8
	}
	w.table.fault = w.fault
	return w
}

// fault is called under the table's mutex.
func (w *trial) fault(int) (f fault) {
	f.took = time.Duration(w.rng.IntN(20)) * time.Millisecond
	if w.calm {
		return f
	}
	switch w.rng.IntN(10) {
	case 0, 1:
		f.err = errDown
	case 2:
		f.took *= 30
	case 3:
		f.took, f.deaf = f.took*30, true
	case 4:
		if w.rng.IntN(10) == 0 {
			f.deaf, f.unless = true, w.hang
		}
	}
	return f
}

func (w *trial) run(t *testing.T) [5]int {
	r := dimjoin.NewReader(w.def, w.table, w.opts)
	var tasks sync.WaitGroup
	for task := range 4 {
		rng := rand.New(rand.NewPCG(w.seed, uint64(100+task)))
		tasks.Go(func() {
			for range 60 {
				pass(time.Duration(rng.IntN(200)) * time.Millisecond)
				w.read(t, r, rng)
			}
		})
	}
	tasks.Go(func() {
		rng := rand.New(rand.NewPCG(w.seed, 99))
		for i := range 150 {
			pass(time.Duration(1+rng.IntN(100)) * time.Millisecond)
			text := fmt.Sprint(i)
			if rng.IntN(5) == 0 {
				text = ""
			}
			w.table.set(fmt.Sprint("k", rng.IntN(8)), time.Now().UnixMilli(), text)
		}
	})
	tasks.Wait()
	close(w.hang)
	r.Close()
	pass(time.Minute) // for what is deaf
	if keys, slots := r.UnderWay(); keys != 0 || slots != 0 || r.Stats().Abandoned != 0 {
		t.Errorf("nothing is under way, and %d keys and %d slots are taken, %d calls missed", keys, slots, r.Stats().Abandoned)
	}
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	var served [5]int
	for i := range w.reads {
		for j := range w.reads[i].answers {
			served[w.reads[i].answers[j].Served]++
			w.judge(t, &w.reads[i], &w.reads[i].answers[j])
		}
		if t.Failed() {
			t.Fatalf("replay with -seed %d; options %+v; %+v", w.seed, w.opts, r.Stats())
		}
	}
	return served
}

func (w *trial) read(t *testing.T, r *dimjoin.Reader, rng *rand.Rand) {
	began := time.Now()
	var answers []dimjoin.Answer
	for range 1 + rng.IntN(30) {
		asOf := dimjoin.Latest
		if w.table.history {
			asOf = began.UnixMilli() - 1 - rng.Int64N(4000)
		}
		answers = append(answers, ask(fmt.Sprint("k", rng.IntN(10)), asOf))
	}
	r.Read(t.Context(), answers)
	ended := time.Now()
	if took := ended.Sub(began); took > w.opts.Deadline {
		t.Errorf("a read took %v", took)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads = append(w.reads, reading{began, ended, answers})
}

// judge finds the reason of an answer.
func (w *trial) judge(t *testing.T, rd *reading, a *dimjoin.Answer) {
	text := show(a)
	switch {
	case a.Served == dimjoin.ServedStore && !w.said(a, rd.began.Add(-w.opts.Deadline), rd.ended):
		t.Errorf("%s as of %d: %s is nothing that the table said", a.Key, a.AsOfMS, text)
	case a.Served == dimjoin.ServedHit && !w.said(a, rd.began.Add(-w.opts.TTL), rd.ended):
		t.Errorf("%s as of %d: %s was not said within the TTL", a.Key, a.AsOfMS, text)
	case a.Served == dimjoin.ServedStale && !w.said(a, rd.began.Add(-w.opts.TTL-w.opts.StaleFor), rd.ended):
		t.Errorf("%s as of %d: %s was not said for as long as stale rows are kept", a.Key, a.AsOfMS, text)
	case a.Absent && !w.said(a, rd.began.Add(-max(w.opts.NegativeTTL, w.opts.Deadline)), rd.ended):
		t.Errorf("%s as of %d: the table did not say that there is no row", a.Key, a.AsOfMS)
	case (a.Served == dimjoin.ServedStale || a.Served == dimjoin.ServedMissing && !a.Absent) && !w.failed(rd):
		t.Errorf("%s as of %d: %s although the table answered", a.Key, a.AsOfMS, text)
	}
	if w.table.history && (a.Served <= dimjoin.ServedStore || a.Absent) {
		truth := dimjoin.Lookup{Key: a.Key, AsOfMS: a.AsOfMS}
		w.table.answer(&truth, dimjoin.Latest-1)
		if (truth.Row == nil) != a.Absent || truth.Row != nil && string(truth.Row[0].Text()) != string(a.Row[0].Text()) {
			t.Errorf("%s as of %d: %s, and the truth is %v", a.Key, a.AsOfMS, text, truth.Row)
		}
	}
}

// said reports whether the table gave a's row in a request that was sent since from
// and ended until to, for a's time.
func (w *trial) said(a *dimjoin.Answer, from, to time.Time) bool {
	for _, q := range w.table.log {
		if q.err != nil || q.ended.IsZero() || q.sent.Before(from) || q.ended.After(to) {
			continue
		}
		for i := range q.lookups {
			l := &q.lookups[i]
			same := string(l.Key) == string(a.Key) && (l.Row == nil) == a.Absent && (l.Row == nil || &l.Row[0] == &a.Row[0])
			if same && (!w.table.history || l.FromMS <= a.AsOfMS && a.AsOfMS < l.ToMS) {
				return true
			}
		}
	}
	return false
}

// failed reports whether a request that rd may have waited for was faulty, or the
// store had more to do than the deadline lets wait for: so much that rd waited itself,
// or that one before it did, was given up and keeps others away until it returns.
func (w *trial) failed(rd *reading) bool {
	var busy time.Duration
	underWay := 0
	for _, q := range w.table.log {
		if q.sent.After(rd.ended) || !q.ended.IsZero() && q.ended.Before(rd.began.Add(-2*w.opts.Deadline)) {
			continue
		}
		if q.faulty && (q.ended.IsZero() || !q.ended.Before(rd.began)) {
			return true
		}
		busy += q.ended.Sub(q.sent)
		if q.ended.IsZero() || !q.ended.Before(rd.began) {
			underWay++
		}
	}
	return busy >= w.opts.Deadline || !w.calm && underWay >= w.opts.MaxAbandoned
}
