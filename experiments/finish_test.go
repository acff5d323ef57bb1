package experiments_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner/memory"
)

const finishing = `
experiment: finishing
sources:
  imps: {topic: imps, event_time: {field: ts}, fields: {id: string, ts: int}}
  clicks: {topic: clicks, event_time: {field: ts}, fields: {id: string, ts: int}}
join:
  main: imps
  key: id
  labels: {click: {source: clicks, within: 1m}}
output: {topic: {name: rows}}
`

// busyTopics is a transport whose topics are written to just after it was asked
// where they end.
type busyTopics struct {
	*simTransport
	asked func()
}

func (b *busyTopics) Ends(ctx context.Context, parts []experiments.TopicPartition) (map[experiments.TopicPartition]int64, error) {
	ends, err := b.simTransport.Ends(ctx, parts)
	b.asked()
	return ends, err
}

// TestUntilEndLeavesTheRestAlone: what is written after a run has asked where its
// inputs end is the next run's, whose windows are still open.
func TestUntilEndLeavesTheRestAlone(t *testing.T) {
	b := newSimBroker(1)
	states := &simStates{disks: map[string]*memory.Disk{}}
	plan := newPlan(t, parse(t, "finishing.yaml", finishing))
	n := 0
	publish := func(topic string, records int) {
		for i := range records {
			b.publish(topic, 0, fmt.Sprintf(`{"id":"%d","ts":%d}`, n+i, 1_700_000_000_000+1000*int64(n+i)))
		}
	}
	publish("imps", 100)
	publish("clicks", 100)
	n = 100
	for run, want := range []int{100, 200} {
		written := 0
		tr := &busyTopics{newSimTransport(b, rand.New(rand.NewPCG(1, uint64(run))), []string{"imps", "clicks"}), func() {
			if written++; written == 1 && run == 0 {
				publish("imps", 100) // their clicks come later
			}
		}}
		w, err := experiments.NewWorker(plan.Pipelines[0], tr, states, "g", experiments.WorkerOptions{UntilEnd: true, PollRecords: 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if run == 0 {
			publish("clicks", 100)
		}
		checkLedgers(t, []*experiments.Worker{w})
		if l := w.Status().Experiments[0].Ledger; int(l.Instances) != want || int(l.Positives) != want {
			t.Errorf("run %d: %d instances, %d of them positive, want %d", run, l.Instances, l.Positives, want)
		}
	}
}
