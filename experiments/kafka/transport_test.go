package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mortise-dev/mortise/experiments"
)

func TestCommitJoinsOutputsAndOffsets(t *testing.T) {
	for _, exactly := range []bool{true, false} {
		t.Run(fmt.Sprintf("exactly once %t", exactly), func(t *testing.T) {
			c := connect(t)
			topics(t, c, 3, "in", "more", "out")
			o := workerOptions(c, "w")
			o.ExactlyOnce = exactly
			tr := open(t, o)
			for tp, co := range begin(t, tr) {
				if co.Next != -1 || co.Metadata != "" {
					t.Errorf("before any commit, %v: got %+v", tp, co)
				}
			}
			var sent []string
			for i := range 50 {
				sent = append(sent, fmt.Sprint(i))
				if err := tr.Produce(out(sent[i])); err != nil {
					t.Fatal(err)
				}
			}
			slices.Sort(sent)
			if err := tr.Commit(t.Context(), at(0, 0, 1, 2)); err != nil {
				t.Fatal(err)
			}
			want(t, "committed outputs", tailed(t, c, "out"), sent)
			// Offsets alone commit too, and the latest wins.
			if err := tr.Commit(t.Context(), at(0, 1)); err != nil {
				t.Fatal(err)
			}
			if err := tr.Close(); err != nil {
				t.Fatal(err)
			}
			if got := begin(t, open(t, o)); !maps.Equal(got, at(0, 0, 1, 2)) {
				t.Errorf("after restart: got %v, want %v", got, at(0, 0, 1, 2))
			}
		})
	}
}

func TestUncommittedOutputsAreAborted(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more", "out")
	tr := open(t, workerOptions(c, "w"))
	begin(t, tr)
	if err := tr.Produce(out("never")); err != nil {
		t.Fatal(err)
	}
	if err := tr.client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	want(t, "outputs", tailed(t, c, "out"), nil)
}

