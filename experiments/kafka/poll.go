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
	if err := t.usable(); err != nil {
		return nil, err
	}
	if maxRecords <= 0 {
		maxRecords = 1 << 14
	}
	t.in.watchEnds()
	if changed, news := t.group.news(); !news && !t.in.ready() {
		if err := t.fillWithin(ctx, changed, wait); err != nil {
			return nil, t.unread(ctx, err)
		}
	}
	if t.group.isLost() {
		return nil, t.breakOff()
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return t.in.take(maxRecords), nil
}

// unread says what a failed fetch means for the worker.
func (t *Transport) unread(ctx context.Context, err error) error {
	var gone *outOfRangeError
	if !errors.As(err, &gone) {
		return t.die(err)
	}
	_, err = t.admin.lanes(ctx, map[experiments.TopicPartition]int64{gone.tp: gone.need})
	if errors.As(err, new(*experiments.GapError)) {
		return t.die(err)
	}
	return t.breakOff() // it is there after all
}

// fillWithin waits for records, until the wait or ctx ends or the assignment
// changes.
func (t *Transport) fillWithin(ctx context.Context, changed <-chan struct{}, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	go func() {
		select {
		case <-changed:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := t.in.fill(ctx); err != nil {
		return err
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.in.skipInvisible(t.admin)
	}
	return nil
}

// fetchError says what an error in a fetch means for the reader; nil for one
// that the client mends by itself, or that only ends a wait.
func fetchError(topic string, p *kgo.FetchPartition) error {
	switch {
	case errors.Is(p.Err, context.Canceled), errors.Is(p.Err, context.DeadlineExceeded):
		return nil
	case errors.Is(p.Err, kerr.TopicAuthorizationFailed):
		return fmt.Errorf("reading %s: the broker does not allow this user to read it: %w", topic, p.Err)
	case topic == "":
		return fmt.Errorf("reading from Kafka: %w", p.Err)
	}
	return fmt.Errorf("reading %s/%d: %w", topic, p.Partition, p.Err)
}
