package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mortise-dev/mortise/experiments"
)

// Poll implements experiments.Transport.
func (t *Transport) Poll(ctx context.Context, maxRecords int, wait time.Duration) ([]experiments.Fetched, error) {
	if t.fatal != nil {
		return nil, t.fatal
	}
	s := t.live()
	if s == nil {
		if latest := t.latest(); latest != nil && latest.started {
			return nil, experiments.ErrRebalanced
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		return nil, ctx.Err()
	}
	if maxRecords <= 0 {
		maxRecords = 1 << 14
	}
	if !t.in.ready() {
		if err := t.fillWithin(ctx, s, wait); err != nil {
			return nil, t.die(err)
		}
	}
	if s.isOver() {
		return nil, experiments.ErrRebalanced
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return t.in.take(maxRecords), nil
}

// fillWithin waits for records, until the wait, ctx or the session ends.
func (t *Transport) fillWithin(ctx context.Context, s *session, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	go func() {
		select {
		case <-s.over:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := t.in.fill(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil && !s.isOver() {
		t.in.skipInvisible(t.admin)
	}
	return nil
}

// fetchError says what an error in a fetch means for the reader; nil for one
// that the client mends by itself, or that only ends a wait.
func fetchError(topic string, p *kgo.FetchPartition) error {
	var group *kgo.ErrGroupSession
	switch {
	case errors.Is(p.Err, context.Canceled), errors.Is(p.Err, context.DeadlineExceeded):
		return nil
	case errors.As(p.Err, &group) && !isFinal(p.Err):
		return nil // the session's end is told by onLost
	case errors.Is(p.Err, kerr.OffsetOutOfRange):
		return fmt.Errorf("reading %s/%d: the offset to go on from is not in the topic any more (it begins at %d, ends at %d): "+
			"retention removed it, or the topic was recreated; raise the topic's retention above window plus outage, "+
			"and begin again with another --group", topic, p.Partition, p.LogStartOffset, p.HighWatermark)
	case errors.Is(p.Err, kerr.TopicAuthorizationFailed):
		return fmt.Errorf("reading %s: the broker does not allow this user to read it: %w", topic, p.Err)
	case topic == "":
		return fmt.Errorf("reading from Kafka: %w", p.Err)
	}
	return fmt.Errorf("reading %s/%d: %w", topic, p.Partition, p.Err)
}
