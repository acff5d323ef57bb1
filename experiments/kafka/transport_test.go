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
			for tp, co := range begin(t, tr, 6) {
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
			if got := begin(t, open(t, o), 6); !maps.Equal(got, at(0, 0, 1, 2)) {
				t.Errorf("after restart: got %v, want %v", got, at(0, 0, 1, 2))
			}
		})
	}
}

func TestUncommittedOutputsAreAborted(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more", "out")
	tr := open(t, workerOptions(c, "w"))
	begin(t, tr, 2)
	if err := tr.Produce(out("never")); err != nil {
		t.Fatal(err)
	}
	if err := tr.producer.client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	want(t, "outputs", tailed(t, c, "out"), nil)
}

// TestTwoMembersShareCoPartitioned has a second member join: the first gives up
// half and goes on with the other half, without a pause and without losing what
// it has produced.
func TestTwoMembersShareCoPartitioned(t *testing.T) {
	c := connect(t)
	topics(t, c, 4, "in", "more", "out")
	first := open(t, workerOptions(c, "first"))
	begin(t, first, 8)
	if err := first.Produce(out("before")); err != nil {
		t.Fatal(err)
	}
	second := open(t, workerOptions(c, "second"))
	change := untilChange(t, first)
	if len(change.Revoked) != 4 || len(change.Gained) > 0 {
		t.Fatalf("got %+v, want half of it revoked", change)
	}
	if err := first.Commit(t.Context(), at(7, 0, 1, 2, 3)); err != nil {
		t.Fatalf("committing what is to be released: %v", err)
	}
	if err := first.Release(change.Revoked); err != nil {
		t.Fatal(err)
	}
	committed := gained(t, second, 4)
	for _, tp := range change.Revoked {
		if want := at(7, tp.Partition)[tp]; committed[tp] != want {
			t.Errorf("%v: the next owner got %+v, want %+v", tp, committed[tp], want)
		}
	}
	// What was released can't be committed any more; what stayed, and what was gained, can.
	mine := change.Revoked[0].Partition
	if err := second.Produce(out("second")); err != nil {
		t.Fatal(err)
	}
	if err := second.Commit(t.Context(), at(8, mine)); err != nil {
		t.Errorf("the new owner: %v", err)
	}
	for p := range int32(4) {
		if _, released := committed[tp("in", p)]; released {
			continue
		}
		if err := first.Produce(out(fmt.Sprint("first ", p))); err != nil {
			t.Fatal(err)
		}
		if err := first.Commit(t.Context(), at(8, p)); err != nil {
			t.Errorf("the old owner of what stayed: %v", err)
		}
	}
	if err := first.Produce(out("never")); err != nil {
		t.Fatal(err)
	}
	if err := first.Commit(t.Context(), at(9, mine)); !errors.Is(err, experiments.ErrRebalanced) {
		t.Errorf("committing what was released: got %v, want ErrRebalanced", err)
	}
	if got := tailed(t, c, "out"); len(got) != 4 || slices.Contains(got, "never") {
		t.Errorf("outputs: %v", got)
	}
}

