package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
	"github.com/mortise-dev/mortise/experiments/spec"
)

const testTimeout = 60 * time.Second

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

// connect returns what a test is about to use: Apache Kafka under TestOnKafka,
// elsewhere a cluster in memory.
func connect(t testing.TB) Connection {
	t.Helper()
	if strings.HasPrefix(t.Name(), "TestOnKafka/") {
		return emptied(t, kafkatest.Start(t))
	}
	_, c := fake(t)
	return c
}

// fake starts a cluster of two brokers in memory.
func fake(t testing.TB, opts ...kfake.Opt) (*kfake.Cluster, Connection) {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(2), kfake.GroupMinSessionTimeout(100 * time.Millisecond),
		kfake.DefaultNumPartitions(kafkatest.DefaultPartitions)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, Connection{Kafka: spec.Kafka{SeedBrokers: c.ListenAddrs()}, ConnectTimeout: 5 * time.Second}
}

// topics makes topics of the same width.
func topics(t testing.TB, c Connection, partitions int32, names ...string) {
	t.Helper()
	a := admin(t, c)
	var specs []TopicSpec
	for _, name := range names {
		specs = append(specs, TopicSpec{Name: name, Partitions: partitions})
	}
	if _, err := a.EnsureTopics(testContext(t), specs); err != nil {
		t.Fatal(err)
	}
}

