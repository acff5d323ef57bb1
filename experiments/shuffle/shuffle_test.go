package shuffle_test

import (
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

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/offline"
	"github.com/mortise-dev/mortise/experiments/shuffle"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner/memory"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

var seedFlag = flag.Uint64("seed", 0, "run this one seed of the randomized tests")

// feed is an experiment over all four streams of the generated traffic.
const feed = `
experiment: feed
sources:
  impressions:
    topic: imps
    event_time: {field: ts}
    out_of_orderness: 1h
    fields: {impression_id: string, request_id: string, ts: int, user_segment: string, item_id: string, position: int, propensity: float}
    where: position >= 1
  clicks:
    topic: clicks
    event_time: {field: ts}
    out_of_orderness: 1h
    fields: {click_id: string, impression_id: string, request_id: string, ts: int, dwell: int?}
  orders:
    topic: orders
    event_time: {field: ts}
    out_of_orderness: 1h
    fields: {order_id: string, impression_id: string, request_id: string, ts: int, amount: float}
  queries:
    topic: queries
    event_time: {field: ts}
    out_of_orderness: 1h
    fields: {query_id: string, request_id: string, ts: int}
join:
  main: impressions
  key: [request_id, impression_id]
  partition_by: request_id
  labels:
    click: {source: clicks, within: 30m}
    order: {source: orders, within: 1h, value: amount}
    query: {source: queries, within: 1m, before: 10m, on: request_id}
instance:
  select: [user_segment, item_id, position, propensity]
output:
  topic: {name: out}
`

var topics = [traffic.NumStreams]string{"imps", "clicks", "orders", "queries"}

// world is a broker with generated traffic, and what must come of it.
type world struct {
	*broker
	plan    *experiments.Plan
	tasks   int
	rows    []string
	letters int
}

func parse(t testing.TB, text string) *spec.Experiment {
	t.Helper()
	e, diags := spec.Parse("feed.yaml", []byte(text), spec.LoadOptions{})
	if diags.HasErrors() {
		t.Fatal(diags.String())
	}
	return e
}

// newWorld publishes traffic: topics that are shuffled anyhow, into any number of
// partitions, the others by request_id.
func newWorld(t testing.TB, rng *rand.Rand, opts traffic.Options, experiment string) *world {
	t.Helper()
	e := parse(t, experiment)
	plan, err := experiments.NewPlan([]*spec.Experiment{e})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{broker: newBroker(), plan: plan, tasks: 1 + rng.IntN(5)}
	counts := map[string]int32{}
	shuffled := map[string]bool{}
	for _, s := range e.Sources {
		counts[s.Topic], shuffled[s.Topic] = int32(w.tasks), s.Repartition
		if s.Repartition {
			counts[s.Topic] = int32(1 + rng.IntN(6))
		}
		w.create(s.Topic, int(counts[s.Topic]))
	}
	tasks, err := plan.Pipelines[0].Tasks(counts)
	if err != nil {
		t.Fatal(err)
	}
	w.tasks = int(tasks)
	g, err := traffic.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	var lines [traffic.NumStreams][]string
	var ev traffic.Event
	for g.Next(&ev) {
		line, topic := string(ev.Line), topics[ev.Stream]
		lines[ev.Stream] = append(lines[ev.Stream], line)
		n := len(w.logs[topic])
		p := rng.IntN(n)
		rec := mortise.Record{Value: []byte(line), TimestampMS: 1_700_000_000_000 + rng.Int64N(1000)}
		if rng.IntN(3) > 0 {
			rec.Key = fmt.Appendf(nil, "key-%d", rng.IntN(100))
		}
		if key, ok := requestOf(line); ok && !shuffled[topic] {
			p = experiments.PartitionOf([]byte(key), n)
		}
		w.append(topic, p, rec)
	}
	w.expect(t, lines)
	return w
}

func requestOf(line string) (string, bool) {
	var fields struct {
		Request *string `json:"request_id"`
	}
	if json.Unmarshal([]byte(line), &fields) != nil || fields.Request == nil {
		return "", false
	}
	return *fields.Request, true
}

// expect runs the experiment over the lines as files, without any partitions.
func (w *world) expect(t testing.TB, lines [traffic.NumStreams][]string) {
	t.Helper()
	inputs := map[string][]string{}
	dir := t.TempDir()
	for stream, name := range []string{"impressions", "clicks", "orders", "queries"} {
		path := filepath.Join(dir, name+".jsonl")
		if err := os.WriteFile(path, []byte(strings.Join(lines[stream], "\n")+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		inputs[name] = []string{path}
	}
	_, err := offline.Run(context.Background(), w.plan.Pipelines[0], offline.Job{Inputs: inputs, Output: func(o *experiments.Output) error {
		if o.Topic == "out" {
			w.rows = append(w.rows, string(o.Value))
		} else {
			w.letters++
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(w.rows)
}

// crew is what runs: shufflers of every shuffled topic, and joining workers.
type crew struct {
	t     testing.TB
	w     *world
	rng   *rand.Rand
	sched *scheduler
	kills int // lives of each member before one that lasts
	lose  bool
	ahead time.Duration  // MaxAhead of the shufflers
	stuck func(turn int) // called every turn

	shufflers []*shuffle.Shuffler
	workers   []*experiments.Worker
}

// run runs the pipeline to its end, members one at a time in random turns.
func (c *crew) run(splits int) {
	c.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	c.sched = &scheduler{back: make(chan struct{}), now: time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)}
	through, ways := c.w.plan.Pipelines[0].Shuffled("group")
	shuffled := make(chan struct{})
	var helpers, joiners []*member
	for _, way := range ways {
		c.w.create(way.Topic, c.w.tasks)
		for i := range splits {
			helpers = append(helpers, c.sched.start(func(m *member) error {
				return c.live(m, way.Group, []string{way.Origin}, owner(i, splits), func(tr *transport) error { return c.shuffle(ctx, tr, way) })
			}))
		}
	}
	for i := range min(splits, c.w.tasks) {
		st := &states{disks: map[string]*memory.Disk{}}
		joiners = append(joiners, c.sched.start(func(m *member) error {
			return c.live(m, "group", through.Inputs(), owner(i, min(splits, c.w.tasks)), func(tr *transport) error { return c.join(ctx, tr, through, st, shuffled) })
		}))
	}
	for turn := 0; len(joiners) > 0; turn++ {
		if turn == 200_000 {
			c.t.Fatal("it does not come to an end")
		}
		if c.stuck != nil {
			c.stuck(turn)
		}
		if done := !slices.ContainsFunc(ways, func(way *experiments.Shuffle) bool { return !c.w.done(way.Group, way.Origin) }); done && shuffled != nil {
			close(shuffled)
			shuffled = nil
		}
		all := slices.Concat(helpers, joiners)
		m := all[c.rng.IntN(len(all))]
		if c.sched.turn(m); m.ended {
			if m.err != nil {
				c.t.Fatal(m.err)
			}
			helpers = slices.DeleteFunc(helpers, func(o *member) bool { return o == m })
			joiners = slices.DeleteFunc(joiners, func(o *member) bool { return o == m })
		}
	}
	stop()
	for _, m := range helpers {
		for !m.ended {
			c.sched.turn(m)
		}
	}
}

// owner splits partitions among n members. A sole member owns them all.
func owner(i, n int) func(int32) bool {
	return func(p int32) bool { return int(p)%n == i }
}

// live lives again after every kill.
func (c *crew) live(m *member, group string, topics []string, owns func(int32) bool, run func(*transport) error) error {
	for left := c.kills; ; left-- {
		tr := &transport{broker: c.w.broker, sched: c.sched, member: m, rng: c.rng, group: group, topics: topics, owns: owns, steps: -1, unsure: c.rng.IntN(2) == 0, lose: c.lose && left > 0}
		if left > 0 {
			tr.steps = 1 + c.rng.IntN(60)
		}
		if err := run(tr); !errors.Is(err, errKilled) {
			return err
		}
	}
}

func (c *crew) now() time.Time { return c.sched.now }

func (c *crew) shuffle(ctx context.Context, tr *transport, way *experiments.Shuffle) error {
	s, err := shuffle.New(tr, shuffle.Options{Way: way, Origins: len(c.w.logs[way.Origin]), Partitions: c.w.tasks, PollRecords: 1 + c.rng.IntN(300), Now: c.now,
		CommitEvery: time.Duration(1+c.rng.IntN(500)) * time.Millisecond, UntilEnd: c.rng.IntN(2) == 0, MaxAhead: c.ahead})
	if err != nil {
		return err
	}
	c.shufflers = append(c.shufflers, s)
	return s.Run(ctx)
}

func (c *crew) join(ctx context.Context, tr *transport, p *experiments.Pipeline, st *states, shuffled <-chan struct{}) error {
	if c.rng.IntN(3) == 0 {
		clear(st.disks)
	}
	w, err := experiments.NewWorker(p, tr, st, "group", experiments.WorkerOptions{Partitions: c.w.tasks, UntilEnd: true, InputDone: shuffled,
		PollRecords: 1 + c.rng.IntN(300), CloseRows: 1 + c.rng.IntN(300), Now: c.now, Parallel: 1, Go: func(f func()) { f() },
		CommitEvery: time.Duration(1+c.rng.IntN(500)) * time.Millisecond, ManifestEvery: time.Duration(1+c.rng.IntN(1000)) * time.Millisecond})
	if err != nil {
		return err
	}
	if err := w.Run(ctx); err != nil {
		return err
	}
	c.workers = append(c.workers, w)
	return nil
}

// check compares what came out with what must.
func (c *crew) check() {
	c.t.Helper()
	if got := c.w.values("out"); !slices.Equal(got, c.w.rows) {
		c.t.Fatalf("%d rows, want %d; first difference: %s", len(got), len(c.w.rows), firstDifference(got, c.w.rows))
	}
	letters := c.w.values("dead-letters.feed")
	if len(letters) != c.w.letters {
		c.t.Errorf("%d dead letters, want %d", len(letters), c.w.letters)
	}
	seen := map[string]bool{}
	for _, text := range letters {
		var l struct {
			Topic     string
			Partition int32
			Offset    int64
			Raw       string
			Bytes     []byte `json:"raw_base64"`
		}
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			c.t.Fatal(err)
		}
		at := fmt.Sprint(l.Topic, l.Partition, l.Offset)
		if seen[at] {
			c.t.Errorf("two dead letters for %s", at)
		}
		seen[at] = true
		if log := c.w.logs[l.Topic]; int(l.Partition) >= len(log) || l.Offset >= int64(len(log[l.Partition])) || string(log[l.Partition][l.Offset].Value) != l.Raw+string(l.Bytes) {
			c.t.Errorf("the dead letter is not the record that it names: %s", text)
		}
	}
	for _, w := range c.workers {
		l := w.Status().Experiments[0].Ledger
		if err := l.Check(); err != nil || l.LateEmitted != 0 || l.Impressions.Pending+l.Labels.Pending != 0 {
			c.t.Errorf("%v, ledger %+v", err, l)
		}
	}
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
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

// shuffling edits feed so that these sources are shuffled.
func shuffling(text string, sources ...string) string {
	for _, s := range sources {
		text = strings.Replace(text, "\n  "+s+":\n", "\n  "+s+":\n    repartition: true\n", 1)
	}
	return text
}

// TestShuffledRowsAreTheSame runs hostile traffic that is keyed by nothing or by
// something else through shufflers and workers that are killed at random, over
// varied partitions, owners and batch sizes: the rows are those of a run over the
// files, byte for byte, and every dead letter names the record that it is of.
func TestShuffledRowsAreTheSame(t *testing.T) {
	first, runs := uint64(1), uint64(40)
	if *seedFlag != 0 {
		first, runs = *seedFlag, 1
	}
	for seed := first; seed < first+runs; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 11))
			opts := traffic.Hostile()
			opts.Seed, opts.Impressions, opts.Rate = seed, 1500, 2
			opts.LateShare = 0 // what is late depends on the interleaving
			opts.JitterMS = min(opts.JitterMS, 1_800_000)
			all := []string{"impressions", "clicks", "orders", "queries"}
			rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			text := shuffling(feed, all[:1+rng.IntN(4)]...)
			if rng.IntN(4) == 0 {
				text = strings.Replace(feed, "join:\n", "join:\n  repartition: true\n  partitions: "+fmt.Sprint(1+rng.IntN(7))+"\n", 1)
			}
			c := &crew{t: t, w: newWorld(t, rng, opts, text), rng: rng, kills: rng.IntN(6), lose: rng.IntN(2) == 0}
			c.run(1 + rng.IntN(2))
			c.check()
		})
	}
}

// hours is traffic of eight hours, hardly out of order, and hourly the experiment
// that joins it.
func hours(seed uint64) traffic.Options {
	opts := traffic.Hostile()
	opts.Seed, opts.Impressions, opts.Rate = seed, 1500, 0.05
	opts.LateShare, opts.JitterMS = 0, 10_000
	return opts
}

var hourly = strings.NewReplacer("out_of_orderness: 1h", "out_of_orderness: 11s", "join:\n", "join:\n  repartition: true\n").Replace(feed)

// TestOriginsHoursApart holds some partitions of the shuffled topics back until
// all else has been read, or for a while, so that event times that are hours
// apart lie side by side: nothing is late, and the rows are the same.
func TestOriginsHoursApart(t *testing.T) {
	first, runs := uint64(1), uint64(20)
	if *seedFlag != 0 {
		first, runs = *seedFlag, 1
	}
	for seed := first; seed < first+runs; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 12))
			c := &crew{t: t, w: newWorld(t, rng, hours(seed), hourly), rng: rng, kills: rng.IntN(3), ahead: 1000 * time.Hour}
			c.stuck = func(turn int) {
				if turn%100 != 0 {
					return
				}
				clear(c.w.held)
				for _, topic := range topics {
					for p := range c.w.logs[topic] {
						if turn < 2000 && rng.IntN(2) == 0 {
							c.w.held[experiments.TopicPartition{Topic: topic, Partition: int32(p)}] = true
						}
					}
				}
			}
			c.run(1 + rng.IntN(2))
			c.check()
		})
	}
}
