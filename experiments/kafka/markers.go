package kafka

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// A broker answers that a transaction is committed when that is decided; the
// markers that end it in each partition follow. A coordinator that comes up
// while a partition has no leader takes that partition for deleted and leaves
// its marker out (KAFKA-20734; a single broker that is killed between decision
// and markers does so one time in some). There the transaction stays open, and
// whatever ends the next one ends both: an abort throws away what was committed.
//
// So nothing new is written under a transactional id before the transaction
// before is known to be ended everywhere; where it is not, it is ended again, the
// way it was decided.

// promptly is how soon markers are written where nothing has gone wrong. A
// coordinator that has just come up takes longer.
const promptly = 250 * time.Millisecond

// unendedError says that a partition still has a transaction open which its
// coordinator has ended.
type unendedError struct {
	id    string
	where []kadm.DescribedProducer
}

// Error names the first of the partitions.
func (e *unendedError) Error() string {
	return fmt.Sprintf("the brokers have ended a transaction of %s, but not in %s/%d and %d more partitions", e.id, e.where[0].Topic, e.where[0].Partition, len(e.where)-1)
}

// ended waits until the transaction that was just committed under id is ended in
// every partition, and returns which broker coordinates it. An *unendedError says
// that one is not going to be. coordinator is what the last call returned.
func (t *Transport) ended(ctx context.Context, id string, coordinator int32) (int32, error) {
	began := time.Now()
	d, err := t.admin.awaitMarkers(ctx, id)
	if d == nil || err != nil || d.Coordinator == coordinator && time.Since(began) < promptly {
		return coordinator, err
	}
	open, err := t.openEnded(ctx, d)
	if err == nil && len(open) > 0 {
		err = &unendedError{id, open}
	}
	return d.Coordinator, err
}

// awaitMarkers waits while the transaction under id that was ended last is being
// ended in its partitions, and returns what has become of it; nil where brokers
// can't tell, or do not let this user ask.
func (a *Admin) awaitMarkers(ctx context.Context, id string) (*kadm.DescribedTransaction, error) {
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		described, err := a.adm.DescribeTransactions(ctx, id)
		d, ok := described[id]
		if err == nil {
			err = d.Err
		}
		switch {
		case err == nil && ok && !strings.HasPrefix(d.State, "Prepare"):
			return &d, nil
		case err == nil && !ok, err != nil && (isAuth(err) || !isAway(err)):
			return nil, nil // TransactionalIDNotFound among them
		}
		if pause(ctx, wait); ctx.Err() != nil {
			return nil, fmt.Errorf("waiting for the last transaction of %s to end everywhere: %w", id, cmp.Or(err, ctx.Err()))
		}
	}
}

// openEnded returns where a transaction that its coordinator has ended is open.
func (t *Transport) openEnded(ctx context.Context, d *kadm.DescribedTransaction) ([]kadm.DescribedProducer, error) {
	if d.State != "CompleteCommit" && d.State != "CompleteAbort" {
		return nil, nil
	}
	open, err := t.openOf(ctx, d.ProducerID)
	if err != nil || len(open) == 0 {
		return nil, err
	}
	// Open for another that has begun in the meantime?
	again, err := t.admin.awaitMarkers(ctx, d.TxnID)
	if err != nil || again == nil || again.State != d.State || again.ProducerEpoch != d.ProducerEpoch {
		return nil, err
	}
	return open, nil
}

