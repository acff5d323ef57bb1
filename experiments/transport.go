package experiments

import (
	"context"
	"errors"
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
}

// Output is one record to be produced.
type Output struct {
	Topic       string
	Key, Value  []byte // copied by Produce
	TimestampMS int64
	Headers     []Header
}

// Header is one Kafka record header.
type Header struct {
	Key   string
	Value []byte
}

// ErrRebalanced says that the group gave this worker's partitions out anew.
// What was produced since the last commit is aborted, and the offsets were not
// committed: the worker calls Assignment and begins again from what it returns.
var ErrRebalanced = errors.New("the consumer group rebalanced")

// ErrTooLarge says that a topic does not take a record of this size. The
// transaction goes on: something smaller may be produced instead.
var ErrTooLarge = errors.New("record too large")

// Transport is a worker's two Kafka ends: what it reads, what it writes, and
// the commit that joins them. One goroutine uses it. Errors that retrying can
// mend are retried inside; what comes out stops the worker.
type Transport interface {
	// Assignment returns the partitions that this worker owns now, after
	// waiting until it has some (or ctx ends), with what the group committed
	// for each. It is called once before the first Poll and again whenever Poll
	// returns ErrRebalanced.
	Assignment(ctx context.Context) (map[TopicPartition]CommittedOffset, error)
	// Start sets where reading begins for each owned partition; OffsetEarliest
	// and OffsetLatest stand for offsets too. The first Poll after it reports
	// every partition, with records or without.
	Start(offsets map[TopicPartition]int64) error
	// Poll waits at most wait for records and returns what came, maybe nothing.
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
	// offsets, in one transaction where delivery is exactly_once.
	Commit(ctx context.Context, offsets map[TopicPartition]CommittedOffset) error
	// Close aborts what is open and leaves the group.
	Close() error
}
