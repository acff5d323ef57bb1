package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/mortise-dev/mortise/experiments"
)

// Log reads every partition of some topics without a consumer group: its user
// keeps the offsets, and nobody else is given a share. One goroutine uses it.
type Log struct {
	admin *Admin
	in    *intake
	parts []experiments.TopicPartition
}

// OpenLog connects and looks at the topics, which must exist and need not have
// the same number of partitions. holdBytes is how much a paused partition may
// hold back. Errors: *ConnectError, *MissingTopicError.
func OpenLog(ctx context.Context, c Connection, topics []string, holdBytes int) (_ *Log, err error) {
	l := &Log{}
	if l.admin, err = OpenAdmin(ctx, c); err != nil {
		return nil, err
	}
	found, err := l.admin.describe(ctx, topics)
	if err != nil {
		l.admin.Close()
		return nil, err
	}
	for _, name := range topics {
		for p := range found[name].Partitions {
			l.parts = append(l.parts, experiments.TopicPartition{Topic: name, Partition: p})
		}
	}
	slices.SortFunc(l.parts, compareParts)
	client, err := c.client()
	if err != nil {
		l.admin.Close()
		return nil, err
	}
	l.in = newIntake(client, l.admin, holdBytes)
	return l, nil
}

// Partitions lists all partitions of the topics.
func (l *Log) Partitions() []experiments.TopicPartition { return l.parts }

// Start begins reading partitions at these offsets; experiments.OffsetEarliest
// and OffsetLatest stand for offsets too. The next Poll reports each of them,
// with records or without. A *experiments.GapError leaves all of them not started.
func (l *Log) Start(offsets map[experiments.TopicPartition]int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	lanes, err := l.admin.lanes(ctx, offsets)
	if err != nil {
		return err
	}
	l.in.add(lanes)
	return nil
}

// Starts returns the first offset that each partition still holds, asked of the
// brokers now.
func (l *Log) Starts(ctx context.Context) (map[experiments.TopicPartition]int64, error) {
	return listParts(ctx, l.admin.adm.ListStartOffsets, l.parts)
}

// HoldsSince returns the time from which on a topic holds every record, by its
// records' own timestamps, ms UTC: math.MinInt64 where nothing is gone. With
// partitions it is that of those alone.
func (a *Admin) HoldsSince(ctx context.Context, topic string, partitions ...int32) (int64, error) {
	starts, err := list(ctx, a.adm.ListStartOffsets, []string{topic})
	if err != nil {
		return 0, fmt.Errorf("asking where %s begins: %w", topic, err)
	}
	since := int64(math.MinInt64)
	var firsts kadm.ListedOffsets
	for tp, start := range starts {
		if start == 0 || len(partitions) > 0 && !slices.Contains(partitions, tp.Partition) {
			continue
		}
		if firsts == nil {
			if firsts, err = a.adm.ListOffsetsAfterMilli(ctx, 0, topic); err == nil {
				err = firsts.Error()
			}
			if err != nil {
				return 0, fmt.Errorf("asking where %s begins: %w", topic, err)
			}
		}
		first := time.Now().UnixMilli() // nothing is left of it
		if o, ok := firsts.Lookup(topic, tp.Partition); ok && o.Timestamp >= 0 {
			first = o.Timestamp
		}
		since = max(since, first)
	}
	return since, nil
}

// Stop ends the reading of partitions, which may be started anew.
func (l *Log) Stop(parts []experiments.TopicPartition) { l.in.remove(parts) }

const startTimeout = time.Minute

// Poll waits at most wait for records and returns what came, maybe nothing; it is
// valid until the next call. Brokers that are away are waited for. A
// *experiments.GapError says that retention has overtaken the reader.
func (l *Log) Poll(ctx context.Context, maxRecords int, wait time.Duration) ([]experiments.Fetched, error) {
	l.in.watchEnds()
	if !l.in.ready() {
		waiting, cancel := context.WithTimeout(ctx, wait)
		err := l.in.fill(waiting)
		idle := errors.Is(waiting.Err(), context.DeadlineExceeded)
		cancel()
		switch {
		case err != nil:
			return nil, l.unread(ctx, err)
		case idle:
			l.in.skipInvisible(l.admin)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return l.in.take(maxRecords), nil
}

// unread says what a failed fetch means.
func (l *Log) unread(ctx context.Context, err error) error {
	var gone *outOfRangeError
	if !errors.As(err, &gone) {
		return err
	}
	if _, gap := l.admin.lanes(ctx, map[experiments.TopicPartition]int64{gone.tp: gone.need}); gap != nil {
		return gap
	}
	return err
}

// Ends returns the partitions' ends as read_committed readers see them, asked of
// the brokers now.
func (l *Log) Ends(ctx context.Context) (map[experiments.TopicPartition]int64, error) {
	ends, err := l.admin.ends(ctx, l.parts)
	if err != nil {
		return nil, fmt.Errorf("asking where topics end: %w", err)
	}
	l.in.learnEnds(ends)
	return ends, nil
}

// SetPaused makes exactly these partitions paused.
func (l *Log) SetPaused(parts []experiments.TopicPartition) { l.in.setPaused(parts) }

// Close closes the connections.
func (l *Log) Close() {
	l.in.close()
	l.admin.Close()
}
