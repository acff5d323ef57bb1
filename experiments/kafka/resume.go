package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/zeebo/xxh3"
)

// A publisher that was killed begins again from its first record. What it has
// published is in the topics, so it passes over as many records of each
// partition as are there, and makes sure that they are the same ones.

// Published is what a partition holds of a publication that was cut short.
type Published struct {
	Records int64
	Sum     uint64 // over keys and values, in order
}

// add takes one more record into account.
func (p *Published) add(key, value []byte) {
	p.Records++
	p.Sum = xxh3.HashSeed(value, xxh3.HashSeed(key, p.Sum))
}

// ReadPublished sums up what each partition of topic holds from the offset in
// from on.
func ReadPublished(ctx context.Context, c Connection, topic string, from []int64) ([]Published, error) {
	there := make([]Published, len(from))
	err := Tail(ctx, c, topic, true, func(m *Message) error {
		if int(m.Partition) >= len(from) {
			return fmt.Errorf("topic %s has more partitions than when publishing to it began", topic)
		}
		if m.Offset >= from[m.Partition] {
			there[m.Partition].add(m.Key, m.Value)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading what was published to %s: %w", topic, err)
	}
	return there, nil
}

// ErrPublishedOther says that a topic holds other records than those that are
// to be published.
var ErrPublishedOther = errors.New("its records are not those of the inputs: something else has written to it, or the inputs have changed")

// outLane is one topic on its way out.
type outLane struct {
	partitions int
	turn       int         // of records without a key
	there      []Published // by partition; nil when there is nothing to pass over
	met        []Published
}

// choose returns a record's partition: Kafka's default for keys. Records without
// a key go round the partitions, so that publishing the same records twice gives
// the same partitions.
func (l *outLane) choose(key []byte) int {
	if key != nil {
		return PartitionOf(key, l.partitions)
	}
	p := l.turn
	l.turn = (l.turn + 1) % l.partitions
	return p
}

// passOver reports whether the record is in the partition already.
func (l *outLane) passOver(partition int, key, value []byte) (bool, error) {
	if len(l.there) == 0 || l.met[partition].Records == l.there[partition].Records {
		return false, nil
	}
	met, there := &l.met[partition], &l.there[partition]
	met.add(key, value)
	if met.Records == there.Records && met.Sum != there.Sum {
		return false, ErrPublishedOther
	}
	return true, nil
}

// done reports whether all that was there has been met again.
func (l *outLane) done() bool {
	for i := range l.there {
		if l.met[i] != l.there[i] {
			return false
		}
	}
	return true
}