func admin(t testing.TB, c Connection) *Admin {
	t.Helper()
	a, err := OpenAdmin(testContext(t), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// workerOptions reads "in" and "more" and writes "out", exactly once.
func workerOptions(c Connection, id string) Options {
	return Options{Connection: c, Group: "g", Inputs: []string{"in", "more"}, Outputs: []string{"out"},
		ExactlyOnce: true, TransactionalID: id, SessionTimeout: 3 * time.Second}
}

func open(t testing.TB, o Options) *Transport {
	t.Helper()
	tr, err := Open(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil && tr.fatal == nil {
			t.Errorf("closing: %v", err)
		}
	})
	return tr
}

// gained waits until the transport has gained so many partitions and returns
// what was committed for them. Nothing may be revoked meanwhile.
func gained(t testing.TB, tr *Transport, partitions int) offsets {
	t.Helper()
	ctx, all := testContext(t), offsets{}
	for len(all) < partitions {
		change, err := tr.Assigned()
		if err != nil {
			t.Fatal(err)
		}
		if len(change.Revoked) > 0 {
			t.Fatalf("revoked: %v", change.Revoked)
		}
		maps.Copy(all, change.Gained)
		if _, err := tr.Poll(ctx, 1, 20*time.Millisecond); err != nil {
			t.Fatalf("gained %v: %v", all, err)
		}
	}
	return all
}

// start begins reading at what is committed, or earliest.
func start(t testing.TB, tr *Transport, committed offsets) {
	t.Helper()
	if err := tr.Start(startsOf(committed)); err != nil {
		t.Fatal(err)
	}
}

func startsOf(committed offsets) map[experiments.TopicPartition]int64 {
	at := map[experiments.TopicPartition]int64{}
	for tp, c := range committed {
		if at[tp] = c.Next; c.Next < 0 {
			at[tp] = experiments.OffsetEarliest
		}
	}
	return at
}

// begin gains so many partitions and starts them.
func begin(t testing.TB, tr *Transport, partitions int) offsets {
	t.Helper()
	committed := gained(t, tr, partitions)
	start(t, tr, committed)
	return committed
}

// position is what a worker keeps of one partition.
type position struct {
	next, end int64
	values    []string
}

// read polls until done says so, and keeps what comes.
func read(t testing.TB, tr *Transport, into map[experiments.TopicPartition]*position, done func() bool) {
	t.Helper()
	ctx := testContext(t)
	for !done() {
		fetched, err := tr.Poll(ctx, 100, 20*time.Millisecond)
		if err != nil {
			t.Fatalf("polling: %v; so far %v", err, into)
		}
		keep(t, into, fetched)
	}
}

func keep(t testing.TB, into map[experiments.TopicPartition]*position, fetched []experiments.Fetched) {
	t.Helper()
	for _, f := range fetched {
		p := into[f.TopicPartition]
		if p == nil {
			p = new(position)
			into[f.TopicPartition] = p
		}
		for _, r := range f.Records {
			if r.Offset < p.next {
				t.Fatalf("%v: offset %d after next %d", f.TopicPartition, r.Offset, p.next)
			}
			if r.Topic != f.Topic || r.Partition != f.Partition {
				t.Fatalf("a record of %s/%d under %v", r.Topic, r.Partition, f.TopicPartition)
			}
			p.next = r.Offset + 1
			p.values = append(p.values, string(r.Value))
		}
		if f.Next < p.next || f.HighWatermark < f.Next {
			t.Fatalf("%v: next %d, high watermark %d after offset %d", f.TopicPartition, f.Next, f.HighWatermark, p.next-1)
		}
		p.next, p.end = f.Next, f.HighWatermark
	}
}

// reached reports whether all of parts have been read to these ends.
func reached(into map[experiments.TopicPartition]*position, ends map[experiments.TopicPartition]int64) func() bool {
	return func() bool {
		for tp, end := range ends {
			if p := into[tp]; p == nil || p.next < end {
				return false
			}
		}
		return true
	}
}

// publish writes n records with the values 0, 1, … and returns them sorted.
func publish(t testing.TB, c Connection, topic string, n int) []string {
	t.Helper()
	p, err := OpenPublisher(testContext(t), PublisherOptions{Connection: c, Topics: []string{topic}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var values []string
	for i := range n {
		v := strconv.Itoa(i)
		values = append(values, v)
		if err := p.Publish(topic, []byte("key-"+v), []byte(v), int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	slices.Sort(values)
	return values
}

// tailed returns the values of topic's committed records, sorted.
func tailed(t testing.TB, c Connection, topic string) []string {
	t.Helper()
	awaitAllMarkers(t, c)
	var values []string
	err := Tail(testContext(t), c, topic, true, func(m *Message) error {
		values = append(values, string(m.Value))
		return nil
	})
	if err != nil {
		t.Fatalf("tailing %s: %v", topic, err)
	}
	slices.Sort(values)
	return values
}

// awaitAllMarkers waits until every transaction that was ended can be read.
func awaitAllMarkers(t testing.TB, c Connection) {
	t.Helper()
	a, ctx := admin(t, c), testContext(t)
	for {
		ending, err := a.adm.ListTransactions(ctx, nil, []string{"PrepareCommit", "PrepareAbort"})
		if err != nil {
			t.Fatal(err)
		}
		if len(ending) == 0 {
			return
		}
	}
}

func want[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %d %v, want %d %v", what, len(got), clip(got), len(want), clip(want))
	}
}

func clip[T any](s []T) []T { return s[:min(len(s), 20)] }

func tp(topic string, partition int32) experiments.TopicPartition {
	return experiments.TopicPartition{Topic: topic, Partition: partition}
}

func out(value string) *experiments.Output {
	return &experiments.Output{Topic: "out", Key: []byte("k" + value), Value: []byte(value), TimestampMS: 1,
		Headers: []experiments.Header{{Key: "h", Value: []byte("v")}}}
}

// at is the same offset, with metadata that names it, for partitions of "in" and "more".
func at(offset int64, partitions ...int32) map[experiments.TopicPartition]experiments.CommittedOffset {
	offsets := map[experiments.TopicPartition]experiments.CommittedOffset{}
	for _, p := range partitions {
		for _, topic := range []string{"in", "more"} {
			offsets[tp(topic, p)] = experiments.CommittedOffset{Next: offset, Metadata: fmt.Sprintf("%s/%d@%d", topic, p, offset)}
		}
	}
	return offsets
}

// untilChange polls until the assignment changes.
func untilChange(t testing.TB, tr *Transport) experiments.Assignment {
	t.Helper()
	ctx := testContext(t)
	for {
		change, err := tr.Assigned()
		if err != nil {
			t.Fatal(err)
		}
		if len(change.Gained)+len(change.Revoked) > 0 {
			return change
		}
		if _, err := tr.Poll(ctx, 10, 50*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

// transactionally writes values to a topic's partition in one transaction.
func transactionally(t testing.TB, c Connection, topic string, partition int32, commit kgo.TransactionEndTry, values ...string) {
	t.Helper()
	ctx := testContext(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.SeedBrokers...), kgo.TransactionalID("test-"+topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cl.EndTransaction(ctx, commit); err != nil {
		t.Fatal(err)
	}
}
