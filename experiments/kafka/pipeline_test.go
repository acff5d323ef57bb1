package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
	"github.com/mortise-dev/mortise/experiments/offline"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/internal/provisioned"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/clean"
	"github.com/mortise-dev/mortise/joiner/disk"
	"github.com/mortise-dev/mortise/joiner/recorded"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

const pipelineText = `
experiment: feed
sources:
  impressions:
    topic: imps
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1m
    fields: {impression_id: string, request_id: string, ts: int, user_segment: string, item_id: string, position: int}
  clicks:
    topic: clicks
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1m
    fields: {click_id: string, impression_id: string, request_id: string, ts: int}
  orders:
    topic: orders
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1m
    fields: {order_id: string, impression_id: string, request_id: string, ts: int, amount: float}
join:
  main: impressions
  key: [request_id, impression_id]
  partition_by: request_id
  dedup: true
  labels:
    click: {source: clicks, within: 5m}
    order: {source: orders, within: 10m, value: amount}
instance:
  select: [user_segment, item_id, position]
output:
  topic: {name: rows}
  dead_letters: {topic: dead}
`

// feedTraffic is out of order, with duplicates and junk; late is nothing, as that
// depends on how partitions interleave.
var feedTraffic = traffic.Options{Impressions: 4000, Rate: 2, CTR: 0.2, OrderShare: 0.3, JitterMS: 20_000,
	DuplicateImpressions: 0.05, DuplicateClicks: 0.2, OrphanShare: 0.05, JunkShare: 0.01, OddIDShare: 0.1}

func feedPipeline() (*experiments.Pipeline, error) {
	e, found := spec.Parse("feed.yaml", []byte(pipelineText), spec.LoadOptions{CleanFuncs: clean.Registered()})
	if found.HasErrors() {
		return nil, errors.New(found.String())
	}
	plan, err := experiments.NewPlan([]*spec.Experiment{e})
	if err != nil {
		return nil, err
	}
	return plan.Pipelines[0], nil
}

const feedTasks = 3

// feedRun is recorded traffic on Kafka, and what a run over the files makes of it.
type feedRun struct {
	pipeline *experiments.Pipeline
	server   *kafkatest.Server
	conn     Connection
	rows     []string // sorted
	letters  int

	published chan struct{} // closed when all of the traffic is there
	failed    error         // of publishing
}

func newFeed(t *testing.T) *feedRun {
	t.Helper()
	return newFeedOver(t, 0)
}

