package experiments

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/joiner/clean"
)

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
			src := source(e, def.Source)
			id := featureID(e, src, def)
			if _, ok := index[id]; !ok {
				index[id] = len(p.Features)
				p.Features = append(p.Features, Feature{Experiment: e, Source: src, Definition: def, Entity: p.addEntity(def.Entity)})
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

// featureID spells out what a feature's values depend on, so that experiments
// which define the same share it.
func featureID(e *spec.Experiment, src *spec.Source, def *features.Definition) string {
	return strings.Join([]string{inputID(e, src), src.Format, src.TimeField, src.TimeUnit, src.Clean, whereText(src), fmt.Sprint(def.Entity), fmt.Sprint(typesOf(src, def.Entity)),
		def.Aggregate.String(), programText(def.Where), def.Window.String(), def.Tile.String()}, "\n")
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
