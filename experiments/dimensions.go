package experiments

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// Dimensions reads rows of dimensions. Its methods may be called by several tasks
// at once.
type Dimensions interface {
	// Read answers lookups: a list for each of Pipeline.Dimensions, empty for those
	// of which nothing is asked. Whatever becomes of a store, every lookup has a row
	// after nil; an error, such as ctx's, stops the worker. What is slow is slow for
	// the rows of the caller alone: no task waits for it with its intake.
	Read(ctx context.Context, lookups [][]dimjoin.Answer) error
}

// Awaited are Dimensions whose tables change streams keep up to date.
type Awaited interface {
	// FinalMS is the event time before which tables that are read as of the event
	// time have every change: impressions of that time and later are held open,
	// whatever their deadline. It answers at once, as of some moments ago.
	FinalMS() int64
}

// Dimension is one table that rows of the pipeline need, each once, whatever the
// experiments call it.
type Dimension struct {
	// ID stands for what is read and how: what is equal has the same rows, in
	// whichever experiment.
	ID         string
	Experiment *spec.Experiment // the first that declares it
	Definition *spec.Dimension  // as that experiment does
}

// DimensionID is the ID of a dimension of an experiment.
func DimensionID(d *spec.Dimension) string {
	text := howRead(d)
	for _, f := range d.Fields {
		text = append(text, f.Name+" "+f.Type.String())
	}
	return shortHash(strings.Join(text, "\n"))
}

// DimensionReadID stands for a dimension but for its fields: those of one are rows of
// one table, by one key, read in one way.
func DimensionReadID(d *spec.Dimension) string { return shortHash(strings.Join(howRead(d), "\n")) }

// howRead spells a dimension out, but for its fields.
func howRead(d *spec.Dimension) []string {
	text := []string{storeID(&d.Store), fmt.Sprintf("%q %v", d.Key, d.KeyTypes), fmt.Sprint(d.History), d.AsOf, d.Missing, fmt.Sprintf("%+v", d.Read)}
	if d.Changes != nil {
		text = append(text, fmt.Sprintf("%+v", *d.Changes))
	}
	return text
}

// StoreID stands for a store: what is equal is one, reached in one way.
func StoreID(s *dimjoin.Store) string { return shortHash(storeID(s)) }

// storeID spells out a store. It has secrets, so it is only ever hashed.
func storeID(s *dimjoin.Store) string {
	r := s.Redis
	id := fmt.Sprintf("%s %q %q %q %q %q %q", s.Kind, s.Path, s.Addrs, s.SQL.Driver, s.SQL.DSN, s.SQL.Table, s.HBase) +
		fmt.Sprintf(" %q %q %q %t %q %q %d %t", r.Prefix, r.Layout, r.Master, r.Cluster, r.Username, r.Password, r.DB, r.TLS.Enabled)
	if t := r.TLS; t != (dimjoin.TLS{Enabled: t.Enabled}) {
		id += fmt.Sprintf(" %q %q %q %t", t.RootCAsFile, t.CertFile, t.KeyFile, t.SkipCertVerify)
	}
	for _, side := range s.AB {
		if side != nil {
			id += " (" + storeID(side) + ")"
		}
	}
	return id
}

// Dimensions lists every dimension that rows of the plan's experiments need, each
// once over all pipelines.
func (p *Plan) Dimensions() (all []Dimension) {
	for _, pipeline := range p.Pipelines {
		for _, d := range pipeline.Dimensions {
			if !slices.ContainsFunc(all, func(known Dimension) bool { return known.ID == d.ID }) {
				all = append(all, d)
			}
		}
	}
	return all
}

// addDimensions collects, over all experiments, the dimensions that rows need.
func (p *Pipeline) addDimensions() {
	for _, e := range p.Experiments {
		var used []int
		for _, d := range e.NeededDimensions() {
			id := DimensionID(d)
			at := slices.IndexFunc(p.Dimensions, func(known Dimension) bool { return known.ID == id })
			if at < 0 {
				at = len(p.Dimensions)
				p.Dimensions = append(p.Dimensions, Dimension{ID: id, Experiment: e, Definition: d})
			}
			used = append(used, at)
		}
		p.dimensionAt = append(p.dimensionAt, used)
	}
}

// arrivalKeys are the main fields that make keys of dimensions that are read when
// impressions come in.
func (p *Pipeline) arrivalKeys() (fields []string) {
	for _, d := range p.Dimensions {
		if d.Definition.AsOf != dimjoin.AsOfArrival {
			continue
		}
		for _, name := range d.Definition.Key {
			if !slices.Contains(fields, name) {
				fields = append(fields, name)
			}
		}
	}
	return fields
}

// DimensionUsers are the names of the experiments whose rows need a dimension.
func (p *Plan) DimensionUsers(id string) (names []string) {
	for _, pipeline := range p.Pipelines {
		for exp, e := range pipeline.Experiments {
			if slices.ContainsFunc(pipeline.dimensionAt[exp], func(dim int) bool { return pipeline.Dimensions[dim].ID == id }) {
				names = append(names, e.Name)
			}
		}
	}
	return names
}
