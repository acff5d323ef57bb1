package tiling

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/joiner"
)

// sinceOf tells, by topic, from which event time on a source that begins now gets
// every event: all of them where the topic still holds its first records,
// otherwise from what is left on. An event may be out of order, so it counts from
// out_of_orderness behind the first that is left.
func (t *Tiler) sinceOf(ctx context.Context, begins map[experiments.TopicPartition]int64) (map[string]int64, error) {
	positions, err := t.store.Positions(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading how far features are: %w", err)
	}
	since := map[string]int64{}
	cut := map[experiments.TopicPartition]int64{}
	feeds := map[string]*source{}
	for _, s := range t.sources {
		topic := s.feed.spec.Topic
		if _, ok := since[topic]; !ok {
			since[topic] = math.MinInt64
		}
		if began(positions, s.gen.tasks[s.index][s.task]) {
			continue
		}
		for p := range t.width[topic] {
			tp := experiments.TopicPartition{Topic: topic, Partition: int32(p)}
			if begins[tp] > 0 {
				cut[tp], feeds[topic] = begins[tp], s
			}
		}
	}
	if len(cut) == 0 {
		return since, nil
	}
	firsts, err := t.firstTimes(ctx, cut, feeds)
	if err != nil {
		return nil, err
	}
	for topic, s := range feeds {
		for tp, ms := range firsts {
			if tp.Topic == topic {
				since[topic] = max(since[topic], ms+s.feed.spec.OutOfOrderness.Milliseconds())
			}
		}
		if since[topic] == math.MinInt64 {
			continue // it holds nothing that has a time
		}
		var longest time.Duration
		for i := range s.gen.Features {
			if f := &s.gen.Features[i]; s.gen.isOf(i, s.index) {
				longest = max(longest, f.Definition.Window)
			}
		}
		t.opts.Log.Warn("features begin where the topic does, which no longer holds its first records: rows have less than their windows held until complete_from", "topic", topic,
			"from", time.UnixMilli(since[topic]).UTC(), "complete_from", time.UnixMilli(since[topic]+longest.Milliseconds()).UTC())
	}
	return since, nil
}

func began(positions map[string][]byte, task string) bool {
	p, err := features.ParsePosition(positions[task])
	return err == nil && len(p.Meta) > 0
}

// firstTimes reads the first readable event of each partition; one that holds
// none is left out.
func (t *Tiler) firstTimes(ctx context.Context, from map[experiments.TopicPartition]int64, feeds map[string]*source) (map[experiments.TopicPartition]int64, error) {
	if err := t.log.Start(from); err != nil {
		return nil, fmt.Errorf("looking where the topics begin: %w", err)
	}
	var parts []experiments.TopicPartition
	open := map[experiments.TopicPartition]bool{}
	for tp := range from {
		parts, open[tp] = append(parts, tp), true
	}
	defer t.log.Stop(parts)
	firsts := map[experiments.TopicPartition]int64{}
	for len(open) > 0 {
		fetched, err := t.log.Poll(ctx, t.opts.PollRecords, t.opts.PollWait)
		if err != nil {
			return nil, err
		}
		for i := range fetched {
			f := &fetched[i]
			if !open[f.TopicPartition] {
				continue
			}
			for j := range f.Records {
				if ms, _, err := feeds[f.Topic].feed.take(&f.Records[j], t.nowMS()); err == nil && ms != joiner.NoTimeMS {
					firsts[f.TopicPartition] = ms
					delete(open, f.TopicPartition)
					break
				}
			}
			if f.Next >= f.HighWatermark {
				delete(open, f.TopicPartition)
			}
		}
	}
	return firsts, nil
}
