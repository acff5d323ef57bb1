package kafka

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mortise-dev/mortise/experiments/kafka/kafkatest"
)

func TestGroupPartition(t *testing.T) {
	for group, want := range map[string]int32{"": 0, "feed": 24, "mortise.feed-ctr": 7, "grüße": 23, "polygenelubricants": 0} {
		if got := groupPartition(group, 50); got != want {
			t.Errorf("%q: got %d, want %d", group, got, want)
		}
	}
}

// TestForgottenPartitionsAreEnded leaves a partition with a transaction open that
// its coordinator has ended, as a killed broker does: the next to use the
// transactional id ends it there too, the way it was decided.
func TestForgottenPartitionsAreEnded(t *testing.T) {
	s := kafkatest.Start(t)
	c := emptied(t, s)
	a := admin(t, c)
	unverified(t, a, true)
	defer unverified(t, a, false)
	for _, commit := range []bool{true, false} {
		for _, orphan := range []bool{false, true} {
			c = emptied(t, s)
			topics(t, c, 2, "in", "more", "out")
			id := "g.forgetful-" + FreshSuffix()
			forget(t, c, id, commit)
			o := workerOptions(c, id)
			if orphan {
				o.TransactionalID = "g.next"
			}
			tr := open(t, o)
			gained(t, tr, 4)
			var wanted []string
			if commit {
				wanted = []string{"forgotten", "named"}
			}
			want(t, "read committed", tailed(t, c, "out"), wanted)
			if err := tr.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// unverified has the broker take records of a transaction that it was not told of.
func unverified(t *testing.T, a *Admin, on bool) {
	t.Helper()
	value := "true"
	if on {
		value = "false"
	}
	_, err := a.adm.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Name: "transaction.partition.verification.enable", Value: &value}}, 1)
	if err != nil {
		t.Fatal(err)
	}
}

// forget ends a transaction in out/0, and leaves it open in out/1.
func forget(t *testing.T, c Connection, id string, commit bool) {
	t.Helper()
	ctx := testContext(t)
	versions := namingPartitions()
	versions.SetMaxKeyVersion(int16(kmsg.Produce), 11)
	client, err := c.client(kgo.TransactionalID(id), kgo.MaxVersions(versions))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	producerID, epoch, err := client.ProducerID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := addPartitions(ctx, client, id, producerID, epoch, map[string][]int32{"out": {0}}); err != nil {
		t.Fatal(err)
	}
	for partition, value := range []string{"named", "forgotten"} {
		writeRaw(ctx, t, client, int32(partition), id, producerID, epoch, value)
	}
	end := kmsg.NewPtrEndTxnRequest()
	end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = id, producerID, epoch, commit
	resp, err := end.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// writeRaw writes one record of a transaction, as clients did before transaction
// version 2.
func writeRaw(ctx context.Context, t *testing.T, client *kgo.Client, partition int32, id string, producerID int64, epoch int16, value string) {
	t.Helper()
	record := kmsg.Record{Value: []byte(value)}
	record.Length = int32(len(record.AppendTo(nil)) - 1)
	now := time.Now().UnixMilli()
	batch := kmsg.RecordBatch{Magic: 2, Attributes: 1 << 4, FirstTimestamp: now, MaxTimestamp: now, ProducerID: producerID, ProducerEpoch: epoch,
		NumRecords: 1, Records: record.AppendTo(nil), PartitionLeaderEpoch: -1}
	raw := batch.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, raw
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.Partitions = "out", []kmsg.ProduceRequestTopicPartition{p}
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID, req.Acks, req.TimeoutMillis, req.Topics = &id, -1, 5000, []kmsg.ProduceRequestTopic{topic}
	resp, err := req.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("writing %q: %v", value, err)
	}
}
