package shuffle

import (
	"encoding/json"
	"fmt"
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
func (s *Shuffler) mark(all bool) error {
	c := experiments.Clocks{Origins: s.opts.Origins}
	for _, l := range s.lanes {
		if all || l.news() {
			c.Clocks = append(c.Clocks, l.clock())
		}
	}
	if len(c.Clocks) == 0 {
		return nil
	}
	value, err := json.Marshal(&c)
	if err != nil {
		return fmt.Errorf("writing a marker: %w", err) // numbers always marshal
	}
	out := experiments.Output{Topic: s.opts.Way.Topic, Value: value, TimestampMS: s.nowMS(), Headers: markerHeaders}
	for _, out.Key = range s.steering {
		if err := s.transport.Produce(&out); err != nil {
			return err
		}
	}
	return nil
}

var markerHeaders = []experiments.Header{{Key: experiments.ClocksHeader}}
