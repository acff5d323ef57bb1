package tiling

import (
	"math"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
)

func (t *Tiler) observe(int64) {
	var all []experiments.FeatureStatus
	for _, s := range t.sources {
		all = append(all, s.status())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status = all
}

// status tells how far the source is, as of the last commit.
func (s *source) status() experiments.FeatureStatus {
	st := experiments.FeatureStatus{Generation: s.gen.Number, Source: s.feed.spec.Name, Topic: s.feed.spec.Topic, WatermarkMS: s.watermarkMS(),
		Unreadable: s.skipped, Writer: s.writer.Stats()}
	complete := s.writer.CompleteFrom()
	for i := range s.gen.Features {
		f := &s.gen.Features[i]
		if !s.gen.isOf(i, s.index) {
			continue
		}
		st.Features = append(st.Features, f.Definition.Name)
		if complete[i] != math.MinInt64 {
			if st.CompleteFromMS == nil {
				st.CompleteFromMS = map[string]int64{}
			}
			st.CompleteFromMS[f.Definition.Name] = complete[i]
		}
	}
	for i := range s.parts {
		st.LagRecords += max(s.parts[i].high-s.parts[i].next, 0)
	}
	return st
}

// Status tells how far every source is, as of the last commit. It may be called
// from any goroutine.
func (t *Tiler) Status() []experiments.FeatureStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}

// watermarkMS is a task's watermark as it was committed; 0 before any.
func (s *source) watermarkMS() int64 {
	if at := s.writer.Position().WatermarkMS; at != joiner.NoTimeMS {
		return at
	}
	return 0
}