// TestStaleMemberCannotCommit throws a member out of the group behind its back:
// it is told so by its next commit, which has no effect, and begins again.
func TestStaleMemberCannotCommit(t *testing.T) {
	for _, exactly := range []bool{true, false} {
		t.Run(fmt.Sprintf("exactly once %t", exactly), func(t *testing.T) {
			c := connect(t)
			topics(t, c, 2, "in", "more", "out")
			o := workerOptions(c, "w")
			o.ExactlyOnce = exactly
			tr := open(t, o)
			begin(t, tr, 4)
			throwOut(t, tr)
			if err := tr.Produce(out("stale")); err != nil {
				t.Fatal(err)
			}
			if err := tr.Commit(t.Context(), at(7, 0, 1)); !errors.Is(err, experiments.ErrRebalanced) {
				t.Fatalf("got %v, want ErrRebalanced", err)
			}
			if _, err := tr.Poll(t.Context(), 1, 0); !errors.Is(err, experiments.ErrRebalanced) {
				t.Errorf("before Abort: got %v, want ErrRebalanced", err)
			}
			if err := tr.Abort(t.Context()); err != nil {
				t.Fatal(err)
			}
			for tp, co := range begin(t, tr, 4) {
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

// TestZombieIsFenced has two workers with one transactional id take turns. Each
// transaction is committed or not, whole, and before long one of the two is told
// what is wrong, instead of fencing the other for ever.
func TestZombieIsFenced(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more", "out")
	zombie := open(t, workerOptions(c, "same"))
	begin(t, zombie, 2)
	if err := zombie.Produce(out("zombie")); err != nil {
		t.Fatal(err)
	}
	if err := zombie.producer.client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := workerOptions(c, "same")
	o.Group = "another" // so that only the transaction can fence
	successor := open(t, o)
	begin(t, successor, 2)
	var committed []string
	for turn := range 20 {
		for name, tr := range map[string]*Transport{"zombie": zombie, "successor": successor} {
			value := fmt.Sprint(name, " ", turn)
			err := tr.Produce(out(value))
			if err == nil {
				err = tr.Commit(t.Context(), nil)
			}
			switch {
			case err == nil && name == "zombie" && turn == 0 && len(committed) == 0:
				t.Fatal("the zombie's first commit was not fenced")
			case err == nil:
				committed = append(committed, value)
			case errors.Is(err, experiments.ErrRebalanced):
				if err := tr.Abort(t.Context()); err != nil && !errors.As(err, new(*ContendedError)) {
					t.Fatal(err)
				}
			case !errors.As(err, new(*ContendedError)) || !strings.Contains(err.Error(), `transactional id "same"`):
				t.Fatalf("got %v, want an error that names the transactional id", err)
			default:
				slices.Sort(committed)
				want(t, "outputs", tailed(t, c, "out"), committed)
				return
			}
		}
	}
	t.Errorf("neither was told; committed %v", committed)
}

func TestAbortBeginsFromCommitted(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more", "out")
	publish(t, c, "in", 10)
	tr := open(t, workerOptions(c, "w"))
	for range 3 {
		begin(t, tr, 2)
		seen := map[experiments.TopicPartition]*position{}
		read(t, tr, seen, reached(seen, map[experiments.TopicPartition]int64{tp("in", 0): 10, tp("more", 0): 0}))
		if n := len(seen[tp("in", 0)].values); n != 10 {
			t.Fatalf("read %d records, want 10", n)
		}
		if err := tr.Produce(out("thrown away")); err != nil {
			t.Fatal(err)
		}
		if err := tr.Abort(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "outputs", tailed(t, c, "out"), nil)
}

func TestStartReportsEveryPartition(t *testing.T) {
	c := connect(t)
	topics(t, c, 2, "in", "more", "out")
	tr := open(t, workerOptions(c, "w"))
	begin(t, tr, 4)
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
	begin(t, tr, 2)
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
	begin(t, tr, 2)
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
			begin(t, tr, 4)
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
	begin(t, tr, 2)
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
	begin(t, tr, 2)
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
	begin(t, tr, 2)
	limit := "100"
	_, err := tr.admin.adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &limit}}, "out")
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

func TestGapsAreReported(t *testing.T) {
	c := connect(t)
	topics(t, c, 2, "in", "more", "out")
	publish(t, c, "in", 30)
	a := admin(t, c)
	cut := kadm.Offsets{}
	cut.Add(kadm.Offset{Topic: "in", Partition: 0, At: 5})
	if _, err := a.adm.DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	tr := open(t, workerOptions(c, "w"))
	gained(t, tr, 4)
	all := map[experiments.TopicPartition]int64{tp("in", 0): 3, tp("in", 1): 100, tp("more", 0): 0, tp("more", 1): 0}
	var gap *experiments.GapError
	if err := tr.Start(all); !errors.As(err, &gap) || len(gap.Gaps) != 2 {
		t.Fatalf("got %v, want a GapError of both", err)
	}
	for _, g := range gap.Gaps {
		switch {
		case g.Partition == 0 && g.Need == 3 && g.First == 5 && !g.Recreate:
		case g.Partition == 1 && g.Need == 100 && g.First == 0 && g.Recreate:
		default:
			t.Errorf("got %+v", g)
		}
		all[g.TopicPartition] = g.First
	}
	if err := tr.Start(all); err != nil { // elsewhere, as nothing was started
		t.Fatal(err)
	}
	seen := map[experiments.TopicPartition]*position{}
	ends, err := tr.Ends(t.Context(), []experiments.TopicPartition{tp("in", 0), tp("in", 1)})
	if err != nil {
		t.Fatal(err)
	}
	read(t, tr, seen, reached(seen, ends))
	if n := len(seen[tp("in", 0)].values) + len(seen[tp("in", 1)].values); n != 25 {
		t.Errorf("read %d records, want the 25 that are left", n)
	}
}

// TestLogCutWhileReading removes what a reader has not read yet, after it began.
func TestLogCutWhileReading(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more", "out")
	publish(t, c, "in", 30)
	tr := open(t, workerOptions(c, "w"))
	gained(t, tr, 2)
	cut := kadm.Offsets{}
	cut.Add(kadm.Offset{Topic: "in", Partition: 0, At: 20})
	if _, err := tr.admin.adm.DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	tr.in.add([]*lane{{tp: tp("in", 0), end: 30}}) // as Start does, which would have noticed
	ctx := testContext(t)
	for {
		_, err := tr.Poll(ctx, 10, 50*time.Millisecond)
		if err == nil {
			continue
		}
		var gap *experiments.GapError
		if !errors.As(err, &gap) || gap.Gaps[0].Need != 0 || gap.Gaps[0].First != 20 {
			t.Errorf("got %v, want a GapError from 0 to 20", err)
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
	begin(t, tr, 4)
	_, generation := tr.group.client.GroupMetadata()
	if err := tr.Close(); err != nil { // does not leave: the instance is expected back
		t.Fatal(err)
	}
	back := open(t, o)
	if got := begin(t, back, 4); len(got) != 4 {
		t.Errorf("after coming back: %d partitions, want 4", len(got))
	}
	if _, got := back.group.client.GroupMetadata(); got != generation {
		t.Errorf("coming back rebalanced the group: generation %d, was %d", got, generation)
	}
}

// TestMemberWithoutTasksWaits has two members and one task: the other waits, and
// takes it over when the first leaves.
func TestMemberWithoutTasksWaits(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "in", "more", "out")
	first := open(t, workerOptions(c, "first"))
	begin(t, first, 2)
	second := open(t, workerOptions(c, "second"))
	for range 10 {
		change, err := second.Assigned()
		if err != nil || len(change.Gained) > 0 {
			t.Fatalf("got %+v, %v, want nothing", change, err)
		}
		if _, err := second.Poll(t.Context(), 10, 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Commit(t.Context(), at(3, 0)); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got := gained(t, second, 2); !maps.Equal(got, at(3, 0)) {
		t.Errorf("got %v, want %v", got, at(3, 0))
	}
}
