package tiling

import (
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/joiner"
)

func (t *Tiler) observe(int64) {
	var all []experiments.FeatureStatus
	for _, s := range t.sources {
		st := experiments.FeatureStatus{Generation: s.gen.Number, Source: s.feed.spec.Name, Topic: s.feed.spec.Topic, Unreadable: s.skipped, Writer: s.writer.Stats()}
		if at := s.writer.Position().WatermarkMS; at != joiner.NoTimeMS {
			st.WatermarkMS = at
		}
		for i := range s.gen.Features {
			if f := &s.gen.Features[i]; f.SourceID == s.feed.id {
				st.Features = append(st.Features, f.Definition.Name)
			}
		}
		for i := range s.parts {
			st.LagRecords += max(s.parts[i].high-s.parts[i].next, 0)
		}
		all = append(all, st)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status = all
}

// Status tells how far every source is, as of the last commit. It may be called
// from any goroutine.
func (t *Tiler) Status() []experiments.FeatureStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}
