package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/mortise-dev/mortise/experiments"
)

// AwaitSettled waits until all that lies in the topics now can be read, or will
// never be: until every transaction that has written there is decided. A group's
// offsets may be seen a moment before what was committed with them is.
func (a *Admin) AwaitSettled(ctx context.Context, topics ...string) error {
	written, err := a.Written(ctx, topics...)
	if err != nil {
		return err
	}
	for {
		stable, err := a.Ends(ctx, topics...)
		if err != nil {
			return fmt.Errorf("asking where topics end: %w", err)
		}
		if reaches(stable, written) {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Written returns where all partitions of topics end, with what is not committed
// there, or never will be.
func (a *Admin) Written(ctx context.Context, topics ...string) (map[experiments.TopicPartition]int64, error) {
	written, err := list(ctx, a.adm.ListEndOffsets, topics)
	if err != nil {
		return nil, fmt.Errorf("asking where topics end: %w", err)
	}
	return written, nil
}

func reaches(have, want map[experiments.TopicPartition]int64) bool {
	for tp, end := range want {
		if have[tp] < end {
			return false
		}
	}
	return true
}

// HasRead reports whether the group has committed offsets that reach ends, in
// every partition of it.
func (s *GroupStatus) HasRead(ends map[experiments.TopicPartition]int64) bool {
	read := map[experiments.TopicPartition]int64{}
	for i := range s.Partitions {
		read[s.Partitions[i].TopicPartition] = s.Partitions[i].Next
	}
	return reaches(read, ends)
}
