package experiments

import (
	"strings"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
)

// FeatureGroupDescription is the features over one source and entity that share
// tiles.
type FeatureGroupDescription struct {
	Source string   `json:"source"`
	Topic  string   `json:"topic"`
	Entity []string `json:"entity"`
	// Shared says that workers share the tiles: then an entity's are written by the one
	// that has its partition, of the topic, or of an internal one that it is shuffled into.
	Shared   bool     `json:"shared"`
	Shuffled bool     `json:"shuffled"`
	Tiles    []string `json:"tiles"`   // lengths by level, the finest first
	Keeps    string   `json:"keeps"`   // how far back
	Reads    int      `json:"reads"`   // tiles that the longest window is read from, at most
	Columns  int      `json:"columns"` // aggregates that a tile holds; features may share one
	// Bytes estimates what an entity's tiles take, before a store compresses them.
	Bytes    []EntityBytes        `json:"bytes"`
	Features []FeatureDescription `json:"features"`
}

// EntityBytes is what one entity takes that has so many events a day.
type EntityBytes struct {
	EventsPerDay int   `json:"events_per_day"`
	Bytes        int64 `json:"bytes"`
}

// FeatureDescription is one feature of an experiment.
type FeatureDescription struct {
	Experiment string `json:"experiment"`
	Name       string `json:"name"`
	Is         string `json:"is"` // the aggregation, or the expression
	Where      string `json:"where,omitempty"`
	Window     string `json:"window,omitempty"`
	Type       string `json:"type"`
}

// describeFeatures groups the pipeline's aggregations as they are kept.
func (p *Pipeline) describeFeatures() (groups []FeatureGroupDescription) {
	byKey := map[string]int{}
	kept := map[string]bool{}
	var defs [][]features.Definition // per group
	for _, e := range p.Experiments {
		for i := range e.Features {
			def := &e.Features[i]
			if def.IsExpr() {
				continue
			}
			f := newFeature(e, def)
			key := strings.Join(append([]string{f.SourceID, def.Tile.String()}, def.Entity...), "\n")
			at, ok := byKey[key]
			if !ok {
				at = len(groups)
				byKey[key] = at
				groups = append(groups, FeatureGroupDescription{Source: f.Source.Name, Topic: f.Source.Topic, Entity: def.Entity,
					Shared: e.FeatureStore.IsShared(), Shuffled: e.FeatureStore.IsShared() && !KeyedBy(e, f.Source, def.Entity)})
				defs = append(defs, nil)
			}
			own := *def
			own.Source = "" // experiments have names of their own for it
			defs[at] = append(defs[at], own)
			g := &groups[at]
			if column := key + "\n" + def.Aggregate.String() + "\n" + programText(def.Where); !kept[column] {
				kept[column] = true
				g.Columns++
			}
			g.widen(def)
			g.Features = append(g.Features, FeatureDescription{Experiment: e.Name, Name: def.Name, Is: def.Aggregate.String(), Where: programText(def.Where),
				Window: mortise.FormatDuration(def.Window), Type: def.Type.String()})
		}
	}
	for i := range groups {
		groups[i].estimate(defs[i])
	}
	return groups
}

// estimate says what an entity takes that is rare, and one that is not.
func (g *FeatureGroupDescription) estimate(defs []features.Definition) {
	set, err := features.Compile(defs, []features.Source{{}})
	if err != nil {
		return // the file was checked: it does not happen
	}
	for _, n := range []int{10, 1000} {
		g.Bytes = append(g.Bytes, EntityBytes{n, set.EstimateBytes(0, float64(n))})
	}
}

// widen notes the levels that a feature's window needs.
func (g *FeatureGroupDescription) widen(def *features.Definition) {
	levels := features.Levels(def.Tile.Milliseconds(), def.Window.Milliseconds())
	if len(levels) < len(g.Tiles) {
		return
	}
	g.Tiles = g.Tiles[:0]
	reads := 0
	for i, ms := range levels {
		g.Tiles = append(g.Tiles, millis(ms))
		switch {
		case i+1 < len(levels): // both ends of the window, as far as the next level's tiles do not reach
			reads += 2 * int(levels[i+1]/ms-1)
		default:
			reads += int(def.Window.Milliseconds() / ms)
		}
	}
	g.Reads, g.Keeps = max(g.Reads, reads), mortise.FormatDuration(max(def.Window, parsedOr0(g.Keeps)))
}

func parsedOr0(text string) time.Duration {
	d, err := mortise.ParseDuration(text)
	if err != nil {
		return 0
	}
	return d
}

// describeComputed lists the features that are expressions over others.
func (p *Pipeline) describeComputed() (all []FeatureDescription) {
	for _, e := range p.Experiments {
		for i := range e.Features {
			if def := &e.Features[i]; def.IsExpr() {
				all = append(all, FeatureDescription{Experiment: e.Name, Name: def.Name, Is: def.Expr.Source(), Type: def.Type.String()})
			}
		}
	}
	return all
}
