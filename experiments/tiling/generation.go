package tiling

import (
	"context"
	"fmt"
	"slices"
	"strings"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/features"
)

// Generation is features that have been kept together from the beginning.
type Generation struct {
	Number   int
	Set      *features.Set
	Features []experiments.Feature // in the order of Set.Features
	feeds    []*feed               // in the order of Set.Sources
	tasks    [][]string            // per source: its tasks, one where it is not spread
	shards   [][]uint16            // of tasks
}

// Generations sorts a plan's features by when they were first kept in the store:
// those that it does not know, or not without a gap, begin a new generation.
func Generations(ctx context.Context, store features.Store, all []experiments.Feature) ([]*Generation, error) {
	return layout{}.generations(ctx, store, all)
}

// SharedGenerations are the generations of a store that workers share. Features of
// different entities are kept apart, so that each entity has one task that writes its
// tiles. base, which no other store has, begins the names of the consumer groups and
// internal topics that Ways give.
func SharedGenerations(ctx context.Context, store features.Store, all []experiments.Feature, base string) ([]*Generation, error) {
	return layout{base}.generations(ctx, store, all)
}

// layout is how a source's features are divided among tasks: not at all, or, with a
// base, by entity.
type layout struct{ base string }

// feedName is which of a generation's feeds a feature is of.
func (l layout) feedName(f *experiments.Feature) string {
	if l.base == "" {
		return f.SourceID
	}
	way := "/by/"
	if l.isKeyed(f) {
		way = "/keyed/"
	}
	return f.SourceID + way + strings.Join(f.Definition.Entity, ",")
}

func (l layout) isKeyed(f *experiments.Feature) bool {
	return experiments.KeyedBy(f.Experiment, f.Source, f.Definition.Entity)
}

func (l layout) generations(ctx context.Context, store features.Store, all []experiments.Feature) ([]*Generation, error) {
	positions, err := store.Positions(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading what features the store has: %w", err)
	}
	kept, err := keptIn(positions)
	if err != nil {
		return nil, err
	}
	byNumber := map[int][]experiments.Feature{}
	for _, f := range all {
		name := l.feedName(&f)
		number, ok := kept[keptFeature{name, f.ID}]
		for !ok { // the first whose task for the source has nothing yet
			if !l.began(positions, taskName(number, name)) {
				break
			}
			number++
		}
		byNumber[number] = append(byNumber[number], f)
	}
	var out []*Generation
	for number, fs := range byNumber {
		g, err := l.newGeneration(ctx, store, number, fs)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *Generation) int { return a.Number - b.Number })
	return out, nil
}

// began reports whether a task has committed, or, where it is spread, any of them.
func (l layout) began(positions map[string][]byte, task string) bool {
	if _, ok := positions[task]; ok {
		return true
	}
	if l.base == "" {
		return false
	}
	for name := range positions {
		if strings.HasPrefix(name, task+"/") {
			return true
		}
	}
	return false
}

// keptFeature is a feature that tasks of a feed have.
type keptFeature struct{ feed, id string }

// keptIn tells of each feature in which generation it is: the last of which every
// task has it. One that some tasks lack was removed from them, and has a gap there.
func keptIn(positions map[string][]byte) (kept map[keptFeature]int, err error) {
	type part struct {
		generation int
		of         keptFeature
	}
	tasks, having := map[part]int{}, map[part]int{}
	for task, text := range positions {
		if !strings.HasPrefix(task, taskPrefix) {
			continue
		}
		m, err := metaOf(task, text)
		if err != nil {
			return nil, err
		}
		tasks[part{m.Generation, keptFeature{feed: m.Source}}]++
		for _, id := range m.Features {
			having[part{m.Generation, keptFeature{m.Source, id}}]++
		}
	}
	kept = map[keptFeature]int{}
	for p, n := range having {
		if n == tasks[part{p.generation, keptFeature{feed: p.of.feed}}] {
			kept[p.of] = max(kept[p.of], p.generation)
		}
	}
	return kept, nil
}

const taskPrefix = "tiles/"

func taskName(generation int, feed string) string {
	return fmt.Sprintf("%s%d/%s", taskPrefix, generation, feed)
}

func (l layout) newGeneration(ctx context.Context, store features.Store, number int, fs []experiments.Feature) (*Generation, error) {
	g := &Generation{Number: number, Features: fs}
	var sources []features.Source
	var defs []features.Definition
	for i := range fs {
		f := &fs[i]
		name := l.feedName(f)
		if !slices.ContainsFunc(g.feeds, func(fd *feed) bool { return fd.name == name }) {
			sources = append(sources, features.Source{Name: name, Identity: f.SourceID})
			fd, err := l.newFeed(number, f)
			if err != nil {
				return nil, err
			}
			g.feeds = append(g.feeds, fd)
			g.tasks = append(g.tasks, []string{taskName(number, name)})
		}
		def := *f.Definition
		def.Source = name // names are the experiments' own
		defs = append(defs, def)
	}
	var err error
	if g.Set, err = features.Compile(defs, sources); err != nil {
		return nil, err
	}
	if err := g.pack(ctx, store); err != nil {
		return nil, err
	}
	if err := g.place(ctx, store); err != nil {
		return nil, err
	}
	return g, nil
}

