package serving

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/internal/expression"
)

// catalog is the experiments whose features can be asked for.
type catalog struct {
	byName map[string]*served
	names  []string // sorted
}

// served is one experiment.
type served struct {
	spec  *spec.Experiment
	main  mortise.Schema // what entities may name
	kept  map[string]keptFeature
	mu    sync.Mutex
	views map[string]*view // by the features asked for
}

// keptFeature is where the tiles of an aggregation are.
type keptFeature struct {
	gen, group, value int
}

// maxViews bounds the combinations of features that an experiment's clients ask
// for; beyond it they are compiled anew.
const maxViews = 1000

func newCatalog(plan *experiments.Plan, gens []*tiling.Generation) (*catalog, error) {
	c := &catalog{byName: map[string]*served{}}
	for _, p := range plan.Pipelines {
		for _, e := range p.Experiments {
			if len(e.Features) == 0 {
				continue
			}
			s := &served{spec: e, kept: map[string]keptFeature{}, views: map[string]*view{}}
			for i := range e.Sources {
				if e.Sources[i].Name == e.Join.Main {
					s.main = e.Sources[i].Row()
				}
			}
			for i := range e.Features {
				if def := &e.Features[i]; !def.IsExpr() {
					k, ok := find(gens, experiments.FeatureID(e, def))
					if !ok {
						return nil, fmt.Errorf("%s: feature %s is in no generation of the store", e.Path, def.Name)
					}
					s.kept[def.Name] = k
				}
			}
			c.byName[e.Name] = s
			c.names = append(c.names, e.Name)
		}
	}
	if len(c.names) == 0 {
		return nil, fmt.Errorf("none of the experiments has features: there is nothing to serve")
	}
	slices.Sort(c.names)
	return c, nil
}

func find(gens []*tiling.Generation, id string) (keptFeature, bool) {
	for g, gen := range gens {
		for i := range gen.Features {
			if gen.Features[i].ID != id {
				continue
			}
			group := gen.Set.Features[i].Group
			return keptFeature{g, group, slices.Index(gen.Set.Groups[group].Features, i)}, true
		}
	}
	return keptFeature{}, false
}

// experiment finds one by its name, which may be left out where there is one.
func (c *catalog) experiment(name string) (*served, error) {
	if name == "" && len(c.names) == 1 {
		name = c.names[0]
	}
	if s := c.byName[name]; s != nil {
		return s, nil
	}
	if name == "" {
		return nil, badRequest("experiment is missing; there are %s", strings.Join(c.names, ", "))
	}
	return nil, badRequest("there is no experiment %q; there are %s", name, strings.Join(c.names, ", "))
}

// view is a list of features of one experiment, compiled.
type view struct {
	columns  []viewColumn
	lookups  []viewLookup
	fields   []mortise.Field // of entities: those that are read
	width    int             // of an env: fields, then aggregations, then what is computed
	computed []viewComputed
}

type viewColumn struct {
	def   *features.Definition
	slot  int // in the env
	gen   int // -1 for one that is computed
	group int
	at    int // in the generation's features
}

// viewLookup is one lookup that an entity needs.
type viewLookup struct {
	gen, group int
	entity     []int // slots of fields
	values     []viewValue
}

type viewValue struct{ value, slot int }

type viewComputed struct {
	slot int
	expr *expression.Program
	args []int
	name string
}

// view compiles the features asked for: all, where names is empty.
func (s *served) view(names []string, gens []*tiling.Generation) (*view, error) {
	key := strings.Join(names, "\x00")
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.views[key]; v != nil {
		return v, nil
	}
	v, err := s.compile(names, gens)
	if err != nil {
		return nil, err
	}
	if len(s.views) >= maxViews {
		clear(s.views)
	}
	s.views[key] = v
	return v, nil
}

func (s *served) compile(names []string, gens []*tiling.Generation) (*view, error) {
	wanted := map[string]bool{}
	if len(names) == 0 {
		for i := range s.spec.Features {
			names = append(names, s.spec.Features[i].Name)
		}
	}
	for _, name := range names {
		if s.definition(name) == nil {
			return nil, badRequest("experiment %s has no feature %q; it has %s", s.spec.Name, name, strings.Join(s.featureNames(), ", "))
		}
		wanted[name] = true
	}
	for i := range slices.Backward(s.spec.Features) { // each stands behind all that it reads
		if def := &s.spec.Features[i]; wanted[def.Name] && def.IsExpr() {
			for _, f := range def.Expr.Fields() {
				wanted[f] = true
			}
		}
	}
	v := &view{}
	slots := map[string]int{}
	for _, f := range s.main {
		if s.reads(wanted, f.Name) {
			slots[f.Name] = len(v.fields)
			v.fields = append(v.fields, f)
		}
	}
	v.width = len(v.fields)
	for i := range s.spec.Features {
		def := &s.spec.Features[i]
		if !wanted[def.Name] {
			continue
		}
		slots[def.Name] = v.width
		v.width++
		if def.IsExpr() {
			c := viewComputed{slot: slots[def.Name], expr: def.Expr, name: def.Name}
			for _, f := range def.Expr.Fields() {
				at, ok := slots[f]
				if !ok {
					return nil, badRequest("feature %s reads %s, which online reads do not have", def.Name, f)
				}
				c.args = append(c.args, at)
			}
			v.computed = append(v.computed, c)
			continue
		}
		v.look(s.kept[def.Name], def, slots)
	}
	for _, name := range names {
		col := viewColumn{def: s.definition(name), slot: slots[name], gen: -1}
		if k, ok := s.kept[name]; ok {
			col.gen, col.group, col.at = k.gen, k.group, gens[k.gen].Set.Groups[k.group].Features[k.value]
		}
		v.columns = append(v.columns, col)
	}
	return v, nil
}

// look adds an aggregation to the lookup that finds it.
func (v *view) look(k keptFeature, def *features.Definition, slots map[string]int) {
	for i := range v.lookups {
		if l := &v.lookups[i]; l.gen == k.gen && l.group == k.group {
			l.values = append(l.values, viewValue{k.value, slots[def.Name]})
			return
		}
	}
	l := viewLookup{gen: k.gen, group: k.group, values: []viewValue{{k.value, slots[def.Name]}}}
	for _, f := range def.Entity {
		l.entity = append(l.entity, slots[f])
	}
	v.lookups = append(v.lookups, l)
}

// reads reports whether any of the wanted features reads a main field.
func (s *served) reads(wanted map[string]bool, field string) bool {
	for i := range s.spec.Features {
		def := &s.spec.Features[i]
		if !wanted[def.Name] {
			continue
		}
		if def.IsExpr() && slices.Contains(def.Expr.Fields(), field) || slices.Contains(def.Entity, field) {
			return true
		}
	}
	return false
}

func (s *served) definition(name string) *features.Definition {
	for i := range s.spec.Features {
		if s.spec.Features[i].Name == name {
			return &s.spec.Features[i]
		}
	}
	return nil
}

func (s *served) featureNames() (names []string) {
	for i := range s.spec.Features {
		names = append(names, s.spec.Features[i].Name)
	}
	return names
}
