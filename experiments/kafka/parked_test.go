package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
)

// TestParkedTopicIsReadToItsEnd: records of a transaction that is open when reading
// begins are waited for, for the group's offsets may be decided before it shows here.
func TestParkedTopicIsReadToItsEnd(t *testing.T) {
	_, c := fake(t)
	topics(t, c, 2, "parked")
	p := &ParkedTopic{Connection: c, Admin: admin(t, c), Topic: "parked"}
	if got := parkedIn(t, p, 0, func() {}); got != nil {
		t.Errorf("an empty topic has %q", got)
	}
	transactionally(t, c, "parked", 0, kgo.TryCommit, "a", "b")
	transactionally(t, c, "parked", 0, kgo.TryAbort, "aborted")
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		commit := openTransaction(t, c, "parked", 0, fmt.Sprint("open ", end), end)
		got := parkedIn(t, p, 0, commit)
		want := []string{"a", "b", fmt.Sprint("open ", kgo.TryCommit)}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := parkedIn(t, p, 1, func() {}); got != nil {
		t.Errorf("the other partition has %q", got)
	}
	stop := errors.New("stop")
	if err := p.Read(testContext(t), 0, func(_, _ []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the callback's error comes back as %v", err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	defer openTransaction(t, c, "parked", 1, "open", kgo.TryAbort)()
	cancel()
	if err := p.Read(ctx, 1, func(_, _ []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled, it returns %v", err)
	}
}

// parkedIn reads a partition, and calls then once something has been read.
func parkedIn(t *testing.T, p *ParkedTopic, partition int32, then func()) (values []string) {
	t.Helper()
	err := p.Read(testContext(t), partition, func(_, value []byte) error {
		if values == nil {
			then()
		}
		values = append(values, string(value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// openTransaction writes a record in a transaction that the result ends.
func openTransaction(t *testing.T, c Connection, topic string, partition int32, value string, how kgo.TransactionEndTry) (end func()) {
	t.Helper()
	client, err := c.client(kgo.TransactionalID(fmt.Sprint("open-", value, partition)), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err == nil {
		err = client.BeginTransaction()
	}
	if err == nil {
		err = client.ProduceSync(testContext(t), &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value)}).FirstErr()
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := client.EndTransaction(testContext(t), how); err != nil {
			t.Error(err)
		}
		client.Close()
	}
}

// TestRecordsArePlaced: records of placed topics lie where they say, others where
// their key belongs.
func TestRecordsArePlaced(t *testing.T) {
	_, c := fake(t)
	topics(t, c, 3, "in", "rows", "parked")
	o := workerOptions(c, "g.placing")
	o.Inputs, o.Outputs, o.Placed = []string{"in"}, []string{"rows", "parked"}, []string{"parked"}
	tr := open(t, o)
	for i := range int32(30) {
		key := []byte(fmt.Sprint("key-", i))
		for _, topic := range o.Outputs {
			out := &experiments.Output{Topic: topic, Key: key, Value: fmt.Append(nil, i), Placed: topic == "parked", Partition: i % 3}
			if err := tr.Produce(out); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tr.Produce(&experiments.Output{Topic: "parked", Key: []byte("gone"), Placed: true, Partition: 2}); err != nil {
		t.Fatal(err)
	}
	if err := tr.Commit(testContext(t), nil); err != nil {
		t.Fatal(err)
	}
	tombstones := 0
	for _, topic := range o.Outputs {
		err := Tail(testContext(t), c, topic, true, func(m *Message) error {
			var i int32
			if m.Value == nil {
				tombstones++
				return nil
			}
			if _, err := fmt.Sscan(string(m.Value), &i); err != nil {
				return err
			}
			want := i % 3
			if topic == "rows" {
				want = int32(PartitionOf(m.Key, 3))
			}
			if m.Partition != want {
				t.Errorf("%s: record %d lies in partition %d, not %d", topic, i, m.Partition, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if tombstones != 1 {
		t.Errorf("%d tombstones", tombstones)
	}
}