// newFeed makes the feed of a feature, and of those that share it.
func (l layout) newFeed(number int, f *experiments.Feature) (*feed, error) {
	fd, err := newFeed(f)
	if err != nil || l.base == "" {
		return fd, err
	}
	fd.name, fd.entity = l.feedName(f), f.Definition.Entity
	row := f.Source.Row()
	fd.textKey = len(fd.entity) == 1 && row[row.Index(fd.entity[0])].Type.Kind == mortise.String
	if !l.isKeyed(f) {
		fd.way = experiments.FeatureShuffle(l.base, taskName(number, fd.name), f)
		fd.topic = fd.way.Topic
	}
	return fd, nil
}

// pack settles what of their events the feeds on a way get.
func (g *Generation) pack(ctx context.Context, store features.Store) error {
	for i, f := range g.feeds {
		if f.way == nil {
			continue
		}
		fields := g.Set.Arguments(i)
		numbers, err := store.Numbers(ctx, "fields of "+taskName(g.Number, f.name), fields)
		if err != nil {
			return fmt.Errorf("numbering the fields of %s: %w", f.spec.Name, err)
		}
		f.parcel = newParcel(fields, numbers)
	}
	return nil
}

// place looks up where the tiles of the tasks lie.
func (g *Generation) place(ctx context.Context, store features.Store) error {
	g.shards = nil
	for _, tasks := range g.tasks {
		numbers, err := store.Numbers(ctx, "shards", tasks)
		if err != nil {
			return fmt.Errorf("looking up where tiles lie: %w", err)
		}
		var shards []uint16
		for _, n := range numbers {
			if n > 1<<16-1 {
				return fmt.Errorf("the feature store has held %d generations of sources, the most that it can: begin with an empty one", n)
			}
			shards = append(shards, uint16(n))
		}
		g.shards = append(g.shards, shards)
	}
	return nil
}

// Spread makes n tasks of each source, for as many Fillers to work at once. What
// they write is merged when it is read.
func (g *Generation) Spread(ctx context.Context, store features.Store, n int) error {
	return g.spread(ctx, store, func(*feed) int { return n })
}

func (g *Generation) spread(ctx context.Context, store features.Store, n func(*feed) int) error {
	for i, f := range g.feeds {
		first := g.tasks[i][0]
		for k := 1; k < n(f); k++ {
			g.tasks[i] = append(g.tasks[i], fmt.Sprintf("%s/%d", first, k))
		}
	}
	return g.place(ctx, store)
}

// ids lists the features of one source.
func (g *Generation) ids(source int) (ids []string) {
	for i := range g.Features {
		if g.isOf(i, source) {
			ids = append(ids, g.Features[i].ID)
		}
	}
	return ids
}

// isOf reports whether a feature is over a source of the set.
func (g *Generation) isOf(feature, source int) bool {
	return g.Set.Groups[g.Set.Features[feature].Group].Source == source
}

// SpreadOver makes a task of each source for every partition of the topic that its
// tasks read, whose numbers are given. Where that was another number when tasks
// began, entities have moved: those of an internal topic are refused, of others
// reads merge what all tasks have.
func (g *Generation) SpreadOver(ctx context.Context, store features.Store, partitions map[string]int32) error {
	positions, err := store.Positions(ctx)
	if err != nil {
		return fmt.Errorf("reading how far features are: %w", err)
	}
	for i, f := range g.feeds {
		n := int(partitions[f.topic])
		if n < 1 {
			return fmt.Errorf("the topic %s of features of %s is not there", f.topic, f.spec.Name)
		}
		f.routed = true
		for name, text := range positions {
			if !strings.HasPrefix(name, g.tasks[i][0]+"/") && name != g.tasks[i][0] {
				continue
			}
			m, err := metaOf(name, text)
			if err != nil {
				return err
			}
			if m.Width == n {
				continue
			}
			if f.way != nil {
				return fmt.Errorf("the internal topic %s has %d partitions, and features were shuffled into %d: begin with another prefix in feature_store, and the features are made anew", f.topic, n, m.Width)
			}
			f.routed = false
		}
	}
	return g.spread(ctx, store, func(f *feed) int { return int(partitions[f.topic]) })
}

func metaOf(task string, position []byte) (*meta, error) {
	p, err := features.ParsePosition(position)
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", task, err)
	}
	m, err := parseMeta(p.Meta)
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", task, err)
	}
	return m, nil
}

// Tasks are, for each source of Set, the tasks that write its tiles.
func (g *Generation) Tasks() [][]string { return g.tasks }
