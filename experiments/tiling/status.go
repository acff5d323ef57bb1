package tiling

import (
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/joiner"
)

// SourceStatus is how far the features of one source are.
type SourceStatus struct {
	Generation  int                  `json:"generation"`
	Source      string               `json:"source"` // its name
	Topic       string               `json:"topic"`
	Features    []string             `json:"features"`     // their names
	WatermarkMS int64                `json:"watermark_ms"` // tiles before it are final; 0 when nothing is
	LagRecords  int64                `json:"lag_records"`
	Unreadable  int64                `json:"unreadable"`
	Writer      features.WriterStats `json:"writer"`
}

func (t *Tiler) observe(int64) {
	var all []SourceStatus
	for _, s := range t.sources {
		st := SourceStatus{Generation: s.gen.Number, Source: s.feed.spec.Name, Topic: s.feed.spec.Topic, Unreadable: s.skipped, Writer: s.writer.Stats()}
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
func (t *Tiler) Status() []SourceStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.status
}