// openOf returns where a producer has a transaction open, among the output topics
// and the group's offsets. What this user may not see is left out.
func (t *Transport) openOf(ctx context.Context, producerID int64) (open []kadm.DescribedProducer, err error) {
	written, err := t.admin.writtenTopics(ctx, t.opts.Outputs, t.opts.Group)
	if err != nil {
		return nil, err
	}
	for _, topics := range written {
		described, err := t.admin.adm.DescribeProducers(ctx, topics)
		if isAuth(err) || err != nil && !isAway(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for open transactions: %w", err)
		}
		described.EachPartition(func(p kadm.DescribedProducersPartition) {
			if p.Err != nil && isAway(p.Err) {
				err = fmt.Errorf("looking for open transactions in %s/%d: %w", p.Topic, p.Partition, p.Err)
			}
			if entry, ok := p.ActiveProducers[producerID]; ok && entry.CurrentTxnStartOffset >= 0 {
				open = append(open, entry)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return open, nil
}

// writtenTopics are those that transactions write to: the outputs and, apart
// because it may not be shown to everybody, the partition of the group's offsets.
func (a *Admin) writtenTopics(ctx context.Context, outputs []string, group string) ([]kadm.TopicsSet, error) {
	found, err := a.describe(ctx, outputs)
	if err != nil {
		return nil, err
	}
	out := kadm.TopicsSet{}
	for name, d := range found {
		for p := range d.Partitions {
			out.Add(name, p)
		}
	}
	internal, err := a.adm.ListTopicsWithInternal(ctx, offsetsTopic)
	if n := len(internal[offsetsTopic].Partitions); err == nil && n > 0 {
		offsets := kadm.TopicsSet{}
		offsets.Add(offsetsTopic, groupPartition(group, n))
		return []kadm.TopicsSet{out, offsets}, nil
	}
	return []kadm.TopicsSet{out}, nil
}

const offsetsTopic = "__consumer_offsets"

// groupPartition returns the partition that keeps a group's offsets: the
// absolute value of Java's String.hashCode, modulo n.
func groupPartition(group string, n int) int32 {
	h := int32(0)
	for _, unit := range utf16.Encode([]rune(group)) {
		h = 31*h + int32(unit)
	}
	if h == math.MinInt32 {
		h = 0
	}
	return max(h, -h) % int32(n)
}

// settle ends what an earlier holder of id has left in a state that the
// coordinator takes for ended. What it left open and undecided is not touched.
func (t *Transport) settle(ctx context.Context, id string) error {
	for {
		d, err := t.admin.awaitMarkers(ctx, id)
		if d == nil || err != nil {
			return err
		}
		open, err := t.openEnded(ctx, d)
		if len(open) == 0 || err != nil {
			return err
		}
		if err := t.endAgain(ctx, id, d.ProducerID, d.ProducerEpoch, d.State == "CompleteCommit", open); err != nil {
			return err
		}
	}
}

// settleAborted ends what is open under a producer id that was just taken over,
// which aborts what was undecided; settle was called before, so nothing else can be.
func (t *Transport) settleAborted(ctx context.Context, id string, producerID int64, epoch int16) error {
	for {
		open, err := t.openOf(ctx, producerID)
		if len(open) == 0 || err != nil {
			return err
		}
		if err := t.endAgain(ctx, id, producerID, epoch, false, open); err != nil {
			return err
		}
	}
}

// endAgain makes a transaction of nothing but the partitions where one is open,
// and ends it, so that the coordinator writes their markers. It does so the way
// of clients from before transaction version 2, which name partitions themselves
// and whose epoch stays.
func (t *Transport) endAgain(ctx context.Context, id string, producerID int64, epoch int16, commit bool, open []kadm.DescribedProducer) error {
	client, err := t.opts.client(kgo.MaxVersions(namingPartitions()))
	if err != nil {
		return err
	}
	defer client.Close()
	outputs := map[string][]int32{}
	for _, o := range open {
		if o.Topic == offsetsTopic {
			err = t.addGroup(ctx, client, id, producerID, epoch)
		} else {
			outputs[o.Topic] = append(outputs[o.Topic], o.Partition)
		}
	}
	if err == nil && len(outputs) > 0 {
		err = addPartitions(ctx, client, id, producerID, epoch, outputs)
	}
	if err == nil {
		err = retryConcurrent(ctx, func() error {
			req := kmsg.NewPtrEndTxnRequest()
			req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = id, producerID, epoch, commit
			resp, err := req.RequestWith(ctx, client)
			if err != nil {
				return err
			}
			return kerr.ErrorForCode(resp.ErrorCode)
		})
	}
	if err == nil {
		_, err = t.admin.awaitMarkers(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("ending a transaction of %s where the brokers forgot to: %w", id, err)
	}
	return nil
}

// namingPartitions are the requests of clients from before transaction version 2.
func namingPartitions() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.AddPartitionsToTxn), 3)
	v.SetMaxKeyVersion(int16(kmsg.TxnOffsetCommit), 4)
	v.SetMaxKeyVersion(int16(kmsg.EndTxn), 4)
	return v
}

func addPartitions(ctx context.Context, client *kgo.Client, id string, producerID int64, epoch int16, topics map[string][]int32) error {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = id, producerID, epoch
	for topic, partitions := range topics {
		rt := kmsg.NewAddPartitionsToTxnRequestTopic()
		rt.Topic, rt.Partitions = topic, partitions
		req.Topics = append(req.Topics, rt)
	}
	return retryConcurrent(ctx, func() error {
		resp, err := req.RequestWith(ctx, client)
		if err != nil {
			return err
		}
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// addGroup makes the group's offsets a part of a transaction, which brokers of
// transaction version 2 do by themselves.
func (t *Transport) addGroup(ctx context.Context, client *kgo.Client, id string, producerID int64, epoch int16) error {
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = id, producerID, epoch, t.opts.Group
	return retryConcurrent(ctx, func() error {
		resp, err := req.RequestWith(ctx, client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
}
