package experiments_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner/memory"
)

// TestFieldsMayChange changes what a row is made of while impressions are held:
// those that are held already come out with a field that nobody had asked for when
// they came, and with a label judged as the new file says.
func TestFieldsMayChange(t *testing.T) {
	const before = `
experiment: changing
sources:
  imps: {topic: imps, event_time: {field: ts}, fields: {id: string, ts: int}}
  clicks: {topic: clicks, event_time: {field: ts}, fields: {id: string, ts: int}}
join:
  main: imps
  key: id
  labels: {click: {source: clicks, within: 1h}}
output: {topic: {name: rows}}
`
	after := strings.NewReplacer("{field: ts}, fields: {id: string, ts: int}}\n  clicks", "{field: ts}, fields: {id: string, ts: int, place: string}, derive: {loud: upper(place)}}\n  clicks",
		"fields: {id: string, ts: int}}\njoin", "fields: {id: string, ts: int, dwell: int}}\njoin",
		"within: 1h}}", "within: 1h, where: dwell >= 5, value: dwell}}\ninstance: {select: [place, loud]}", "experiment: changing", "experiment: changing\nversion: 2").Replace(before)
	const start, n = int64(1_700_000_000_000), 40
	b := newSimBroker(1)
	for i := range n {
		b.publish("imps", 0, fmt.Sprintf(`{"id":"%d","ts":%d,"place":"p%d"}`, i, start+int64(i), i))
		b.publish("clicks", 0, fmt.Sprintf(`{"id":"%d","ts":%d,"dwell":%d}`, i, start+int64(i), i%10))
	}
	states := &simStates{disks: map[string]*memory.Disk{}}
	run := func(text string, steps int, untilEnd bool) *experiments.Worker {
		tr := newSimTransport(b, rand.New(rand.NewPCG(1, 9)), []string{"imps", "clicks"})
		tr.steps = steps
		w, err := experiments.NewWorker(newPlan(t, parse(t, "changing.yaml", text)).Pipelines[0], tr, states, "g",
			experiments.WorkerOptions{UntilEnd: untilEnd, CommitEvery: 1, ManifestEvery: 1, Parallel: 1})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Run(t.Context()); err != nil && (untilEnd || !errors.Is(err, errKilled)) {
			t.Fatal(err)
		}
		return w
	}
	run(before, 200, false)
	if c := b.committed[experiments.TopicPartition{Topic: "imps"}]; c.Next != n || len(b.output["rows"]) > 0 {
		t.Fatalf("committed up to %d, %d rows; want all held", c.Next, len(b.output["rows"]))
	}
	w := run(after, -1, true)
	checkLedgers(t, []*experiments.Worker{w})
	got := rows(b, "rows")
	if l := w.Status().Experiments[0].Ledger; len(got) != n || l.Positives != n/2 {
		t.Errorf("%d rows, %d positive", len(got), l.Positives)
	}
	for _, row := range got {
		id := decode(t, row).ID
		if !strings.Contains(row, fmt.Sprintf(`"place":"p%s","loud":"P%s"`, id, id)) {
			t.Errorf("impression %s came out as %s", id, row)
		}
	}
}
