package dimensions

import (
	"slices"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
)

// group is dimensions that are read as one: of one store, by one key, in one way, but
// with fields of their own.
type group struct {
	members []experiments.Dimension
	union   *dimjoin.Union // nil of one
}

// grouped groups dimensions. Those at hand, on this machine, are read for nothing and
// stay alone; so do those that a change stream keeps, which writes what is declared.
func grouped(all []experiments.Dimension) (groups []*group) {
	byRead := map[string][]*group{}
	for _, d := range all {
		id := experiments.DimensionReadID(d.Definition)
		if isRemote(&d.Definition.Store) && d.Definition.Changes == nil {
			if slices.ContainsFunc(byRead[id], func(g *group) bool { return g.takes(d) }) {
				continue
			}
		}
		g := &group{members: []experiments.Dimension{d}}
		groups, byRead[id] = append(groups, g), append(byRead[id], g)
	}
	return groups
}

func isRemote(s *dimjoin.Store) bool {
	if s.Kind == "ab" {
		return !slices.ContainsFunc(s.AB[:], func(side *dimjoin.Store) bool { return side == nil || !isRemote(side) })
	}
	return s.Kind != "file" && s.Kind != "pebble"
}

// takes makes d a member, unless a field of it has another type here.
func (g *group) takes(d experiments.Dimension) bool {
	var defs []*dimjoin.Definition
	for _, m := range append(g.members, d) {
		defs = append(defs, &m.Definition.Definition)
	}
	u, ok := dimjoin.NewUnion(defs)
	if ok {
		g.members, g.union = append(g.members, d), u
	}
	return ok
}

// dimension is what is read: the first one, with the fields of all.
func (g *group) dimension() experiments.Dimension {
	d := g.members[0]
	if g.union != nil {
		whole := *d.Definition
		whole.Definition = *g.union.Whole
		d.Definition = &whole
	}
	return d
}

// part is the member i of the union; nil where there is none.
func (g *group) part(i int) *dimjoin.Part {
	if g.union == nil {
		return nil
	}
	return g.union.Parts[i]
}

// users are the names of the experiments that need it.
func (g *group) users(plan *experiments.Plan) (names []string) {
	for _, d := range g.members {
		for _, name := range plan.DimensionUsers(d.ID) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}