// newFeedOver publishes half of the traffic at once and the rest over that time.
func newFeedOver(t *testing.T, over time.Duration) *feedRun {
	t.Helper()
	p, err := feedPipeline()
	if err != nil {
		t.Fatal(err)
	}
	r := &feedRun{pipeline: p, server: kafkatest.Start(t), published: make(chan struct{})}
	r.conn = emptied(t, r.server)
	dir := t.TempDir()
	g, err := traffic.New(feedTraffic)
	if err == nil {
		_, err = g.WriteFiles(dir, "jsonl", nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	inputs := map[string][]string{}
	for _, s := range p.Experiments[0].Sources {
		inputs[s.Name] = []string{filepath.Join(dir, s.Name+".jsonl")}
	}
	_, err = offline.Run(t.Context(), p, offline.Job{Inputs: inputs, Output: func(o *experiments.Output) error {
		if o.Topic == "rows" {
			r.rows = append(r.rows, string(o.Value))
		} else {
			r.letters++
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(r.rows)
	if len(r.rows) != int(feedTraffic.Impressions) || r.letters == 0 {
		t.Fatalf("the run over files: %d rows, %d dead letters", len(r.rows), r.letters)
	}
	r.publish(t, inputs, over)
	return r
}

// publish makes the topics and fills the inputs, keyed by the join's key.
func (r *feedRun) publish(t *testing.T, inputs map[string][]string, over time.Duration) {
	t.Helper()
	var specs []TopicSpec
	for _, name := range slices.Concat(r.pipeline.Inputs(), r.pipeline.Outputs()) {
		specs = append(specs, TopicSpec{Name: name, Partitions: feedTasks, Configs: map[string]string{"retention.ms": RetentionForever}})
	}
	if _, err := admin(t, r.conn).EnsureTopics(testContext(t), specs); err != nil {
		t.Fatal(err)
	}
	e := r.pipeline.Experiments[0]
	var streams []recorded.Stream
	var names []string
	for i := range e.Sources {
		files, err := recorded.Open(t.Context(), recorded.Options{}, inputs[e.Sources[i].Name]...)
		if err != nil {
			t.Fatal(err)
		}
		x, err := experiments.NewExtractor(e, &e.Sources[i], func() int64 { return time.Now().UnixMilli() })
		if err != nil {
			t.Fatal(err)
		}
		streams, names = append(streams, recorded.Stream{Files: files, Extract: x.Extract}), append(names, e.Sources[i].Topic)
	}
	merged, err := recorded.Merge(streams...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*testTimeout)
	go func() {
		defer cancel()
		defer close(r.published)
		defer merged.Close()
		r.failed = publishMerged(ctx, r.conn, merged, names, over)
	}()
	t.Cleanup(func() { <-r.published })
	if over == 0 {
		r.awaitPublished(t)
	}
}

func (r *feedRun) awaitPublished(t *testing.T) {
	t.Helper()
	if <-r.published; r.failed != nil {
		t.Fatal(r.failed)
	}
}

func publishMerged(ctx context.Context, c Connection, merged *recorded.Merged, names []string, over time.Duration) error {
	p, err := OpenPublisher(ctx, PublisherOptions{Connection: c, Topics: names})
	if err != nil {
		return err
	}
	defer p.Close()
	half := int(feedTraffic.Impressions) / 2
	for n := 0; ; n++ {
		ev, err := merged.Next()
		if errors.Is(err, io.EOF) {
			return p.Flush(ctx)
		}
		if err == nil {
			err = p.Publish(names[ev.Stream], ev.Key, ev.Data, ev.TimeMS)
		}
		if err != nil {
			return err
		}
		if over > 0 && n > half && n%20 == 0 {
			pause(ctx, over*20/time.Duration(half))
		}
	}
}

// check compares what a client of another family reads with the run over files.
func (r *feedRun) check(t *testing.T) {
	t.Helper()
	if got := kcat(t, r.server.Plain, "rows"); !slices.Equal(got, r.rows) {
		extra, missing := difference(got, r.rows), difference(r.rows, got)
		t.Errorf("%d rows, want %d; %d surplus %v; %d missing %v", len(got), len(r.rows), len(extra), clip(extra), len(missing), clip(missing))
	}
	if got := kcat(t, r.server.Plain, "dead"); len(got) != r.letters {
		t.Errorf("%d dead letters, want %d", len(got), r.letters)
	}
}

// difference is what a has more of than b, both sorted.
func difference(a, b []string) (more []string) {
	left := map[string]int{}
	for _, s := range b {
		left[s]++
	}
	for _, s := range a {
		if left[s]--; left[s] < 0 {
			more = append(more, s)
		}
	}
	return more
}

// kcat returns the committed values of topic, sorted.
func kcat(t *testing.T, addr, topic string) []string {
	t.Helper()
	cmd := exec.CommandContext(testContext(t), provisioned.Tool(t, "kcat"), "-C", "-q", "-e", "-b", addr, "-t", topic, "-o", "beginning",
		"-X", "isolation.level=read_committed", "-X", "check.crcs=true", "-J")
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("kcat: %v", err)
	}
	var values []string
	for d := json.NewDecoder(strings.NewReader(string(output))); d.More(); {
		var m struct{ Payload string }
		if err := d.Decode(&m); err != nil {
			t.Fatalf("kcat: %v", err)
		}
		values = append(values, m.Payload)
	}
	slices.Sort(values)
	return values
}

// diskStates is experiments.States over one state directory.
type diskStates struct{ *disk.DB }

func (s diskStates) Open(task string, o joiner.StoreOptions) (joiner.Store, error) {
	return s.OpenStore(task, o)
}

// countingCommits calls back before each commit.
type countingCommits struct {
	experiments.Transport
	before func(n int)
	n      int
}

func (c *countingCommits) Commit(ctx context.Context, offsets map[experiments.TopicPartition]experiments.CommittedOffset) error {
	c.n++
	c.before(c.n)
	return c.Transport.Commit(ctx, offsets)
}

// feedWorker is one worker on the feed.
type feedWorker struct {
	conn         Connection
	dir          string // of its state
	name         string // its instance and transactional id
	dynamic      bool   // not a static member
	pollRecords  int
	beforeCommit func(n int)
	until        time.Duration // gives up then
	forever      bool          // ends with ctx only
	withGroup    bool          // ends with its whole group
	pace         time.Duration // least time of a round, so that there is load for long
}

// work goes from what is committed to the end, in small steps.
func (f *feedWorker) work(ctx context.Context) (err error) {
	p, err := feedPipeline()
	if err != nil {
		return err
	}
	db, err := disk.OpenDB(f.dir, disk.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	setDefault(&f.until, 2*testTimeout)
	ctx, cancel := context.WithTimeout(ctx, f.until)
	defer cancel()
	o := Options{Connection: f.conn, Group: "feed", Inputs: p.Inputs(), Outputs: p.Outputs(), ExactlyOnce: true,
		TransactionalID: "feed." + f.name, SessionTimeout: feedSession, TransactionTimeout: feedTransaction}
	if !f.dynamic {
		o.InstanceID = f.name
	}
	tr, err := Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tr.Close()) }()
	if f.beforeCommit == nil {
		f.beforeCommit = func(int) {}
	}
	setDefault(&f.pollRecords, 100)
	paced := &countingCommits{Transport: tr, before: func(n int) {
		pause(ctx, f.pace)
		f.beforeCommit(n)
	}}
	opts := experiments.WorkerOptions{
		UntilEnd: !f.forever, PollRecords: f.pollRecords, PollWait: 10 * time.Millisecond, CloseRows: f.pollRecords, CommitEvery: time.Millisecond, ManifestEvery: 50 * time.Millisecond}
	if f.withGroup {
		a, err := OpenAdmin(ctx, f.conn)
		if err != nil {
			return err
		}
		defer a.Close()
		opts.Group = &GroupView{Admin: a, Group: "feed", Inputs: p.Inputs()}
	}
	w, err := experiments.NewWorker(p, paced, diskStates{db}, "feed", opts)
	if err != nil {
		return err
	}
	if err := w.Run(ctx); err != nil {
		return err
	}
	if f.forever {
		return nil
	}
	return ctx.Err()
}

// The timeouts of a feed's workers.
const (
	feedSession     = 2 * time.Second
	feedTransaction = 5 * time.Second
)

func TestPipelineOnKafkaEqualsFiles(t *testing.T) {
	r := newFeed(t)
	f := &feedWorker{conn: r.conn, dir: t.TempDir(), name: "w"}
	if err := f.work(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.check(t)
}
