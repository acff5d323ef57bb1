package experiments_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/internal/provisioned"
	"github.com/mortise-dev/mortise/joiner/memory"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

var seedFlag = flag.Uint64("seed", 0, "run this one seed of the randomized tests")

// parse checks an experiment written in a test.
func parse(t testing.TB, name, text string) *spec.Experiment {
	t.Helper()
	e, diags := spec.Parse(name, []byte(text), spec.LoadOptions{})
	if e == nil {
		t.Fatal(diags.String())
	}
	return e
}

// hostile is an experiment over all four streams of the generated traffic.
const hostile = `
experiment: hostile
version: 1
sources:
  impressions:
    topic: imps
    format: json
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1h
    fields: {impression_id: string, request_id: string, ts: int, user_segment: string, item_id: string, position: int, propensity: float}
    where: position >= 1
  clicks:
    topic: clicks
    format: json
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1h
    fields: {click_id: string, impression_id: string, request_id: string, ts: int, dwell: int?}
  orders:
    topic: orders
    format: json
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1h
    fields: {order_id: string, impression_id: string, request_id: string, ts: int, amount: float}
  queries:
    topic: queries
    format: json
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1h
    fields: {query_id: string, request_id: string, ts: int}
join:
  main: impressions
  key: [request_id, impression_id]
  partition_by: request_id
  dedup: true
  labels:
    click: {source: clicks, within: 30m}
    order: {source: orders, within: 1h, value: amount}
    query: {source: queries, within: 1m, before: 10m, on: request_id}
instance:
  select: [user_segment, item_id, position, propensity]
output:
  topic: {name: out, format: json}
`

// world is generated input and what to expect of it.
type world struct {
	lines  [traffic.NumStreams][]string
	topics [traffic.NumStreams]string
}

func generate(t testing.TB, opts traffic.Options) *world {
	t.Helper()
	g, err := traffic.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{topics: [traffic.NumStreams]string{"imps", "clicks", "orders", "queries"}}
	var ev traffic.Event
	for g.Next(&ev) {
		w.lines[ev.Stream] = append(w.lines[ev.Stream], string(ev.Line))
	}
	return w
}

// broker publishes the world by the hash of partition_by's field, in the order
// of arrival; a line without one goes anywhere.
func (w *world) broker(partitions int, by string) *simBroker {
	b := newSimBroker(partitions)
	for s, lines := range w.lines {
		b.topic(w.topics[s])
		for i, line := range lines {
			var fields map[string]any
			p := i % partitions
			if json.Unmarshal([]byte(line), &fields) == nil {
				if key, ok := fields[by].(string); ok {
					p = experiments.PartitionOf([]byte(key), partitions)
				}
			}
			b.publish(w.topics[s], p, line)
		}
	}
	return b
}

// work runs a worker to the end of its input, restarting it whenever the
// simulation kills it: warm, or with its local state lost.
func work(t testing.TB, plan *experiments.Plan, b *simBroker, rng *rand.Rand, kills int) []*experiments.Worker {
	t.Helper()
	var workers []*experiments.Worker
	for i, p := range plan.Pipelines {
		states := &simStates{disks: map[string]*memory.Disk{}}
		var topics []string
		for _, in := range p.Sources {
			if !slices.Contains(topics, in.Topic) {
				topics = append(topics, in.Topic)
			}
		}
		for left := kills; ; left-- {
			tr := newSimTransport(b, rng, topics)
			if left > 0 {
				tr.steps = 1 + rng.IntN(60)
			}
			w, err := experiments.NewWorker(p, tr, states, fmt.Sprintf("group%d", i), experiments.WorkerOptions{
				UntilEnd: true, Partitions: b.partitions, PollRecords: 1 + rng.IntN(300), CloseRows: 1 + rng.IntN(300), PollWait: time.Nanosecond,
				CommitEvery: time.Duration(1 + rng.IntN(2_000_000)), ManifestEvery: time.Duration(1 + rng.IntN(5_000_000)),
				Now: func() time.Time { return time.Now().AddDate(4, 0, 0) }, Letters: func(string, []byte) error { return nil },
			})
			if err != nil {
				t.Fatal(err)
			}
			err = w.Run(context.Background())
			if err == nil {
				workers = append(workers, w)
				break
			}
			if !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			if rng.IntN(3) == 0 {
				states.disks = map[string]*memory.Disk{}
			}
		}
	}
	return workers
}

func rows(b *simBroker, topic string) (all []string) {
	for _, o := range b.output[topic] {
		all = append(all, o.value)
	}
	slices.Sort(all)
	return all
}

