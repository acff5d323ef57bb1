package experiments_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner/memory"
)

const future = `
experiment: future
sources:
  imps: {topic: imps, event_time: {field: ts}, fields: {id: string, ts: int}}
  clicks: {topic: clicks, event_time: {field: ts}, fields: {id: string, ts: int}}
join:
  main: imps
  key: id
  labels: {click: {source: clicks, within: 2h}}
output: {topic: {name: rows}, dead_letters: {topic: dead}}
`

// TestEventsFromTheFuture kills workers and takes their state away while the wall
// clock goes on past events that lie ahead of it: each is a row or a dead letter,
// once, however late what it was judged by is read again.
func TestEventsFromTheFuture(t *testing.T) {
	first, runs := uint64(1), uint64(60)
	if *seedFlag != 0 {
		first, runs = *seedFlag, 1
	}
	for seed := first; seed < first+runs; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			now := time.UnixMilli(1_700_000_000_000)
			b, n := newSimBroker(1), 400
			publish := func(from, to int) {
				for i := from; i < to; i++ {
					ahead := -time.Duration(rng.Int64N(int64(time.Minute)))
					if rng.IntN(10) == 0 {
						ahead = time.Duration(rng.Int64N(int64(3 * time.Hour)))
					}
					b.publish("imps", 0, fmt.Sprintf(`{"id":"%d","ts":%d}`, i, now.Add(ahead).UnixMilli()))
					b.publish("clicks", 0, fmt.Sprintf(`{"id":"%d","ts":%d}`, i, now.Add(ahead+time.Second).UnixMilli()))
				}
			}
			b.topic("imps")
			b.topic("clicks")
			states := &simStates{disks: map[string]*memory.Disk{}}
			plan := newPlan(t, parse(t, "future.yaml", future))
			var w *experiments.Worker
			for part := range 9 {
				if publish(n*part/9, n*(part+1)/9); rng.IntN(2) == 0 {
					now = now.Add(time.Duration(rng.Int64N(int64(2 * time.Hour))))
				}
				tr := newSimTransport(b, rng, []string{"imps", "clicks"})
				if part < 8 {
					tr.steps = 10 + rng.IntN(40)
				}
				var err error
				w, err = experiments.NewWorker(plan.Pipelines[0], tr, states, "g", experiments.WorkerOptions{UntilEnd: part == 8, Partitions: 1, PollRecords: 1 + rng.IntN(60),
					CommitEvery: 3 * time.Second, ManifestEvery: 20 * time.Second, Parallel: 1, Now: func() time.Time { now = now.Add(time.Second); return now }, Go: func(job func()) { job() }})
				if err != nil {
					t.Fatal(err)
				}
				if err := w.Run(t.Context()); err != nil && !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
				if rng.IntN(2) == 0 {
					states.disks = map[string]*memory.Disk{}
				}
			}
			checkLedgers(t, []*experiments.Worker{w})
			seen := map[string]int{}
			for _, row := range rows(b, "rows") {
				seen[decode(t, row).ID]++
			}
			letters := 0
			for _, text := range rows(b, "dead") {
				var l struct{ Source, Reason, Raw string }
				var e struct{ ID string }
				if err := errors.Join(json.Unmarshal([]byte(text), &l), json.Unmarshal([]byte(l.Raw), &e)); err != nil || l.Reason != "bad_time" {
					t.Fatalf("%s: %v", text, err)
				}
				if letters++; l.Source == "imps" {
					seen[e.ID]++
				}
			}
			for i := range n {
				if got := seen[fmt.Sprint(i)]; got != 1 {
					t.Errorf("impression %d came out %d times", i, got)
				}
			}
			l := w.Status().Experiments[0].Ledger
			if want := l.Impressions.Dropped[mortise.ReasonBadTime] + l.Labels.Dropped[mortise.ReasonBadTime]; int64(letters) != want || letters == 0 {
				t.Errorf("%d dead letters, %d on the account", letters, want)
			}
		})
	}
}
