package shuffle

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mortise-dev/mortise/experiments"
)

// reassign follows the group.
func (s *Shuffler) reassign(ctx context.Context) error {
	changes, err := s.transport.Assigned()
	if err != nil {
		return err
	}
	if len(changes.Revoked) > 0 {
		if err := s.commit(ctx); err != nil {
			return err
		}
		s.opts.Log.Debug("origins are given up", "group", s.opts.Way.Group, "partitions", len(changes.Revoked))
		s.lanes = slices.DeleteFunc(s.lanes, func(l *lane) bool { return slices.Contains(changes.Revoked, l.at) })
		if err := s.transport.Release(changes.Revoked); err != nil {
			return err
		}
	}
	if len(changes.Gained) == 0 {
		return nil
	}
	return s.gain(changes.Gained)
}

// gain begins to read origins where whoever had them left off.
func (s *Shuffler) gain(gained map[experiments.TopicPartition]experiments.CommittedOffset) error {
	start := map[experiments.TopicPartition]int64{}
	for tp, c := range gained {
		maxMS, _, err := ParseMetadata(c.Metadata)
		if err != nil {
			return fmt.Errorf("consumer group %s, %s[%d]: %w", s.opts.Way.Group, tp.Topic, tp.Partition, err)
		}
		start[tp] = c.Next
		if c.Next < 0 {
			start[tp] = s.startOffset()
		}
		s.lanes = append(s.lanes, newLane(tp, start[tp], maxMS, s.nowMS()))
		s.opts.Origins = max(s.opts.Origins, int(tp.Partition)+1) // the topic has grown
		s.opts.Log.Debug("origin is shuffled", "group", s.opts.Way.Group, "partition", tp.Partition, "from", start[tp])
	}
	slices.SortFunc(s.lanes, func(a, b *lane) int { return int(a.at.Partition) - int(b.at.Partition) })
	s.dirty = true
	err := s.transport.Start(start)
	var gap *experiments.GapError
	if !errors.As(err, &gap) || !s.opts.AcceptGap {
		return err
	}
	for _, g := range gap.Gaps {
		if g.Recreate {
			return fmt.Errorf("%s[%d] was made anew, so nothing in it follows on what is committed: begin anew with another --group", g.Topic, g.Partition)
		}
		s.opts.Log.Warn("records are lost: the topic no longer holds them", "topic", g.Topic, "partition", g.Partition, "from", g.Need, "to", g.First)
		l := s.lane(g.TopicPartition)
		s.counts.lost += g.First - g.Need
		start[g.TopicPartition], l.next, l.lost = g.First, g.First, g.First-g.Need
	}
	return s.transport.Start(start)
}

func (s *Shuffler) startOffset() int64 {
	if s.opts.Way.Experiment.Kafka.StartOffset == "latest" && !s.opts.FromStart {
		return experiments.OffsetLatest
	}
	return experiments.OffsetEarliest
}

func (s *Shuffler) lane(tp experiments.TopicPartition) *lane {
	for _, l := range s.lanes {
		if l.at == tp {
			return l
		}
	}
	return nil
}
