package features

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/expression"
)

// Source is a stream that features are aggregated over.
type Source struct {
	Name string // as Definition.Source says it
	// Identity tells its events apart from any other's: the topic, and everything
	// that decides which of its records count and what their fields are. Sets of
	// equal identities share tiles in one store.
	Identity string
}

// Set is a number of definitions, compiled: which tiles are kept for them, and
// how each is read from them. It is immutable.
type Set struct {
	Sources  []Source
	Features []Feature // the aggregations, in the order of the definitions
	Groups   []Group
}

// Feature is one aggregation of a Set.
type Feature struct {
	Definition *Definition
	Group      int // in Set.Groups
	WindowMS   int64
	column     int // in the group's columns
	top        int // the coarsest level that its windows are read from
	params     params
}

// Group is the features over one source, per one entity and of one tile length:
// they share tiles.
type Group struct {
	Source   int      // in Set.Sources
	Entity   []string // fields
	TileMS   int64
	Levels   []int64 // lengths of tiles in ms, the finest first, which is TileMS
	Features []int   // in Set.Features
	columns  []column
	name     string
	keepMS   []int64 // per level: the longest window that is read from it
}

// column is one aggregate that a group's tiles hold. Features that differ only in
// their windows, or only in what they make of it, as sum and avg, share one.
type column struct {
	name   string
	kind   kind
	params params
	arg    *expression.Program
	where  *expression.Program
	top    int   // the coarsest level that holds it
	users  []int // in Set.Features
}

// Compile compiles the aggregations among defs; computed features are left to
// those who have what they read. sources are all that the definitions name.
func Compile(defs []Definition, sources []Source) (*Set, error) {
	set := &Set{Sources: sources}
	var errs []error
	for i := range defs {
		if d := &defs[i]; !d.IsExpr() {
			if err := set.add(d); err != nil {
				errs = append(errs, fmt.Errorf("feature %s: %w", d.Name, err))
			}
		}
	}
	return set, errors.Join(errs...)
}

func (s *Set) add(d *Definition) error {
	if err := errors.Join(CheckTile(d.Tile), CheckWindow(d.Window, d.Tile), CheckHalfLife(&d.Aggregate, d.Tile)); err != nil {
		return err
	}
	if len(d.Entity) == 0 {
		return errors.New("it has no entity")
	}
	source := slices.IndexFunc(s.Sources, func(src Source) bool { return src.Name == d.Source })
	if source < 0 {
		return fmt.Errorf("its source %s is not among those given", d.Source)
	}
	f := Feature{Definition: d, WindowMS: d.Window.Milliseconds()}
	f.Group = s.group(source, d)
	g := &s.Groups[f.Group]
	levels := Levels(g.TileMS, f.WindowMS)
	f.top = len(levels) - 1
	if len(levels) > len(g.Levels) {
		g.Levels = levels
	}
	for len(g.keepMS) < len(g.Levels) {
		g.keepMS = append(g.keepMS, 0)
	}
	for level := range levels {
		g.keepMS[level] = max(g.keepMS[level], f.WindowMS)
	}
	f.column = g.column(d)
	_, f.params = kindOf(&d.Aggregate)
	c := &g.columns[f.column]
	c.top = max(c.top, f.top)
	c.users = append(c.users, len(s.Features))
	g.Features = append(g.Features, len(s.Features))
	s.Features = append(s.Features, f)
	return nil
}

func (s *Set) group(source int, d *Definition) int {
	tileMS := d.Tile.Milliseconds()
	for i := range s.Groups {
		if g := &s.Groups[i]; g.Source == source && g.TileMS == tileMS && slices.Equal(g.Entity, d.Entity) {
			return i
		}
	}
	name := nameOf(append([]string{s.Sources[source].Identity, strconv.FormatInt(tileMS, 10)}, d.Entity...)...)
	s.Groups = append(s.Groups, Group{Source: source, Entity: d.Entity, TileMS: tileMS, name: name})
	return len(s.Groups) - 1
}

// column returns the group's column of a definition's aggregate.
func (g *Group) column(d *Definition) int {
	a := &d.Aggregate
	k, p := kindOf(a)
	parts := []string{strconv.Itoa(int(k)), source(a.Arg), p.arg.Kind.String(), source(d.Where)}
	switch k {
	case kindLast:
		parts = append(parts, strconv.Itoa(p.n))
	case kindDecayed:
		parts = append(parts, strconv.FormatInt(p.halfLifeMS, 10))
	}
	name := nameOf(parts...)
	for i := range g.columns {
		if g.columns[i].name == name {
			return i
		}
	}
	g.columns = append(g.columns, column{name: name, kind: k, params: p, arg: a.Arg, where: d.Where})
	return len(g.columns) - 1
}

func source(p *expression.Program) string {
	if p == nil {
		return ""
	}
	return strings.TrimSpace(p.Source())
}

// nameOf joins parts so that no two lists give one name.
func nameOf(parts ...string) string {
	for i := range parts {
		parts[i] = escapeName.Replace(parts[i])
	}
	return strings.Join(parts, "|")
}

var escapeName = strings.NewReplacer(`\`, `\\`, `|`, `\|`)

// Reads lists the fields of a source that the set's features read, each once.
func (s *Set) Reads(source int) []string { return s.reads(source, true) }

// Arguments is Reads without those that only make up entities.
func (s *Set) Arguments(source int) []string { return s.reads(source, false) }

func (s *Set) reads(source int, entities bool) (fields []string) {
	add := func(names []string) {
		for _, name := range names {
			if !slices.Contains(fields, name) {
				fields = append(fields, name)
			}
		}
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		if g.Source != source {
			continue
		}
		if entities {
			add(g.Entity)
		}
		for _, c := range g.columns {
			for _, p := range []*expression.Program{c.where, c.arg} {
				if p != nil {
					add(p.Fields())
				}
			}
		}
	}
	return fields
}

// Fields is the features' names and types, in order.
func (s *Set) Fields() (out mortise.Schema) {
	for i := range s.Features {
		d := s.Features[i].Definition
		out = append(out, mortise.Field{Name: d.Name, Type: d.Type})
	}
	return out
}

// AsOf is the time up to which a read as of timeMS sees events: its tile's start.
func (g *Group) AsOf(timeMS int64) int64 { return floorDiv(timeMS, g.TileMS) * g.TileMS }

// perChunk is how many tiles of a level lie in one chunk: as many as make up one
// tile of the level above, whether there is one or not.
func (g *Group) perChunk(level int) int64 { return nextSpan(g.Levels[level]) / g.Levels[level] }
