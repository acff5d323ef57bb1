package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
)

// producer is a client that writes the outputs, in transactions where delivery
// is exactly once. It is thrown away with the first transaction whose end is not
// known: another with its transactional id has the brokers decide that one, and
// everything that this one may still have under way is then refused.
type producer struct {
	client   *kgo.Client
	out      *outbox
	id       string // of the transactions; empty without
	produced bool   // something since the last commit

	ended       chan struct{} // closed when it is known what became of the transaction before; nil at first
	endedErr    error         // why the next must not begin
	coordinator int32         // the broker that ended it
}

// openProducer makes the producer. It returns once what an earlier holder of the
// transactional id left open has been ended.
func (t *Transport) openProducer(ctx context.Context) error {
	opts := producerOptions(t.limits)
	if len(t.opts.Placed) > 0 {
		opts = append(opts, kgo.RecordPartitioner(placing{kgo.StickyKeyPartitioner(nil), t.opts.Placed}))
	}
	p := &producer{coordinator: -1}
	if t.opts.ExactlyOnce {
		p.id = t.opts.transactionalID()
		opts = append(opts, kgo.TransactionalID(p.id), kgo.TransactionTimeout(t.opts.TransactionTimeout))
		if !t.implicit {
			opts = append(opts, kgo.MaxVersions(beforeTransactionsV2()))
		}
	}
	var err error
	if p.client, err = t.opts.client(opts...); err != nil {
		return err
	}
	p.out = newOutbox(p.client, t.limits, t.opts.BufferBytes)
	p.out.patience = t.opts.CommitTimeout
	if p.id != "" {
		ctx, cancel := context.WithTimeout(ctx, t.opts.CommitTimeout)
		defer cancel()
		if err := t.takeOver(ctx, p); err != nil {
			p.close()
			return t.explain(fmt.Errorf("taking over transactional id %s: %w", p.id, err))
		}
	}
	t.producer = p
	return nil
}

// takeOver has the brokers end what an earlier holder of the transactional id
// left open, everywhere.
func (t *Transport) takeOver(ctx context.Context, p *producer) error {
	if err := t.settle(ctx, p.id); err != nil {
		return err
	}
	producerID, epoch, err := p.client.ProducerID(ctx)
	if err != nil {
		return err
	}
	return t.settleAborted(ctx, p.id, producerID, epoch)
}

// produce buffers a record into the open transaction, or a new one. Errors:
// *TooLargeError, which changes nothing; any other leaves the transaction's fate
// to renewal.
func (p *producer) produce(out *experiments.Output) error {
	if err := p.out.fits(out); err != nil {
		return err
	}
	if p.id != "" && !p.produced {
		if p.ended != nil {
			if <-p.ended; p.endedErr != nil {
				return p.endedErr
			}
		}
		if err := p.client.BeginTransaction(); err != nil {
			return fmt.Errorf("beginning a transaction: %w", err)
		}
	}
	p.produced = true
	return p.out.send(out, out.Partition)
}

// flush returns when everything that was produced is acknowledged.
func (p *producer) flush(ctx context.Context) error {
	if err := p.client.Flush(ctx); err != nil {
		return fmt.Errorf("waiting for the brokers to take what was produced: %w", err)
	}
	return p.out.takeErr()
}

// end commits the open transaction. After an error it may be committed or not.
func (p *producer) end(ctx context.Context) error {
	if err := p.client.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return fmt.Errorf("ending a transaction: %w", err)
	}
	p.produced = false
	return nil
}

// abort throws away what was produced since the last commit; without
// transactions it is flushed, for it can't be taken back. After an error nothing
// is known of it.
func (p *producer) abort(ctx context.Context) error {
	if !p.produced {
		return nil
	}
	var err error
	if p.id == "" {
		err = p.client.Flush(ctx)
	} else if err = p.client.AbortBufferedRecords(ctx); err == nil {
		err = p.client.EndTransaction(ctx, kgo.TryAbort)
	}
	_ = p.out.takeErr() // it belongs to a commit that will not happen
	if err != nil {
		return fmt.Errorf("aborting a transaction: %w", err)
	}
	p.produced = false
	return nil
}

