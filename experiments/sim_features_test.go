package experiments_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/simulation"
)

// simFeatureBlock declares the features of a simulated world.
const simFeatureBlock = `features:
  simulated: {source: clicks, entity: request_id, agg: count, window: 1d}
  doubled: {expr: simulated * 2 + 1}
`

// simFeature is what the simulated store holds: it tells keys and times apart.
func simFeature(key string, timeMS int64) int64 {
	h := fnv.New32a()
	fmt.Fprint(h, key, timeMS)
	return int64(h.Sum32() % 1000)
}

// simEnrichment is a store of features that is slow at times, and whose features
// are final only so far at times.
type simEnrichment struct {
	process *simulation.Process
	run     *simRun
}

// FinalMS implements experiments.Enrichment. It follows the clock alone, so that
// a seed repeats.
func (s *simEnrichment) FinalMS() int64 {
	step := time.Now().UnixMilli() / 700
	if step%3 != 0 {
		return math.MaxInt64
	}
	return s.run.world.endMS - (step*7919%97)*60_000
}

// Enrich implements experiments.Enrichment.
func (s *simEnrichment) Enrich(_ context.Context, b *experiments.Batch) error {
	if err := s.process.Request(fmt.Sprintf("read features of partition %d", b.Partition)); err != nil {
		return err
	}
	s.run.counts.enriched += len(b.Impressions)
	for i := range b.Impressions {
		im := &b.Impressions[i]
		im.Features[0] = mortise.IntValue(simFeature(string(im.Keys[0]), im.TimeMS))
	}
	return nil
}
