package experiments_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner/memory"
)

const quiet = `
experiment: quiet
sources:
  imps: {topic: imps, event_time: {field: ts}, fields: {id: string, ts: int}}
  clicks: {topic: clicks, event_time: {field: ts}, fields: {id: string, ts: int}}
join:
  main: imps
  key: id
  dedup: false
  labels: {click: {source: clicks, within: 1h}}
output: {topic: {name: rows}}
`

// TestEmptyPartitionsUnderAlignment reads six hours of history, of which alignment
// lets a quarter of an hour pass at a time, beside partitions that are empty, or
// silent since the beginning. Nothing may hang, however often the worker is killed
// and its state lost; when all is silent the last windows close.
func TestEmptyPartitionsUnderAlignment(t *testing.T) {
	first, runs := uint64(1), uint64(20)
	if *seedFlag != 0 {
		first, runs = *seedFlag, 1
	}
	for seed := first; seed < first+runs; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			const start, each = int64(1_700_000_000_000), 360
			rng := rand.New(rand.NewPCG(seed, 5))
			b := newSimBroker(3)
			b.topic("clicks") // partition 0: empty
			b.publish("clicks", 1, fmt.Sprintf(`{"id":"0","ts":%d}`, start))
			for i := range each {
				for p := range 2 { // partition 2 has clicks only
					b.publish("imps", p, fmt.Sprintf(`{"id":"%d","ts":%d}`, i, start+int64(i)*60_000))
				}
				b.publish("clicks", 2, fmt.Sprintf(`{"id":"%d","ts":%d}`, i, start+int64(i)*60_000))
			}
			states := &simStates{disks: map[string]*memory.Disk{}}
			now, polls, kills := time.UnixMilli(start).AddDate(1, 0, 0), 0, rng.IntN(6)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var w *experiments.Worker
			for ctx.Err() == nil {
				inner := newSimTransport(b, rng, []string{"imps", "clicks"})
				if kills > 0 {
					kills--
					inner.steps = 20 + rng.IntN(150)
				}
				tr := &pollTransport{inner, func() {
					now = now.Add(10 * time.Second)
					if polls++; polls > 20_000 {
						t.Errorf("it hangs: %d of %d rows; %+v", len(b.output["rows"]), 2*each, w.Status().Tasks)
						cancel()
					}
					if s := w.Status(); len(s.Experiments) > 0 {
						if l := s.Experiments[0].Ledger; l.Impressions.In == 2*each && l.Labels.In == each+1 && l.Impressions.Pending == 0 && l.Labels.Pending == 0 {
							cancel()
						}
					}
				}}
				var err error
				w, err = experiments.NewWorker(newPlan(t, parse(t, "quiet.yaml", quiet)).Pipelines[0], tr, states, "g", experiments.WorkerOptions{
					PollRecords: 1 + rng.IntN(40), CommitEvery: time.Minute, ManifestEvery: 3 * time.Minute, Parallel: 1, Now: func() time.Time { return now }, Go: func(job func()) { job() }})
				if err != nil {
					t.Fatal(err)
				}
				if err := w.Run(ctx); err != nil && !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
				if rng.IntN(3) == 0 {
					states.disks = map[string]*memory.Disk{}
				}
			}
			if got := len(b.output["rows"]); got != 2*each {
				t.Errorf("%d rows, want %d", got, 2*each)
			}
			checkLedgers(t, []*experiments.Worker{w})
		})
	}
}

// TestStatusNamesWhoHolds has one input lag behind the other and then the other
// way round: the status says which of them holds the watermark back.
func TestStatusNamesWhoHolds(t *testing.T) {
	const start = int64(1_700_000_000_000)
	b := newSimBroker(1)
	b.publish("imps", 0, fmt.Sprintf(`{"id":"a","ts":%d}`, start+600_000))
	b.publish("clicks", 0, fmt.Sprintf(`{"id":"a","ts":%d}`, start))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	now := time.UnixMilli(start).AddDate(1, 0, 0)
	var w *experiments.Worker
	polls := 0
	holding := func() string {
		s := w.Status()
		if len(s.Tasks) != 1 {
			return "nobody"
		}
		return s.Tasks[0].Holding
	}
	tr := &pollTransport{newSimTransport(b, rand.New(rand.NewPCG(1, 1)), []string{"imps", "clicks"}), func() {
		switch polls++; polls {
		case 40:
			if got := holding(); got != "clicks" {
				t.Errorf("held by %q, want clicks", got)
			}
			b.publish("clicks", 0, fmt.Sprintf(`{"id":"a","ts":%d}`, start+1_200_000))
		case 80:
			if got := holding(); got != "imps" {
				t.Errorf("held by %q, want imps", got)
			}
			now = now.Add(time.Hour) // both are silent
		case 81:
			now = now.Add(time.Hour)
		case 82:
			if got := holding(); got != "" {
				t.Errorf("held by %q though all is silent", got)
			}
			cancel()
		}
	}}
	w, err := experiments.NewWorker(newPlan(t, parse(t, "quiet.yaml", quiet)).Pipelines[0], tr, &simStates{disks: map[string]*memory.Disk{}}, "g",
		experiments.WorkerOptions{PollRecords: 10, Parallel: 1, Now: func() time.Time { return now }, Go: func(job func()) { job() }})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
}

// startTransport notes where tasks begin to read.
type startTransport struct {
	*simTransport
	started map[experiments.TopicPartition]int64
}

func (s *startTransport) Start(at map[experiments.TopicPartition]int64) error {
	for tp, offset := range at {
		s.started[tp] = offset
	}
	return s.simTransport.Start(at)
}

// TestCrashKeepsTheState kills a worker at commits: the next one begins where
// local state was committed last, not where the oldest of what is held lies.
func TestCrashKeepsTheState(t *testing.T) {
	const start, records = int64(1_700_000_000_000), 5000
	for _, unsure := range []bool{false, true} {
		b := newSimBroker(1)
		for i := range records { // all of it is held
			b.publish("imps", 0, fmt.Sprintf(`{"id":"%d","ts":%d}`, i, start+int64(i)))
			b.publish("clicks", 0, fmt.Sprintf(`{"id":"%d","ts":%d}`, i, start+int64(i)))
		}
		states := &simStates{disks: map[string]*memory.Disk{}}
		now := time.UnixMilli(start).AddDate(1, 0, 0)
		run := func(steps int) (map[experiments.TopicPartition]int64, error) {
			tr := &startTransport{newSimTransport(b, rand.New(rand.NewPCG(2, 2)), []string{"imps", "clicks"}), map[experiments.TopicPartition]int64{}}
			tr.steps, tr.unsure = steps, unsure
			w, err := experiments.NewWorker(newPlan(t, parse(t, "quiet.yaml", quiet)).Pipelines[0], tr, states, "g", experiments.WorkerOptions{
				PollRecords: 50, CommitEvery: time.Second, ManifestEvery: 5 * time.Second, Parallel: 1, Now: func() time.Time { now = now.Add(300 * time.Millisecond); return now }, Go: func(job func()) { job() }})
			if err != nil {
				t.Fatal(err)
			}
			return tr.started, w.Run(t.Context())
		}
		if _, err := run(150); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		committed := b.committed[experiments.TopicPartition{Topic: "imps"}].Next
		started, err := run(3)
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		if from := started[experiments.TopicPartition{Topic: "imps"}]; from == 0 || from > committed || committed-from > 600 || committed < records/3 {
			t.Errorf("after %d committed records reading begins at %d", committed, from)
		}
	}
}
