package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/mortise-dev/mortise/experiments"
)

// Produce implements experiments.Transport. A *TooLargeError leaves the
// transaction as it was; the caller may produce something smaller instead.
func (t *Transport) Produce(out *experiments.Output) error {
	if err := t.usable(); err != nil {
		return err
	}
	err := t.producer.produce(out)
	if err == nil || errors.Is(err, experiments.ErrTooLarge) {
		return err
	}
	return t.fail(err)
}

// Commit implements experiments.Transport. It is not cut short by ctx, which
// would leave it open whether it happened; CommitTimeout bounds it. After an
// error other than ErrRebalanced nothing else works but Close: a new transport
// goes on from what is committed.
func (t *Transport) Commit(ctx context.Context, at map[experiments.TopicPartition]experiments.CommittedOffset) error {
	if err := t.usable(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.opts.CommitTimeout)
	defer cancel()
	if err := t.commit(ctx, at); err != nil {
		return t.fail(err)
	}
	t.failures = 0
	return nil
}

// commit makes outputs and offsets one. Offsets that nothing was produced for
// need no transaction: that they are the group's member's is what fences them,
// with one as without.
func (t *Transport) commit(ctx context.Context, at map[experiments.TopicPartition]experiments.CommittedOffset) error {
	p := t.producer
	if p.produced {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	if len(at) > 0 {
		commit := t.commitOffsets
		if p.produced && p.id != "" {
			commit = t.addOffsets
		}
		if err := t.asMember(ctx, at, commit); err != nil {
			return err
		}
	}
	if !p.produced || p.id == "" {
		p.produced = false
		return nil
	}
	if err := p.end(ctx); err != nil {
		return err
	}
	t.verify(p)
	return nil
}

// verify finds out, beside the worker, whether the transaction that was just
// committed is ended everywhere. The next one does not begin before.
func (t *Transport) verify(p *producer) {
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		ctx, cancel := context.WithTimeout(p.client.Context(), t.opts.CommitTimeout)
		defer cancel()
		p.coordinator, p.endedErr = t.ended(ctx, p.id, p.coordinator)
	}()
}

// fail ends what a failed commit left, and says what the worker is to make of
// it. Whether it was committed is not asked: the group's offsets tell, once they
// are stable.
func (t *Transport) fail(err error) error {
	switch {
	case isHopeless(err):
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		return t.die(t.explain(errors.Join(err, t.producer.abort(ctx))))
	case errors.Is(err, experiments.ErrRebalanced):
		ctx, cancel := context.WithTimeout(context.Background(), t.opts.CommitTimeout)
		defer cancel()
		if t.producer.abort(ctx) == nil {
			return t.breakOff()
		}
	}
	if err := t.renew(err); err != nil {
		return err
	}
	return t.breakOff()
}

// identity is who commits offsets.
type identity struct {
	member     string
	generation int32
	instance   *string // of a static member
}

// asMember commits offsets in the group's current generation. While the group
// is between two generations it waits: the tasks that stay are this member's in
// both. ErrRebalanced says that one of them is not this member's any more.
func (t *Transport) asMember(ctx context.Context, at offsets, commit func(context.Context, offsets, identity) error) error {
	tasks := map[int32]bool{}
	for tp := range at {
		tasks[tp.Partition] = true
	}
	for {
		member, generation, ok := t.group.identity(tasks)
		if !ok {
			return experiments.ErrRebalanced
		}
		id := identity{member: member, generation: generation}
		if t.opts.InstanceID != "" {
			id.instance = &t.opts.InstanceID
		}
		err := commit(ctx, at, id)
		if !isRebalance(err) {
			return err
		}
		pause(ctx, 20*time.Millisecond)
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for consumer group %s to settle: %w", t.opts.Group, err)
		}
	}
}

