package shuffle

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/mortise-dev/mortise/experiments"
)

// steeringKeys returns, for each of n partitions, a key that Kafka's default
// partitioner sends there: so a marker reaches every partition the way that
// records take, whatever carries them.
func steeringKeys(n int) [][]byte {
	keys := make([][]byte, n)
	for found, i := 0, 0; found < n; i++ {
		key := strconv.AppendInt([]byte("clocks-"), int64(i), 10)
		if p := experiments.PartitionOf(key, n); keys[p] == nil {
			keys[p] = key
			found++
		}
	}
	return keys
}

// mark sends a marker to every partition of the internal topic that speaks of
// the origins that have news, or of all. It stands behind what was sent before.
// What an origin has lost it says in one of the partitions: one task counts it.
func (s *Shuffler) mark(all bool) error {
	c := experiments.Clocks{Origins: s.opts.Origins}
	lost := map[int]bool{} // partitions that are told
	for _, l := range s.lanes {
		if l.lost > 0 {
			lost[int(l.at.Partition)%len(s.steering)] = true
		}
		if all || l.lost > 0 || l.news() {
			c.Clocks = append(c.Clocks, l.clock())
		}
	}
	if len(c.Clocks) == 0 {
		return nil
	}
	plain, err := json.Marshal(&c)
	if err != nil {
		return fmt.Errorf("writing a marker: %w", err) // numbers always marshal
	}
	out := experiments.Output{Topic: s.opts.Way.Topic, TimestampMS: s.nowMS(), Headers: markerHeaders}
	for p, key := range s.steering {
		out.Key, out.Value = key, plain
		if lost[p] {
			if out.Value, err = json.Marshal(s.withLosses(c, p)); err != nil {
				return fmt.Errorf("writing a marker: %w", err)
			}
		}
		if err := s.transport.Produce(&out); err != nil {
			return err
		}
	}
	return nil
}

// withLosses is c with what is lost of the origins that tell it in a partition.
func (s *Shuffler) withLosses(c experiments.Clocks, partition int) experiments.Clocks {
	c.Clocks = slices.Clone(c.Clocks)
	for i := range c.Clocks {
		k := &c.Clocks[i]
		if int(k.Partition)%len(s.steering) != partition {
			continue
		}
		for _, l := range s.lanes {
			if l.at.Partition == k.Partition {
				k.Lost = l.lost
			}
		}
	}
	return c
}

var markerHeaders = []experiments.Header{{Key: experiments.ClocksHeader}}
