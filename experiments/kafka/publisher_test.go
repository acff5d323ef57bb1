package kafka

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
)

func TestPartitionOfIsKafkas(t *testing.T) {
	theirs := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	for i := range 1000 {
		key := []byte(strings.Repeat("k", i%9) + fmt.Sprint(i))
		if got, want := PartitionOf(key, 7), theirs.Partition(&kgo.Record{Key: key}, 7); got != want {
			t.Errorf("key %q: partition %d, want %d", key, got, want)
		}
	}
}

func TestPublishedRecords(t *testing.T) {
	c := connect(t)
	topics(t, c, 3, "a", "b")
	var told map[string]int64
	p, err := OpenPublisher(testContext(t), PublisherOptions{Connection: c, Topics: []string{"a", "b"},
		Progress: func(n map[string]int64) { told = maps.Clone(n) }})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i := range 30 {
		if err := p.Publish("a", fmt.Append(nil, "k", i), fmt.Append(nil, i), int64(1000+i)); err != nil {
			t.Fatal(err)
		}
		if err := p.Publish("b", nil, fmt.Append(nil, i), 5); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int64{"a": 30, "b": 30}; !maps.Equal(p.Counts(), want) || !maps.Equal(told, want) {
		t.Errorf("counts: got %v and, by progress, %v, want %v", p.Counts(), told, want)
	}
	err = Tail(testContext(t), c, "a", true, func(m *Message) error {
		var i int
		if _, err := fmt.Sscan(string(m.Value), &i); err != nil {
			return err
		}
		if m.TimestampMS != int64(1000+i) || string(m.Key) != fmt.Sprint("k", i) || int(m.Partition) != PartitionOf(m.Key, 3) {
			t.Errorf("record %d: got key %q, time %d, partition %d", i, m.Key, m.TimestampMS, m.Partition)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var inTurn [3][]string
	err = Tail(testContext(t), c, "b", true, func(m *Message) error {
		if m.Key != nil {
			t.Errorf("a record without key came with key %q", m.Key)
		}
		inTurn[m.Partition] = append(inTurn[m.Partition], string(m.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "partition 0 of 3, in turn", inTurn[0], []string{"0", "3", "6", "9", "12", "15", "18", "21", "24", "27"})
}

func TestPublishRefusesTooLargeAndGoesOn(t *testing.T) {
	c := connect(t)
	topics(t, c, 1, "a")
	p, err := OpenPublisher(testContext(t), PublisherOptions{Connection: c, Topics: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var tooLarge *TooLargeError
	if err := p.Publish("a", []byte("big"), make([]byte, 2<<20), 1); !errors.As(err, &tooLarge) || !strings.Contains(err.Error(), `"big"`) {
		t.Errorf("2 MiB: got %v, want TooLargeError that names the key", err)
	}
	if err := errors.Join(p.Publish("a", nil, []byte("small"), 1), p.Flush(testContext(t))); err != nil {
		t.Fatal(err)
	}
	want(t, "published", tailed(t, c, "a"), []string{"small"})
	if p.Counts()["a"] != 1 {
		t.Errorf("counts: got %v, want 1", p.Counts())
	}
}

func TestPublisherNeedsItsTopics(t *testing.T) {
	c := connect(t)
	var missing *MissingTopicError
	if _, err := OpenPublisher(testContext(t), PublisherOptions{Connection: c, Topics: []string{"a"}}); !errors.As(err, &missing) {
		t.Errorf("got %v, want MissingTopicError", err)
	}
}

// TestSlabsAreUsedAgain sends more than fits into the buffer, with sizes that
// force every way of getting room, and compares every byte.
func TestSlabsAreUsedAgain(t *testing.T) {
	c := connect(t)
	_, err := admin(t, c).EnsureTopics(t.Context(), []TopicSpec{{Name: "a", Partitions: 1, Configs: map[string]string{"max.message.bytes": fmt.Sprint(8 << 20)}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenPublisher(testContext(t), PublisherOptions{Connection: c, Topics: []string{"a"}, BufferBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var sums []uint64
	row := make([]byte, 4<<20)
	for i := range 9000 {
		size := rng.IntN(200)
		if i%1500 == 0 {
			size = rng.IntN(len(row))
		}
		for j := range row[:size] {
			row[j] = byte(rng.Uint32())
		}
		sums = append(sums, sum(row[:size]))
		if err := p.Publish("a", nil, row[:size], int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	var got []uint64
	err = Tail(testContext(t), c, "a", true, func(m *Message) error {
		got = append(got, sum(m.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "checksums in order", got, sums)
}

func sum(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

type countingMeter struct{ read, wrote atomic.Int64 }

func (m *countingMeter) Read(_ string, _ int32, records, _ int)  { m.read.Add(int64(records)) }
func (m *countingMeter) Wrote(_ string, _ int32, records, _ int) { m.wrote.Add(int64(records)) }

func TestMeterCounts(t *testing.T) {
	c := connect(t)
	topics(t, c, 2, "a")
	m := new(countingMeter)
	c.Meter = m
	publish(t, c, "a", 100)
	tailed(t, c, "a")
	if m.wrote.Load() != 100 || m.read.Load() != 100 {
		t.Errorf("metered: wrote %d, read %d, want 100 each", m.wrote.Load(), m.read.Load())
	}
}

func TestTailFollows(t *testing.T) {
	c := connect(t)
	topics(t, c, 2, "a")
	publish(t, c, "a", 5)
	stop := errors.New("enough")
	seen := 0
	err := Tail(testContext(t), c, "a", false, func(*Message) error {
		if seen++; seen == 5 {
			publish(t, c, "a", 5) // after it began, from within
		}
		if seen == 10 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || seen != 10 {
		t.Errorf("following: %d records, %v, want 10 and the callback's error", seen, err)
	}
}

func TestTailOfEmptyTopicEnds(t *testing.T) {
	c := connect(t)
	topics(t, c, 3, "a")
	want(t, "an empty topic", tailed(t, c, "a"), nil)
}

func TestGroupStatus(t *testing.T) {
	c := connect(t)
	a := admin(t, c)
	if got, err := a.Group(testContext(t), "g"); err != nil || got.State != "Dead" || len(got.Partitions) != 0 {
		t.Errorf("a group that does not exist: got %+v, %v", got, err)
	}
	topics(t, c, 1, "in", "more", "out")
	publish(t, c, "in", 10)
	tr := open(t, workerOptions(c, "w"))
	begin(t, tr, 2)
	if err := tr.Commit(t.Context(), at(4, 0)); err != nil {
		t.Fatal(err)
	}
	got, err := a.Group(testContext(t), "g")
	if err != nil {
		t.Fatal(err)
	}
	wanted := []PartitionStatus{
		{tp("in", 0), experiments.CommittedOffset{Next: 4, Metadata: "in/0@4"}, 10, 6},
		{tp("more", 0), experiments.CommittedOffset{Next: 4, Metadata: "more/0@4"}, 0, 0},
	}
	if got.State != "Stable" || got.Members != 1 || !slices.Equal(got.Partitions, wanted) {
		t.Errorf("got %+v, want Stable, 1 member, %+v", got, wanted)
	}
}

func TestEnsureTopics(t *testing.T) {
	c := connect(t)
	a := admin(t, c)
	topics(t, c, 2, "there")
	got, err := a.EnsureTopics(testContext(t), []TopicSpec{{Name: "there", Partitions: 9},
		{Name: "new", Partitions: 3, Configs: map[string]string{"retention.ms": RetentionForever}}, {Name: "default", Partitions: -1}})
	if want := map[string]int32{"there": 2, "new": 3, "default": kafkatest.DefaultPartitions}; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := a.EnsureTopics(testContext(t), []TopicSpec{{Name: "ne_w", Partitions: 1}, {Name: "ne.w", Partitions: 1}}); err == nil || !strings.Contains(err.Error(), "ne.w") {
		t.Errorf("names that collide: got %v, want an error that names the topic", err)
	}
}

func TestRetentionCoversAge(t *testing.T) {
	if got := Retention(365 * 24 * 3600e9); got != fmt.Sprint(int64(372*24*3600*1000)) {
		t.Errorf("a year old: got %s ms, want 372 days", got)
	}
	if got := Retention(-1); got != fmt.Sprint(7*24*3600*1000) {
		t.Errorf("from the future: got %s ms, want 7 days", got)
	}
}
