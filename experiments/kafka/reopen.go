package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
)

// A broker that goes away in the middle of a commit leaves open whether it
// happened, and a client that went on could commit what it means to have
// aborted. So the transport then begins anew with another client. Its
// transactional id has the brokers end what the old one left open, one way or
// the other, before they tell the group's offsets.

// isAway reports whether err says that a broker can't be reached or is not
// ready, which waiting may mend.
func isAway(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) || kgo.IsRetryableBrokerErr(err) || kerr.IsRetriable(err)
}

// reopen waits until a broker answers and replaces the client. What is not
// committed is gone, and the assignment over: on success it returns ErrRebalanced.
func (t *Transport) reopen(ctx context.Context, cause error) error {
	t.failures++
	if s := t.latest(); s != nil {
		s.end()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.opts.CommitTimeout)
	defer cancel()
	err := untilAnswered(ctx, t.admin.client)
	if err == nil {
		t.client.Close()
		t.inTxn, t.marking = false, false
		err = t.open(ctx)
	}
	if err != nil {
		return t.die(t.explain(fmt.Errorf("connecting again after %w: %w", cause, err)))
	}
	return experiments.ErrRebalanced
}

// untilAnswered waits for a broker, whatever it answers with in the meantime:
// one that is stopping or starting hangs up in many ways.
func untilAnswered(ctx context.Context, client *kgo.Client) error {
	for {
		err := ping(ctx, client)
		if err == nil || isAuth(err) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