func newPlan(t testing.TB, all ...*spec.Experiment) *experiments.Plan {
	t.Helper()
	plan, err := experiments.NewPlan(all)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// checkLedgers makes sure that every account adds up and nothing is left over.
func checkLedgers(t testing.TB, workers []*experiments.Worker) {
	t.Helper()
	for _, w := range workers {
		for _, e := range w.Status().Experiments {
			if err := e.Ledger.Check(); err != nil {
				t.Errorf("%s: %v", e.Name, err)
			}
			if e.Ledger.Impressions.Pending != 0 || e.Ledger.Labels.Pending != 0 {
				t.Errorf("%s: something is pending at the end: %+v", e.Name, e.Ledger)
			}
		}
	}
}

// TestHostileTrafficEqualsOracle runs traffic with disorder, duplicates, junk
// and odd ids through workers that are killed at random, over varied partitions
// and batch sizes, and expects the oracle's rows, byte for byte.
func TestHostileTrafficEqualsOracle(t *testing.T) {
	first, runs := uint64(1), uint64(12)
	if *seedFlag != 0 {
		first, runs = *seedFlag, 1
	}
	for seed := first; seed < first+runs; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			opts := traffic.Hostile()
			opts.Seed, opts.Impressions, opts.Rate = seed, 3000, 2
			opts.LateShare = 0 // what is late depends on the interleaving
			opts.JitterMS = min(opts.JitterMS, 1_800_000)
			w := generate(t, opts)
			e := parse(t, "hostile.yaml", hostile)
			want := oracle(t, e, w)
			b := w.broker(1+rng.IntN(5), "request_id")
			workers := work(t, newPlan(t, e), b, rng, rng.IntN(8))
			if got := rows(b, "out"); !slices.Equal(got, want.rows) {
				t.Fatalf("%d rows, want %d; first difference: %s; replay with -seed %d", len(got), len(want.rows), firstDifference(got, want.rows), seed)
			}
			checkLedgers(t, workers)
			l := workers[0].Status().Experiments[0].Ledger
			if got := l.Impressions.Dropped; got != want.dropped {
				t.Errorf("dropped %v, want %v", got, want.dropped)
			}
			if int(l.Impressions.In) != len(w.lines[traffic.Impressions]) || int(l.Instances) != len(want.rows) || int(l.Positives) != want.positives {
				t.Errorf("ledger %+v, want %d in, %d out, %d positive", l, len(w.lines[traffic.Impressions]), len(want.rows), want.positives)
			}
			if letters := len(b.output["dead-letters.hostile"]); letters != want.letters {
				t.Errorf("%d dead letters, want %d", letters, want.letters)
			}
		})
	}
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return "missing " + want[i]
		case i >= len(want):
			return "surplus " + got[i]
		case got[i] != want[i]:
			return "got\n" + got[i] + "\nwant\n" + want[i]
		}
	}
	return "none"
}

// openbandit is the experiment over the real logged data.
const openbandit = `
experiment: openbandit
version: 1
sources:
  impressions:
    topic: imps
    format: json
    event_time: {field: ts, unit: ms}
    fields: {impression_id: string, ts: int, user_segment: string, item_id: string, campaign: string, policy: string, position: int, propensity: float, age: string, gender: string}
  clicks:
    topic: clicks
    format: json
    event_time: {field: ts, unit: ms}
    fields: {click_id: string, impression_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  labels:
    click: {source: clicks, within: 1h}
instance:
  select: [user_segment, item_id, campaign, policy, position, propensity, age, gender]
output:
  topic: {name: out, format: json}
`

// TestOpenBandit runs the real logged data, where it is at hand: figures that
// are known, and the same bytes over 1, 3 and 8 partitions.
func TestOpenBandit(t *testing.T) {
	dir := provisioned.Data(t, "openbandit")
	w := &world{topics: [traffic.NumStreams]string{"imps", "clicks", "orders", "queries"}}
	w.lines[traffic.Impressions] = readGzip(t, filepath.Join(dir, "impressions.jsonl.gz"))
	w.lines[traffic.Clicks] = readGzip(t, filepath.Join(dir, "clicks.jsonl.gz"))
	for _, c := range []struct {
		within    string
		positives int64
	}{{"1h", 207}, {"5m", 191}} {
		e := parse(t, "openbandit.yaml", strings.Replace(openbandit, "within: 1h", "within: "+c.within, 1))
		var first []string
		for _, partitions := range []int{1, 3, 8} {
			rng := rand.New(rand.NewPCG(uint64(partitions), 0))
			b := w.broker(partitions, "impression_id")
			workers := work(t, newPlan(t, e), b, rng, partitions)
			checkLedgers(t, workers)
			l := workers[0].Status().Experiments[0].Ledger
			if l.Instances != 40_000 || l.Positives != c.positives {
				t.Errorf("%s, %d partitions: %d instances, %d positive; want 40000 and %d", c.within, partitions, l.Instances, l.Positives, c.positives)
			}
			got := rows(b, "out")
			if first == nil {
				first = got
			}
			if !slices.Equal(got, first) {
				t.Errorf("%s: %d partitions give other rows than 1: %s", c.within, partitions, firstDifference(got, first))
			}
		}
	}
}

func readGzip(t testing.TB, path string) (lines []string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(z)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	return lines
}

// instance is what tests look at in a row.
type instance struct {
	ID       string `json:"instance_id"`
	Revision int    `json:"revision"`
	Final    bool   `json:"final"`
	Late     bool   `json:"late"`
}

func decode(t testing.TB, row string) (in instance) {
	t.Helper()
	if err := json.Unmarshal([]byte(row), &in); err != nil {
		t.Fatalf("%s: %v", row, err)
	}
	return in
}

func itoa(n int) string { return fmt.Sprint(n) }