// close gives up what is under way.
func (p *producer) close() {
	p.client.Close()
	if p.ended != nil {
		<-p.ended
	}
}

// maxFailures is how many commits in a row may fail for the brokers' reasons,
// each time beginning again from what is committed, before the worker is told.
const maxFailures = 8

// renew replaces the producer after cause, so that the transaction that was open
// is ended, one way or the other, and nothing is under way any more. It waits
// for brokers that are away. Its error is the transport's end.
func (t *Transport) renew(cause error) error {
	ctx, cancel := context.WithTimeout(context.Background(), t.opts.OutageTimeout)
	defer cancel()
	t.failures++
	if t.failures > maxFailures {
		return t.die(t.explain(fmt.Errorf("committing failed %d times in a row, the last time so: %w", t.failures, cause)))
	}
	old, ask := t.producer, isFenced(cause)
	old.close()
	if ask {
		t.fenced = append(t.fenced, time.Now())
	}
	for {
		err := untilAnswered(ctx, t.admin.client)
		if err == nil && ask {
			err = t.contended(ctx, old)
			ask = err != nil
		}
		if err == nil {
			err = t.openProducer(ctx)
		}
		switch {
		case err == nil:
			return nil
		case isHopeless(err) || ctx.Err() != nil:
			return t.die(t.explain(fmt.Errorf("connecting again after %w: %w", cause, err)))
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// ContendedError says that two workers use one transactional id.
type ContendedError struct{ ID string }

// Error says what to do.
func (e *ContendedError) Error() string {
	return fmt.Sprintf("another worker uses transactional id %q: give each worker its own, which --state does; two must not share a state directory or a copy of one", e.ID)
}

// maxFenced is how often within one transaction timeout this worker may be
// fenced: once by that timeout, and once by a member that took it for dead.
const maxFenced = 2

// contended returns a *ContendedError when another producer has taken the
// transactional id over and works with it, and nil when the broker, or a member
// that took this worker for dead, has only ended a transaction of it.
func (t *Transport) contended(ctx context.Context, p *producer) error {
	t.fenced = slices.DeleteFunc(t.fenced, func(at time.Time) bool { return time.Since(at) > t.opts.TransactionTimeout })
	if len(t.fenced) > maxFenced {
		return &ContendedError{p.id}
	}
	described, err := t.admin.adm.DescribeTransactions(ctx, p.id)
	if err != nil {
		return err
	}
	switch d := described[p.id]; d.State {
	case "Ongoing", "PrepareCommit", "CompleteCommit":
		return &ContendedError{p.id}
	}
	return nil
}

// untilAnswered waits for a broker, whatever it answers with in the meantime:
// one that is stopping or starting hangs up in many ways.
func untilAnswered(ctx context.Context, client *kgo.Client) error {
	for {
		err := ping(ctx, client)
		if err == nil || isAuth(err) || ctx.Err() != nil {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// pause waits that long, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// isAway reports whether err says that a broker can't be reached or is not
// ready, which waiting may mend.
func isAway(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) || kgo.IsRetryableBrokerErr(err) || kerr.IsRetriable(err) ||
		errors.Is(err, context.DeadlineExceeded)
}

// isFenced reports whether the brokers have given the transactional id's epoch
// to another, or ended a transaction that took too long.
func isFenced(err error) bool {
	return errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch)
}

// isHopeless reports whether neither waiting nor beginning again mends err.
func isHopeless(err error) bool {
	var refused *timestampError
	return isAuth(err) || errors.As(err, &refused) && refused.again || errors.Is(err, experiments.ErrTooLarge) || errors.Is(err, kerr.OffsetMetadataTooLarge) ||
		errors.Is(err, kerr.FencedInstanceID) || errors.Is(err, kerr.InvalidTransactionTimeout) || errors.Is(err, kerr.InvalidGroupID) ||
		errors.Is(err, kerr.UnknownTopicID) || errors.Is(err, kerr.InconsistentTopicID) || errors.As(err, new(*ContendedError))
}
