package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mortise-dev/mortise/experiments"
)

// maxFailures is how many commits in a row may fail for the broker's reasons,
// each time beginning again from what is committed, before the worker is told.
const maxFailures = 5

// Produce implements experiments.Transport. A *TooLargeError leaves the
// transaction as it was; the caller may produce something smaller instead.
func (t *Transport) Produce(out *experiments.Output) error {
	if t.fatal != nil {
		return t.fatal
	}
	if t.txn != nil && !t.inTxn {
		if err := t.txn.Begin(); err != nil {
			return t.die(t.explain(fmt.Errorf("beginning a transaction: %w", err)))
		}
		t.inTxn = true
	}
	return t.out.put(out)
}

// Commit implements experiments.Transport. It is not cut short by ctx, which
// would leave it open whether it happened; CommitTimeout bounds it. After an
// error other than ErrRebalanced nothing else works but Close: a new transport
// goes on from what is committed.
func (t *Transport) Commit(ctx context.Context, offsets map[experiments.TopicPartition]experiments.CommittedOffset) error {
	if t.fatal != nil {
		return t.fatal
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.opts.CommitTimeout)
	defer cancel()
	s := t.live()
	if s == nil {
		if err := t.abort(ctx); err != nil {
			return err
		}
		return experiments.ErrRebalanced
	}
	if err := t.client.Flush(ctx); err != nil {
		return t.die(fmt.Errorf("waiting for the brokers to take what was produced, for %s: %w", t.opts.CommitTimeout, err))
	}
	if err := t.out.takeErr(); err != nil {
		if t.txn != nil {
			err = errors.Join(err, t.abortTransaction(ctx))
		}
		return t.die(t.explain(err))
	}
	if len(offsets) == 0 && !t.inTxn {
		return nil
	}
	var err error
	if t.txn != nil {
		err = t.commitTransaction(ctx, s, offsets)
	} else {
		err = t.commitOffsets(ctx, s, offsets)
	}
	return t.settle(ctx, s, err)
}

// errNotCommitted says that the broker, for reasons of its own, did not commit
// what it could be asked again.
var errNotCommitted = errors.New("the broker did not commit the transaction")

// settle decides what a commit's result means for the worker.
func (t *Transport) settle(ctx context.Context, s *session, err error) error {
	switch {
	case err == nil:
		t.failures = 0
		return nil
	case isAway(err) && !isRebalance(err) && t.failures < maxFailures:
		return t.reopen(ctx, err)
	case s.isOver(), isRebalance(err):
		t.restart(s)
		return experiments.ErrRebalanced
	case errors.Is(err, errNotCommitted) && t.failures < maxFailures:
		t.failures++
		t.restart(s)
		return experiments.ErrRebalanced
	}
	return t.die(t.explain(fmt.Errorf("committing to consumer group %s: %w", t.opts.Group, err)))
}

// commitTransaction commits offsets and what was produced, all or nothing.
func (t *Transport) commitTransaction(ctx context.Context, s *session, offsets map[experiments.TopicPartition]experiments.CommittedOffset) error {
	if !t.inTxn {
		t.awaitMarkers(ctx) // with outputs, their being taken shows as much
		if err := t.txn.Begin(); err != nil {
			return fmt.Errorf("beginning a transaction: %w", err)
		}
	}
	t.inTxn, t.marking = false, true
	if len(offsets) == 0 {
		// Not by way of the session, which takes a commit without offsets for
		// one to an old broker and waits half a second.
		return t.client.EndTransaction(ctx, kgo.TryCommit)
	}
	ctx = kgo.PreTxnCommitFnContext(ctx, func(req *kmsg.TxnOffsetCommitRequest) error {
		if req.MemberID != s.member || req.Generation != s.generation {
			return experiments.ErrRebalanced // these offsets are an earlier assignment's
		}
		req.Topics = req.Topics[:0]
		for topic, byPartition := range byTopic(offsets) {
			rt := kmsg.NewTxnOffsetCommitRequestTopic()
			rt.Topic = topic
			for partition, c := range byPartition {
				rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
				rp.Partition, rp.Offset, rp.Metadata = partition, c.Next, &c.Metadata
				rt.Partitions = append(rt.Partitions, rp)
			}
			req.Topics = append(req.Topics, rt)
		}
		return nil
	})
	committed, err := t.txn.End(ctx, kgo.TryCommit)
	if err == nil && !committed {
		err = errNotCommitted
	}
	return err
}

