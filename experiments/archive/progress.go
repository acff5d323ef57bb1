package archive

import (
	"context"
	"slices"
	"time"

	"github.com/mortise-dev/mortise/joiner"
)

// Join tells how far the join has come. Every call asks the brokers; errors that
// pass are the caller's to outlast.
type Join interface {
	// Tasks returns the join's tasks, all of them, as its group has committed them.
	Tasks(ctx context.Context) ([]Task, error)
	// Written returns where each partition of the rows' topic ends now, what is not
	// committed included: rows that an offset committed before the call speaks of
	// lie before.
	Written(ctx context.Context) (map[int32]int64, error)
	// NextRow returns the offset of the first record of a partition of the rows'
	// topic from an offset on that can be read, or where the partition ends for readers.
	NextRow(ctx context.Context, partition int32, from int64) (int64, error)
}

// Task is where one task of the join stands.
type Task struct {
	Partition int32
	// Committed is what it committed last; nil when it never did.
	Committed *joiner.Snapshot
	// Behind says that an input has records that it has not committed having read.
	// Where the join is to come to an end, those count that are there when all input is.
	Behind bool
}

// isDrained reports whether there is no impression whose row is still to come, of
// those that lie in the inputs now.
func (t *Task) isDrained() bool {
	return t.Committed != nil && !t.Behind && t.Pending() == 0
}

// Pending returns how many impressions are held, over all experiments.
func (t *Task) Pending() (n int64) {
	if t.Committed == nil {
		return 0
	}
	for i := range t.Committed.Ledgers {
		n += t.Committed.Ledgers[i].Impressions.Pending
	}
	return n
}

// allDrained reports whether no row is to come any more of what lies in the inputs.
func allDrained(tasks []Task) bool {
	return len(tasks) > 0 && !slices.ContainsFunc(tasks, func(t Task) bool { return !t.isDrained() })
}

// closing follows the tasks, to tell which of them are idle: drained, and where
// they stood, for idleAfter.
type closing struct {
	idleAfter time.Duration // 0: no task is ever idle
	drained   map[int32]drained
}

type drained struct {
	offsets []int64
	since   time.Time
}

// bound returns the event time before which all impressions are closed and their
// rows committed, in all tasks: the least of their cursors. A task that is idle
// holds it back no more than a partition that is idle holds a watermark back;
// where all are, the furthest counts, which goes on with the clock. False: there
// is no such time yet.
func (c *closing) bound(tasks []Task, now time.Time) (beforeMS int64, ok bool) {
	least, furthest := int64(joiner.NoTimeMS), int64(joiner.NoTimeMS)
	holding := false
	for i := range tasks {
		t := &tasks[i]
		if t.Committed == nil {
			return 0, false
		}
		at := t.Committed.Cursor.TimeMS
		furthest = max(furthest, at)
		if c.isIdle(t, now) {
			continue
		}
		if !holding || at < least {
			least = at
		}
		holding = true
	}
	if !holding {
		least = furthest
	}
	return least, least != joiner.NoTimeMS
}

func (c *closing) isIdle(t *Task, now time.Time) bool {
	if c.drained == nil {
		c.drained = map[int32]drained{}
	}
	if !t.isDrained() || c.idleAfter <= 0 {
		delete(c.drained, t.Partition)
		return false
	}
	d, ok := c.drained[t.Partition]
	if !ok || !slices.Equal(d.offsets, t.Committed.Offsets) {
		d = drained{slices.Clone(t.Committed.Offsets), now}
		c.drained[t.Partition] = d
	}
	return now.Sub(d.since) >= c.idleAfter
}
