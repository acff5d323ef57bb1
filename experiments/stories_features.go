package experiments

import (
	"fmt"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
)

// FeatureStory says how one feature of a row came about.
type FeatureStory struct {
	Name   string      `json:"name"`
	Is     string      `json:"is"`     // the aggregation
	Source string      `json:"source"` // that it is over
	Entity string      `json:"entity"`
	Value  any         `json:"value"`
	FromMS int64       `json:"from_ms"` // the window, cut to tiles: [from_ms, to_ms)
	ToMS   int64       `json:"to_ms"`
	Tiles  []TileStory `json:"tiles"` // in order of time; those without events are left out
}

// TileStory is one tile that a feature was made of.
type TileStory struct {
	Level  int   `json:"level"` // 0 is the finest
	FromMS int64 `json:"from_ms"`
	ToMS   int64 `json:"to_ms"`
	Value  any   `json:"value"` // the aggregate over the tile alone
	Bytes  int   `json:"bytes"` // of its state
}

// Explainer says how a feature of a pipeline came about, by its place in
// Pipeline.Features.
type Explainer func(feature int, entity []byte, asOfMS int64) (*features.Explanation, error)

// ExplainRows adds to each row of the story of an impression what its features are
// made of. The stories of other events stay as they are.
func (s *Stories) ExplainRows(story *Story, explain Explainer) error {
	main := s.pipeline.Join.Main
	if len(s.pipeline.Features) == 0 || story.Source != s.pipeline.Sources[main].Specs[0].Name {
		return nil
	}
	row, _, err := s.readers[main].Decode([]byte(story.Raw))
	if err != nil {
		return nil //nolint:nilerr // a dead letter, which has no row
	}
	keys := make([][]byte, len(s.pipeline.Entities))
	for i, e := range s.pipeline.Entities {
		var values []mortise.Value
		for _, name := range e.Fields {
			values = append(values, row[s.pipeline.mainSlot(s.main, name)])
		}
		if key, ok := features.EntityKey(nil, values...); ok {
			keys[i] = key
		}
	}
	for i := range story.Steps {
		step := &story.Steps[i]
		if step.What != "emitted" && step.What != "provisional" {
			continue
		}
		for exp, e := range s.pipeline.Experiments {
			if e.Name != step.Experiment {
				continue
			}
			if step.Features, err = s.explain(exp, keys, story.TimeMS, explain); err != nil {
				return fmt.Errorf("explaining the features of %s: %w", story.Key, err)
			}
		}
	}
	return nil
}

// explain explains one experiment's features.
func (s *Stories) explain(exp int, keys [][]byte, timeMS int64, explain Explainer) (all []FeatureStory, err error) {
	for i, name := range s.pipeline.featureAt[exp] {
		f := &s.pipeline.Features[i]
		if name == "" || keys[f.Entity] == nil {
			continue // not this experiment's, or of nobody
		}
		e, err := explain(i, keys[f.Entity], timeMS)
		if err != nil {
			return nil, err
		}
		out := FeatureStory{Name: name, Is: f.Definition.Aggregate.String(), Source: f.Source.Name, Entity: string(keys[f.Entity]), Value: plainValue(e.Value),
			FromMS: e.FromMS, ToMS: e.ToMS, Tiles: []TileStory{}}
		for _, t := range e.Tiles {
			out.Tiles = append(out.Tiles, TileStory{t.Level, t.FromMS, t.ToMS, plainValue(t.Value), t.Bytes})
		}
		all = append(all, out)
	}
	return all, nil
}

// plainValue is a value as encoding/json takes it.
func plainValue(v mortise.Value) any {
	switch v.Kind {
	case mortise.String:
		return string(v.Text())
	case mortise.Int, mortise.Timestamp:
		return v.Int()
	case mortise.Float:
		return v.Float()
	case mortise.Bool:
		return v.Bool()
	case mortise.List:
		list := make([]any, len(v.List()))
		for i, elem := range v.List() {
			list[i] = plainValue(elem)
		}
		return list
	}
	return nil
}
