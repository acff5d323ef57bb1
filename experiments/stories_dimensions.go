package experiments

import (
	"slices"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/joiner"
)

// DimensionStory says how one dimension of a row was looked up.
type DimensionStory struct {
	Name   string         `json:"name"`
	Store  string         `json:"store"` // its kind
	AsOf   string         `json:"as_of"`
	Key    *string        `json:"key"`    // null where a part of it is
	Served string         `json:"served"` // hit | store | stale | default | missing
	Absent bool           `json:"absent"` // the store answered that the key has no row
	Row    map[string]any `json:"row"`
	// FromMS and ToMS bound when the row is valid, of a table that keeps versions,
	// after ExplainVersions; null is open.
	FromMS *int64 `json:"from_ms,omitempty"`
	ToMS   *int64 `json:"to_ms,omitempty"`

	id     string
	lookup dimjoin.Lookup
}

// Looked is how one dimension of a row was looked up, as an experiment calls it.
type Looked struct {
	Name      string
	Dimension *Dimension
	Answer    *dimjoin.Answer
}

// LookedUp takes how the dimensions of a row were looked up; it is a worker's
// LookedUp.
func (s *Stories) LookedUp(exp int, impression *joiner.Entry, all []Looked) {
	story := s.of(impression)
	name := s.pipeline.Experiments[exp].Name
	for i := range story.Steps {
		step := &story.Steps[i]
		if step.Experiment != name || step.What != "emitted" && step.What != "provisional" || step.Dimensions != nil {
			continue
		}
		for _, l := range all {
			step.Dimensions = append(step.Dimensions, dimensionStory(&l))
		}
		return
	}
}

func dimensionStory(l *Looked) DimensionStory {
	a, def := l.Answer, l.Dimension.Definition
	d := DimensionStory{Name: l.Name, Store: def.Store.Kind, AsOf: def.AsOf, Served: a.Served.String(), Absent: a.Absent, Row: map[string]any{}, id: l.Dimension.ID}
	if a.Key != nil {
		key := string(a.Key)
		d.Key, d.lookup = &key, dimjoin.Lookup{Key: slices.Clone(a.Key), Values: cloneRow(a.Values), AsOfMS: a.AsOfMS}
	}
	for i, f := range def.Fields {
		d.Row[f.Name] = plainValue(a.Row[i])
	}
	return d
}

// ExplainVersions adds to the lookups of a story from when to when their rows are
// valid. read reads the table of a dimension, by its ID, past all caches.
func (s *Stories) ExplainVersions(story *Story, read func(id string, l *dimjoin.Lookup) error) error {
	for i := range story.Steps {
		for n := range story.Steps[i].Dimensions {
			d := &story.Steps[i].Dimensions[n]
			if d.Key == nil {
				continue
			}
			if err := read(d.id, &d.lookup); err != nil {
				return err
			}
			if l := &d.lookup; l.FromMS != 0 || l.ToMS != 0 {
				d.FromMS, d.ToMS = bound(l.FromMS, dimjoin.Always), bound(l.ToMS, dimjoin.Latest)
			}
		}
	}
	return nil
}

func bound(ms, open int64) *int64 {
	if ms == open {
		return nil
	}
	return &ms
}

// retracted takes back the row that was told to be emitted last and could not be
// written after all; false where there is none.
func (s *Stories) retracted(story *Story, exp int, why string) bool {
	e := s.pipeline.Experiments[exp]
	queue := s.awaiting[e.Output.Topic]
	for i, a := range queue {
		if a.story != story || story.Steps[a.step].Experiment != e.Name {
			continue
		}
		step := &story.Steps[a.step]
		step.What, step.Why, step.Folder = "dropped", why, ""
		s.awaiting[e.Output.Topic] = slices.Delete(queue, i, i+1)
		return true
	}
	return false
}