func TestTwoMembersShareCoPartitioned(t *testing.T) {
	c := connect(t)
	topics(t, c, 4, "in", "more", "out")
	first := open(t, workerOptions(c, "first"))
	if got := begin(t, first); len(got) != 8 {
		t.Fatalf("alone: %d partitions, want 8", len(got))
	}
	if err := first.Produce(out("lost to the rebalance")); err != nil {
		t.Fatal(err)
	}
	second := open(t, workerOptions(c, "second"))
	untilRebalanced(t, first)
	if err := first.Commit(t.Context(), at(0, 0, 1, 2, 3)); !errors.Is(err, experiments.ErrRebalanced) {
		t.Errorf("committing after the rebalance: got %v, want ErrRebalanced", err)
	}
	want(t, "outputs of the lost assignment", tailed(t, c, "out"), nil)

	a, b := begin(t, first), begin(t, second)
	if len(a) != 4 || len(b) != 4 {
		t.Fatalf("shared: %d and %d partitions, want 4 and 4", len(a), len(b))
	}
	for _, part := range []map[experiments.TopicPartition]experiments.CommittedOffset{a, b} {
		for p := range part {
			if _, in := part[tp("in", p.Partition)]; !in {
				t.Errorf("%v is not with in/%d", p, p.Partition)
			}
			if _, more := part[tp("more", p.Partition)]; !more {
				t.Errorf("%v is not with more/%d", p, p.Partition)
			}
		}
	}
	// Both can commit now; the first one's lost assignment is forgotten.
	for i, tr := range []*Transport{first, second} {
		if err := tr.Produce(out(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		if err := tr.Commit(t.Context(), nil); err != nil {
			t.Errorf("member %d: %v", i, err)
		}
	}
	want(t, "outputs of both", tailed(t, c, "out"), []string{"0", "1"})
}

func TestStaleAssignmentCannotCommit(t *testing.T) {
	for _, exactly := range []bool{true, false} {
		t.Run(fmt.Sprintf("exactly once %t", exactly), func(t *testing.T) {
			c := connect(t)
			topics(t, c, 2, "in", "more", "out")
			o := workerOptions(c, "w")
			o.ExactlyOnce = exactly
			tr := open(t, o)
			begin(t, tr)
			tr.latest().generation-- // as if a rebalance had passed unnoticed
			if err := tr.Produce(out("stale")); err != nil {
				t.Fatal(err)
			}
			if err := tr.Commit(t.Context(), at(7, 0, 1)); !errors.Is(err, experiments.ErrRebalanced) {
				t.Fatalf("got %v, want ErrRebalanced", err)
			}
			for tp, co := range begin(t, tr) {
				if co.Next != -1 {
					t.Errorf("%v: the stale commit took effect: %+v", tp, co)
				}
			}
			if exactly {
				want(t, "outputs", tailed(t, c, "out"), nil)
			}
		})
	}
}

func TestZombieIsFenced(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more", "out")
	zombie := open(t, workerOptions(c, "same"))
	begin(t, zombie)
	if err := zombie.Produce(out("zombie")); err != nil {
		t.Fatal(err)
	}
	if err := zombie.client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := workerOptions(c, "same")
	o.Group = "another" // so that only the transaction can fence
	successor := open(t, o)
	begin(t, successor)
	if err := successor.Produce(out("successor")); err != nil {
		t.Fatal(err)
	}
	if err := successor.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	err := zombie.Commit(t.Context(), at(1, 0))
	if err == nil || errors.Is(err, experiments.ErrRebalanced) || !strings.Contains(err.Error(), `transactional id "same"`) {
		t.Errorf("the zombie's commit: got %v, want an error that names the transactional id", err)
	}
	want(t, "outputs", tailed(t, c, "out"), []string{"successor"})
}

func TestAssignmentAgainBeginsFromCommitted(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more", "out")
	publish(t, c, "in", 10)
	tr := open(t, workerOptions(c, "w"))
	for range 3 { // each time within a live assignment, without a rebalance by others
		begin(t, tr)
		seen := map[experiments.TopicPartition]*position{}
		read(t, tr, seen, reached(seen, map[experiments.TopicPartition]int64{tp("in", 0): 10, tp("more", 0): 0}))
		if n := len(seen[tp("in", 0)].values); n != 10 {
			t.Fatalf("read %d records, want 10", n)
		}
		if err := tr.Produce(out("thrown away")); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "outputs", tailed(t, c, "out"), nil)
}

func TestStartReportsEveryPartition(t *testing.T) {
	c := connect(t)
	topics(t, c, 2, "in", "more", "out")
	tr := open(t, workerOptions(c, "w"))
	begin(t, tr)
	fetched, err := tr.Poll(t.Context(), 10, time.Second)
	if err != nil || len(fetched) != 4 {
		t.Fatalf("the first poll of empty topics: got %v, %v, want all 4 partitions", fetched, err)
	}
	for _, f := range fetched {
		if f.Next != 0 || f.HighWatermark != 0 || len(f.Records) != 0 {
			t.Errorf("an empty partition: got %+v", f)
		}
	}
}

func TestReadsToTheEndPastControlRecords(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more", "out")
	transactionally(t, c, "in", 0, kgo.TryCommit, "a", "b")
	transactionally(t, c, "in", 0, kgo.TryAbort, "aborted")
	transactionally(t, c, "more", 0, kgo.TryAbort, "aborted")
	tr := open(t, workerOptions(c, "w"))
	begin(t, tr)
	ends, err := tr.Ends(t.Context(), []experiments.TopicPartition{tp("in", 0), tp("more", 0)})
	if err != nil || ends[tp("in", 0)] != 5 || ends[tp("more", 0)] != 2 {
		t.Fatalf("ends: got %v, %v, want in 5 (2 records, marker, 1 record, marker), more 2", ends, err)
	}
	seen := map[experiments.TopicPartition]*position{}
	read(t, tr, seen, reached(seen, ends))
	want(t, "records", seen[tp("in", 0)].values, []string{"a", "b"})
	want(t, "records", seen[tp("more", 0)].values, nil)
	// What comes after is read on.
	transactionally(t, c, "more", 0, kgo.TryCommit, "c")
	read(t, tr, seen, reached(seen, map[experiments.TopicPartition]int64{tp("more", 0): 4}))
	want(t, "later records", seen[tp("more", 0)].values, []string{"c"})
}

func TestReadsToTheEndPastWhatNobodySees(t *testing.T) {
	dir := t.TempDir()
	cluster, c := fake(t, kfake.DataDir(dir))
	topics(t, c, 1, "in", "more", "out")
	publish(t, c, "in", 1)
	cluster.Close()
	compactAway(t, filepath.Join(dir, "partitions", "in-0", "0.dat"), 1, 2)

	_, c = fake(t, kfake.DataDir(dir))
	tr := open(t, workerOptions(c, "w"))
	begin(t, tr)
	ends, err := tr.Ends(t.Context(), []experiments.TopicPartition{tp("in", 0)})
	if err != nil || ends[tp("in", 0)] != 3 {
		t.Fatalf("ends: got %v, %v, want 3", ends, err)
	}
	seen := map[experiments.TopicPartition]*position{}
	read(t, tr, seen, reached(seen, ends))
	want(t, "records", seen[tp("in", 0)].values, []string{"0"})
	want(t, "tailed records", tailed(t, c, "in"), []string{"0"})
}

// compactAway appends what compaction leaves of a batch all of whose records it
// removed: its header, which keeps n offsets from offset on.
func compactAway(t *testing.T, segment string, offset int64, n int32) {
	t.Helper()
	b := kmsg.RecordBatch{FirstOffset: offset, Magic: 2, LastOffsetDelta: n - 1, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	f, err := os.OpenFile(segment, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPausedPartitionsAreKeptBack(t *testing.T) {
	for _, hold := range []int{1, 1 << 20} { // stops fetching at once, or never
		t.Run(fmt.Sprint("hold ", hold), func(t *testing.T) {
			c := connect(t)
			topics(t, c, 2, "in", "more", "out")
			all := publish(t, c, "in", 500)
			o := workerOptions(c, "w")
			o.HoldBytes = hold
			tr := open(t, o)
			begin(t, tr)
			ends, err := tr.Ends(t.Context(), []experiments.TopicPartition{tp("in", 0), tp("in", 1)})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[experiments.TopicPartition]*position{}
			read(t, tr, seen, func() bool { return seen[tp("in", 0)] != nil && len(seen[tp("in", 0)].values) > 0 })
			tr.SetPaused([]experiments.TopicPartition{tp("in", 0)})
			before := len(seen[tp("in", 0)].values)
			read(t, tr, seen, reached(seen, map[experiments.TopicPartition]int64{tp("in", 1): ends[tp("in", 1)]}))
			for range 3 { // and some more polls, in which nothing may come
				fetched, err := tr.Poll(t.Context(), 100, 10*time.Millisecond)
				if err != nil {
					t.Fatal(err)
				}
				keep(t, seen, fetched)
			}
			if got := len(seen[tp("in", 0)].values); got != before {
				t.Errorf("a paused partition brought %d records", got-before)
			}
			tr.SetPaused(nil)
			read(t, tr, seen, reached(seen, ends))
			got := slices.Sorted(slices.Values(append(seen[tp("in", 0)].values, seen[tp("in", 1)].values...)))
			want(t, "records", got, all)
		})
	}
}

func TestTooLargeRecordLeavesTheTransaction(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more")
	_, err := admin(t, c).EnsureTopics(t.Context(), []TopicSpec{{Name: "out", Partitions: 1, Configs: map[string]string{"max.message.bytes": "5000"}}})
	if err != nil {
		t.Fatal(err)
	}
	tr := open(t, workerOptions(c, "w"))
	begin(t, tr)
	if err := tr.Produce(out("small")); err != nil {
		t.Fatal(err)
	}
	big := out(strings.Repeat("x", 5000))
	var tooLarge *TooLargeError
	if err := tr.Produce(big); !errors.As(err, &tooLarge) || tooLarge.LimitBytes != 5000 || !strings.Contains(err.Error(), "max.message.bytes") {
		t.Errorf("got %v, want TooLargeError with the topic's limit and the setting to raise", err)
	}
	if err := tr.Commit(t.Context(), at(0, 0)); err != nil {
		t.Errorf("committing what fitted: %v", err)
	}
	want(t, "outputs", tailed(t, c, "out"), []string{"small"})
}

// TestLargeRecords takes records of 10 MB through every way of writing and
// reading, on a topic that takes them.
func TestLargeRecords(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "more")
	large := map[string]string{"max.message.bytes": fmt.Sprint(11 << 20)}
	_, err := admin(t, c).EnsureTopics(t.Context(), []TopicSpec{{Name: "in", Partitions: 1, Configs: large}, {Name: "out", Partitions: 1, Configs: large}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenPublisher(testContext(t), PublisherOptions{Connection: c, Topics: []string{"in"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	rng := rand.NewChaCha8([32]byte{}) // what does not compress
	var sent []string
	for i := range 3 {
		value := make([]byte, 10<<20)
		_, _ = rng.Read(value) // never fails
		sent = append(sent, string(value))
		if err := p.Publish("in", nil, value, int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	tr := open(t, workerOptions(c, "w"))
	begin(t, tr)
	seen := map[experiments.TopicPartition]*position{}
	read(t, tr, seen, reached(seen, map[experiments.TopicPartition]int64{tp("in", 0): 3}))
	if !slices.Equal(seen[tp("in", 0)].values, sent) {
		t.Error("what was read is not what was published")
	}
	for _, v := range seen[tp("in", 0)].values {
		if err := tr.Produce(&experiments.Output{Topic: "out", Value: []byte(v)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tr.Commit(testContext(t), at(3, 0)); err != nil {
		t.Fatal(err)
	}
	slices.Sort(sent)
	if !slices.Equal(tailed(t, c, "out"), sent) {
		t.Error("what was committed is not what was read")
	}
}

func TestBrokerRefusesSize(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more", "out")
	tr := open(t, workerOptions(c, "w"))
	begin(t, tr)
	limit := "100"
	_, err := kadm.NewClient(tr.client).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &limit}}, "out")
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Produce(out(strings.Repeat("x", 300))); err != nil {
		t.Fatal(err)
	}
	var tooLarge *TooLargeError
	err = tr.Commit(t.Context(), at(0, 0))
	if !errors.As(err, &tooLarge) || tooLarge.Topic != "out" || tooLarge.SizeBytes < 300 {
		t.Errorf("got %v, want TooLargeError", err)
	}
	want(t, "outputs", tailed(t, c, "out"), nil)
}

func TestOffsetGoneIsAnError(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more", "out")
	publish(t, c, "in", 3)
	tr := open(t, workerOptions(c, "w"))
	if _, err := tr.Assignment(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tr.Start(map[experiments.TopicPartition]int64{tp("in", 0): 100, tp("more", 0): 0}); err != nil {
		t.Fatal(err)
	}
	ctx := testContext(t)
	for {
		_, err := tr.Poll(ctx, 10, 50*time.Millisecond)
		if err == nil {
			continue
		}
		if !strings.Contains(err.Error(), "in/0") || !strings.Contains(err.Error(), "retention") {
			t.Errorf("got %v, want an error that names in/0 and retention", err)
		}
		return
	}
}

func TestStaticMemberKeepsItsPartitions(t *testing.T) {
	c := connect(t)
	topics(t, c, 2, "in", "more", "out")
	o := workerOptions(c, "w")
	o.InstanceID = "one"
	o.SessionTimeout = 10 * time.Second
	a := admin(t, c)
	t.Cleanup(func() { // or the group would wait for it that long
		if _, err := a.adm.LeaveGroup(context.Background(), kadm.LeaveGroup(o.Group).InstanceIDs(o.InstanceID)); err != nil {
			t.Error(err)
		}
	})
	tr := open(t, o)
	begin(t, tr)
	generation := tr.latest().generation
	if err := tr.Close(); err != nil { // does not leave: the instance is expected back
		t.Fatal(err)
	}
	back := open(t, o)
	if got := begin(t, back); len(got) != 4 {
		t.Errorf("after coming back: %d partitions, want 4", len(got))
	}
	if got := back.latest().generation; got != generation {
		t.Errorf("coming back rebalanced the group: generation %d, was %d", got, generation)
	}
}

func TestAssignmentWaitsUntilThereIsSomething(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more", "out")
	first, second := open(t, workerOptions(c, "first")), open(t, workerOptions(c, "second"))
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	results := make(chan error, 2)
	for _, tr := range []*Transport{first, second} {
		go func() {
			_, err := tr.Assignment(ctx)
			results <- err
		}()
	}
	// One partition, two members: one of them gets nothing and waits.
	if err := <-results; err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-results; !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("waiting in vain: got %v, want context.Canceled", err)
	}
}