// commitOffsets commits offsets by themselves, after what was produced.
func (t *Transport) commitOffsets(ctx context.Context, s *session, offsets map[experiments.TopicPartition]experiments.CommittedOffset) error {
	grouped := byTopic(offsets)
	at := make(map[string]map[int32]kgo.EpochOffset, len(grouped))
	for topic, byPartition := range grouped {
		at[topic] = make(map[int32]kgo.EpochOffset, len(byPartition))
		for partition, c := range byPartition {
			at[topic][partition] = kgo.EpochOffset{Epoch: -1, Offset: c.Next}
		}
	}
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		if req.MemberID != s.member || req.Generation != s.generation {
			return experiments.ErrRebalanced
		}
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				p := &req.Topics[i].Partitions[j]
				metadata := grouped[req.Topics[i].Topic][p.Partition].Metadata
				p.Metadata = &metadata
			}
		}
		return nil
	})
	var result error
	t.client.CommitOffsetsSync(ctx, at, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		result = commitResult(resp, err)
	})
	return result
}

func commitResult(resp *kmsg.OffsetCommitResponse, err error) error {
	if err != nil {
		return err
	}
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("%s/%d: %w", topic.Topic, p.Partition, err)
			}
		}
	}
	return nil
}

func byTopic(offsets map[experiments.TopicPartition]experiments.CommittedOffset) map[string]map[int32]experiments.CommittedOffset {
	grouped := map[string]map[int32]experiments.CommittedOffset{}
	for tp, c := range offsets {
		if grouped[tp.Topic] == nil {
			grouped[tp.Topic] = map[int32]experiments.CommittedOffset{}
		}
		grouped[tp.Topic][tp.Partition] = c
	}
	return grouped
}

// abort throws away what was produced since the last commit; ErrRebalanced says
// that the assignment was lost over it. Without
// transactions there is nothing that could be taken back: it is only flushed.
func (t *Transport) abort(ctx context.Context) error {
	if t.txn == nil {
		err := t.client.Flush(ctx)
		_ = t.out.takeErr() // it belongs to a commit that will not happen
		return err
	}
	err := t.abortTransaction(ctx)
	switch {
	case err == nil:
		return nil
	case isAway(err) && t.failures < maxFailures:
		return t.reopen(ctx, err)
	}
	return t.die(t.explain(err))
}

func (t *Transport) abortTransaction(ctx context.Context) error {
	t.inTxn, t.marking = false, t.marking || t.inTxn
	// Outside a transaction too: the session forgets that it was revoked, which
	// would otherwise make it abort the next commit.
	_, err := t.txn.End(ctx, kgo.TryAbort)
	_ = t.out.takeErr()
	if err != nil {
		return fmt.Errorf("aborting a transaction: %w", err)
	}
	return nil
}

func isRebalance(err error) bool {
	return errors.Is(err, experiments.ErrRebalanced) || errors.Is(err, kerr.IllegalGeneration) ||
		errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.RebalanceInProgress)
}

// explain adds what to do to errors whose names do not tell.
func (t *Transport) explain(err error) error {
	switch {
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch):
		return fmt.Errorf("%w: another worker uses transactional id %q, or the transaction took longer than %s: give each worker its own id",
			err, t.opts.TransactionalID+t.opts.TransactionalIDSuffix, t.opts.TransactionTimeout)
	case errors.Is(err, kerr.OffsetMetadataTooLarge):
		return fmt.Errorf("%w: raise the broker's offset.metadata.max.bytes", err)
	case errors.Is(err, kerr.FencedInstanceID):
		return fmt.Errorf("%w: another member of group %s uses kafka.instance_id %q", err, t.opts.Group, t.opts.InstanceID)
	case errors.Is(err, kerr.InvalidTransactionTimeout):
		return fmt.Errorf("%w: the broker's transaction.max.timeout.ms is below %s", err, t.opts.TransactionTimeout)
	}
	return err
}
