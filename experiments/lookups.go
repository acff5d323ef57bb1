package experiments

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// Features lists every aggregation that the plan's experiments declare, each
// once, whether rows need it or not: those of one definition have one ID.
func (p *Plan) Features() (all []Feature) {
	known := map[string]bool{}
	for _, pipeline := range p.Pipelines {
		for _, e := range pipeline.Experiments {
			for i := range e.Features {
				def := &e.Features[i]
				if def.IsExpr() {
					continue
				}
				f := newFeature(e, def)
				f.registry = pipeline.registry
				if !known[f.ID] {
					known[f.ID] = true
					all = append(all, f)
				}
			}
		}
	}
	return all
}

// Format makes what reads the records of the feature's source; nil for JSON.
func (f *Feature) Format() (clean.Format, error) { return formatOf(f.Source, f.registry) }

// FeaturesFromFiles are features as they read files in place of the topics of the
// named sources: JSON lines, whatever the topics' formats.
func FeaturesFromFiles(all []Feature, isFile func(source string) bool) []Feature {
	all = slices.Clone(all)
	for i := range all {
		if f := &all[i]; isFile(f.Source.Name) {
			f.Source = asLines(f.Source)
		}
	}
	return all
}

// FeatureID is the ID of the aggregation def of e.
func FeatureID(e *spec.Experiment, def *features.Definition) string { return newFeature(e, def).ID }

func newFeature(e *spec.Experiment, def *features.Definition) Feature {
	src := source(e, def.Source)
	of := sourceID(e, src)
	text := strings.Join([]string{of, fmt.Sprint(def.Entity), fmt.Sprint(typesOf(src, def.Entity)), def.Aggregate.String(), programText(def.Where),
		def.Window.String(), def.Tile.String()}, "\n")
	return Feature{ID: shortHash(text), SourceID: shortHash(of), Experiment: e, Source: src, Definition: def}
}

// sourceID spells out which records a source has, and what is read of them.
func sourceID(e *spec.Experiment, src *spec.Source) string {
	parts := []string{inputID(e, src), src.Format, src.TimeField, src.TimeUnit, src.Clean, whereText(src), fmt.Sprint(src.Row())}
	if len(src.From) > 0 {
		parts = append(parts, fmt.Sprint(src.From)) // in order of key
	}
	return strings.Join(parts, "\n")
}

func shortHash(text string) string { return fmt.Sprintf("%016x", xxh3.HashString(text)) }

// addLookups collects, over all experiments, the aggregations that rows need,
// each once, and the entities that they are read by.
func (p *Pipeline) addLookups() {
	index := map[string]int{}
	for _, e := range p.Experiments {
		var names []string // in the order of p.Features
		at := map[string]string{}
		for _, def := range e.NeededFeatures() {
			if def.IsExpr() {
				continue
			}
			f := newFeature(e, def)
			id := f.ID
			if _, ok := index[id]; !ok {
				index[id] = len(p.Features)
				f.Entity = p.addEntity(def.Entity)
				p.Features = append(p.Features, f)
			}
			at[id] = def.Name
		}
		names = make([]string, len(p.Features))
		for id, name := range at {
			names[index[id]] = name
		}
		p.featureAt = append(p.featureAt, names)
	}
}

func (p *Pipeline) addEntity(fields []string) int {
	at := slices.IndexFunc(p.Entities, func(e Entity) bool { return slices.Equal(e.Fields, fields) })
	if at < 0 {
		at = len(p.Entities)
		p.Entities = append(p.Entities, Entity{Fields: fields})
	}
	return at
}

// mainSlot is where the rows of the main stream have a declared field.
func (p *Pipeline) mainSlot(main *clean.Source, name string) int {
	for exp := range p.Experiments {
		if slot := main.Slot(exp, name); slot >= 0 {
			return slot
		}
	}
	return -1
}
