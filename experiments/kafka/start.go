package kafka

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/mortise-dev/mortise/experiments"
)

// Start implements experiments.Transport.
func (t *Transport) Start(at map[experiments.TopicPartition]int64) error {
	if err := t.usable(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), t.opts.CommitTimeout)
	defer cancel()
	lanes, err := t.admin.lanes(ctx, at)
	if err != nil {
		return t.away(err)
	}
	again := make([]experiments.TopicPartition, 0, len(at))
	for tp := range at {
		again = append(again, tp)
	}
	t.in.remove(again)
	t.in.add(lanes)
	return nil
}

// lanes places a reader in each of the partitions. A *GapError says that a log
// does not hold what it would read first.
func (a *Admin) lanes(ctx context.Context, wanted map[experiments.TopicPartition]int64) ([]*lane, error) {
	parts := make([]experiments.TopicPartition, 0, len(wanted))
	for tp := range wanted {
		parts = append(parts, tp)
	}
	slices.SortFunc(parts, compareParts)
	now := time.Now()
	ends, err := a.ends(ctx, parts)
	if err != nil {
		return nil, fmt.Errorf("finding where to start reading: %w", err)
	}
	starts, err := listParts(ctx, a.adm.ListStartOffsets, parts)
	if err != nil {
		return nil, fmt.Errorf("finding where to start reading: %w", err)
	}
	lanes := make([]*lane, 0, len(parts))
	var gaps []experiments.Gap
	for _, tp := range parts {
		l := &lane{tp: tp, next: wanted[tp], end: ends[tp], asOf: now}
		switch {
		case l.next == experiments.OffsetEarliest:
			l.next = starts[tp]
		case l.next == experiments.OffsetLatest:
			l.next = l.end
		case l.next < starts[tp]:
			gaps = append(gaps, experiments.Gap{TopicPartition: tp, Need: l.next, First: starts[tp]})
		case l.next > l.end:
			gaps = append(gaps, experiments.Gap{TopicPartition: tp, Need: l.next, First: starts[tp], Recreate: true})
		}
		lanes = append(lanes, l)
	}
	if len(gaps) == 0 {
		return lanes, nil
	}
	return nil, a.dateGaps(ctx, gaps)
}

// dateGaps makes an error of gaps, with the times of the first records that are left.
func (a *Admin) dateGaps(ctx context.Context, gaps []experiments.Gap) error {
	parts := make([]experiments.TopicPartition, 0, len(gaps))
	for i := range gaps {
		parts = append(parts, gaps[i].TopicPartition)
	}
	first, err := a.adm.ListOffsetsAfterMilli(ctx, 0, topicsOf(parts)...)
	for i := range gaps {
		g := &gaps[i]
		if o, ok := first.Lookup(g.Topic, g.Partition); ok && err == nil && o.Err == nil {
			g.FirstMS = max(o.Timestamp, 0)
		}
	}
	return &experiments.GapError{Gaps: gaps}
}

// listParts asks for an offset of each of parts. One that the broker asked does not
// know is waited for: a partition that has just been made is told to the members
// of a group before all brokers have heard of it.
func listParts(ctx context.Context, ask func(context.Context, ...string) (kadm.ListedOffsets, error), parts []experiments.TopicPartition,
) (map[experiments.TopicPartition]int64, error) {
	var all map[experiments.TopicPartition]int64
	err := retry(ctx, func() (err error) {
		if all, err = list(ctx, ask, topicsOf(parts)); err != nil {
			return err
		}
		for _, tp := range parts {
			if _, ok := all[tp]; !ok {
				return fmt.Errorf("%s has no partition %d: %w", tp.Topic, tp.Partition, kerr.LeaderNotAvailable)
			}
		}
		return nil
	})
	return all, err
}

// list asks for an offset of every partition of topics, again while partitions
// move between brokers.
func list(ctx context.Context, ask func(context.Context, ...string) (kadm.ListedOffsets, error), topics []string,
) (map[experiments.TopicPartition]int64, error) {
	var listed kadm.ListedOffsets
	err := retry(ctx, func() (err error) {
		if listed, err = ask(ctx, topics...); err == nil {
			err = listed.Error()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	offsets := map[experiments.TopicPartition]int64{}
	listed.Each(func(o kadm.ListedOffset) {
		offsets[experiments.TopicPartition{Topic: o.Topic, Partition: o.Partition}] = o.Offset
	})
	return offsets, nil
}

func topicsOf(parts []experiments.TopicPartition) []string {
	var topics []string
	for _, tp := range parts {
		if !slices.Contains(topics, tp.Topic) {
			topics = append(topics, tp.Topic)
		}
	}
	return topics
}

func compareParts(x, y experiments.TopicPartition) int {
	return cmp.Or(cmp.Compare(x.Partition, y.Partition), cmp.Compare(x.Topic, y.Topic))
}