// addOffsets makes offsets part of the open transaction. They are the group's
// when that is committed, and not stable until it is ended.
func (t *Transport) addOffsets(ctx context.Context, at offsets, as identity) error {
	p := t.producer
	id, epoch, err := p.client.ProducerID(ctx)
	if err == nil && !t.implicit {
		err = t.addGroup(ctx, p.client, p.id, id, epoch)
	}
	if err != nil {
		return fmt.Errorf("adding offsets to a transaction: %w", err)
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.id, id, epoch
	req.Group, req.MemberID, req.Generation, req.InstanceID = t.opts.Group, as.member, as.generation, as.instance
	for _, topic := range t.topics {
		rt := kmsg.NewTxnOffsetCommitRequestTopic()
		rt.Topic, rt.TopicID = topic.name, topic.id
		for tp, c := range at {
			if tp.Topic == topic.name {
				rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
				rp.Partition, rp.Offset, rp.Metadata = tp.Partition, c.Next, &c.Metadata
				rt.Partitions = append(rt.Partitions, rp)
			}
		}
		if len(rt.Partitions) > 0 {
			req.Topics = append(req.Topics, rt)
		}
	}
	return retryConcurrent(ctx, func() error {
		resp, err := req.RequestWith(ctx, p.client)
		if err != nil {
			return fmt.Errorf("adding offsets to a transaction: %w", err)
		}
		for _, topic := range resp.Topics {
			for _, p := range topic.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("adding the offset of %s/%d to a transaction: %w", t.nameOf(topic.Topic, topic.TopicID), p.Partition, err)
				}
			}
		}
		return nil
	})
}

// retryConcurrent calls fn again while the transaction before is still being
// ended in some partition.
func retryConcurrent(ctx context.Context, fn func() error) error {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := fn()
		if !errors.Is(err, kerr.ConcurrentTransactions) || ctx.Err() != nil {
			return err
		}
		pause(ctx, wait)
	}
}

// commitOffsets commits offsets by themselves.
func (t *Transport) commitOffsets(ctx context.Context, at offsets, as identity) error {
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation, req.InstanceID = t.opts.Group, as.member, as.generation, as.instance
	for _, topic := range t.topics {
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic, rt.TopicID = topic.name, topic.id
		for tp, c := range at {
			if tp.Topic == topic.name {
				rp := kmsg.NewOffsetCommitRequestTopicPartition()
				rp.Partition, rp.Offset, rp.Metadata = tp.Partition, c.Next, &c.Metadata
				rt.Partitions = append(rt.Partitions, rp)
			}
		}
		if len(rt.Partitions) > 0 {
			req.Topics = append(req.Topics, rt)
		}
	}
	resp, err := req.RequestWith(ctx, t.admin.client)
	if err != nil {
		return fmt.Errorf("committing offsets: %w", err)
	}
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("committing the offset of %s/%d: %w", t.nameOf(topic.Topic, topic.TopicID), p.Partition, err)
			}
		}
	}
	return nil
}

// isRebalance reports whether the group has moved on to a generation that the
// commit was not made in, or is about to.
func isRebalance(err error) bool {
	return errors.Is(err, kerr.IllegalGeneration) || errors.Is(err, kerr.UnknownMemberID) ||
		errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.GroupIDNotFound) || errors.Is(err, kerr.StaleMemberEpoch)
}

// explain adds what to do to errors whose names do not tell.
func (t *Transport) explain(err error) error {
	switch {
	case errors.As(err, new(*ContendedError)):
		return err
	case isFenced(err):
		return fmt.Errorf("%w: another worker uses transactional id %q, or transactions take longer than %s: give each worker its own id",
			err, t.opts.transactionalID(), t.opts.TransactionTimeout)
	case errors.Is(err, kerr.OffsetMetadataTooLarge):
		return fmt.Errorf("%w: raise the broker's offset.metadata.max.bytes", err)
	case errors.Is(err, kerr.FencedInstanceID):
		return fmt.Errorf("%w: another member of group %s uses kafka.instance_id %q", err, t.opts.Group, t.opts.InstanceID)
	case errors.Is(err, kerr.InvalidTransactionTimeout):
		return fmt.Errorf("%w: the broker's transaction.max.timeout.ms is below %s", err, t.opts.TransactionTimeout)
	case errors.Is(err, kerr.InvalidSessionTimeout):
		return fmt.Errorf("%w: %s is outside the broker's group.min.session.timeout.ms and group.max.session.timeout.ms", err, t.opts.SessionTimeout)
	case errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InconsistentTopicID):
		return fmt.Errorf("%w: the topic was made anew while it was in use: begin again with another --group", err)
	}
	return err
}
