package experiments

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

// TopicPartition names one partition of one topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// CommittedOffset is a consumer group's position in one partition, with the
// metadata that a worker stores beside it.
type CommittedOffset struct {
	Next     int64 // the next offset to read; -1 when nothing is committed
	Metadata string
}

// Fetched is what one poll brought from one partition.
type Fetched struct {
	TopicPartition
	Records       []mortise.Record // in offset order; Source is left 0; valid until the next Poll
	Next          int64            // the next offset to read after Records (past compaction gaps and transaction markers)
	HighWatermark int64            // the partition's end offset as last seen (last stable offset)
	// EndAsOfMS is when HighWatermark was the end, ms UTC of wall time. A partition to
	// which nothing comes is reported again, without records, while its broker says that
	// it still ends there. 0: HighWatermark holds until it is reported otherwise.
	EndAsOfMS int64
	// CompleteMS is set by a transport that delivers in order of event time: all
	// records of the partition up to and at that time, ms UTC, have come. 0 is not known.
	CompleteMS int64
}

// Output is one record to be produced.
type Output struct {
	Topic       string
	Key, Value  []byte // copied by Produce; a nil Value is a tombstone
	Placed      bool   // it goes into Partition, not to where its key belongs
	Partition   int32
	TimestampMS int64
	Headers     []Header // copied by Produce
}

// Header is one record header.
type Header = mortise.Header

// ErrRebalanced says that the transport lost what this worker owned: the group
// gave it to others without asking, another worker has fenced this one, or what
// was produced since the last commit could not be committed. That is aborted,
// and no offset has moved. What the worker owns now, or still, comes anew out
// of Assigned.
var ErrRebalanced = errors.New("the consumer group rebalanced")

// ErrTooLarge says that a topic does not take a record of this size. The
// transaction goes on: something smaller may be produced instead.
var ErrTooLarge = errors.New("record too large")

// Assignment is how what a worker owns has changed. Partitions of one number
// come and go together, over all topics that are read.
type Assignment struct {
	// Gained are partitions that the worker owns from now on, with what the group
	// committed for each, read after their last owner's work was decided. They are
	// not read before Start.
	Gained map[TopicPartition]CommittedOffset
	// Revoked are partitions that the group wants back. They stay the worker's
	// until it calls Release, so that it can commit what it did for them; the group
	// waits that long, within bounds, while all other partitions go on.
	Revoked []TopicPartition
}

// GapError says that a log no longer holds what has to be read.
type GapError struct{ Gaps []Gap }

// Gap is a stretch of a partition that is gone.
type Gap struct {
	TopicPartition
	Need     int64 // the first offset that has to be read
	First    int64 // the first that is there
	FirstMS  int64 // its timestamp, ms UTC; 0 when the partition is empty
	Recreate bool  // Need lies beyond the end: the topic was made anew
}

// Error names every partition, and what can be done.
func (e *GapError) Error() string {
	var b strings.Builder
	b.WriteString("the log no longer holds what has to be read again:")
	for _, g := range e.Gaps {
		switch {
		case g.Recreate:
			fmt.Fprintf(&b, " %s[%d] ends before offset %d, so the topic was made anew;", g.Topic, g.Partition, g.Need)
		case g.FirstMS == 0:
			fmt.Fprintf(&b, " %s[%d] from offset %d to %d, and nothing is left of it;", g.Topic, g.Partition, g.Need, g.First)
		default:
			fmt.Fprintf(&b, " %s[%d] from offset %d to %d, the first left being of %s;", g.Topic, g.Partition, g.Need, g.First,
				time.UnixMilli(g.FirstMS).UTC().Format(time.RFC3339))
		}
	}
	b.WriteString(" retention removed it: go on without it, counting what is lost, with --accept-gap, or begin anew with another --group; " +
		"keep the topics longer than the window and the longest outage together")
	return b.String()
}

// Transport is a worker's two Kafka ends: what it reads, what it writes, and
// the commit that joins them. One goroutine uses it. Errors that retrying can
// mend are retried inside. ErrRebalanced may come out of every call but Abort and
// Close; any other error stops the worker.
type Transport interface {
	// Assigned returns what has changed since the last call, empty when nothing
	// has. It does not wait. A partition may be revoked before it was started.
	Assigned() (Assignment, error)
	// Start begins reading gained partitions at these offsets; OffsetEarliest and
	// OffsetLatest stand for offsets too. The next Poll reports each of them, with
	// records or without. A *GapError leaves all of them not started; they may be
	// started elsewhere. One that is being read begins anew at its new offset.
	Start(offsets map[TopicPartition]int64) error
	// Release gives revoked partitions up. What was produced for them and is not
	// committed goes into the next commit, so the worker commits first.
	Release(parts []TopicPartition) error
	// Poll waits at most wait for records and returns what came, maybe nothing. It
	// returns early when the assignment changes.
	Poll(ctx context.Context, maxRecords int, wait time.Duration) ([]Fetched, error)
	// Ends returns the end offsets (last stable) of partitions, asked of the broker now.
	Ends(ctx context.Context, parts []TopicPartition) (map[TopicPartition]int64, error)
	// SetPaused makes exactly these partitions paused: buffered records of a
	// paused partition are kept back, not lost.
	SetPaused(parts []TopicPartition)
	// Produce buffers one record into the open transaction, opening one if
	// need be. It blocks while the buffer is full. Failures surface in Commit,
	// but for ErrTooLarge.
	Produce(out *Output) error
	// Commit flushes what was produced and commits it together with the
	// offsets, in one transaction where delivery is exactly_once. After nil it is
	// committed; after ErrRebalanced it may be or not: what Assigned then says is
	// committed tells.
	Commit(ctx context.Context, offsets map[TopicPartition]CommittedOffset) error
	// Abort throws away what was produced since the last commit and reads nothing
	// more: Assigned reports anew all that the worker owns.
	Abort(ctx context.Context) error
	// Close aborts what is open and leaves the group.
	Close() error
}
