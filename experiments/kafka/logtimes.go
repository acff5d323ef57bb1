package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/mortise-dev/mortise/experiments"
)

// At returns, for each partition, the first offset whose record has a timestamp of
// ms or later, or the partition's end where there is none. Timestamps are the
// producer's or the broker's, as the topic says; they need not ascend, so a record
// behind the offset may be older, but none before it is as new.
func (l *Log) At(ctx context.Context, ms int64) (map[experiments.TopicPartition]int64, error) {
	ask := func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
		return l.admin.adm.ListOffsetsAfterMilli(ctx, max(ms, 0), topics...) // Kafka means something else by times before 1970
	}
	at, err := listParts(ctx, ask, l.parts)
	if err != nil {
		return nil, fmt.Errorf("asking where topics have come to %s: %w", time.UnixMilli(ms).UTC().Format(time.RFC3339), err)
	}
	return at, nil
}
