package tiling

import (
	"context"
	"fmt"
	"slices"
	"strings"

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
		number, ok := kept[f.ID]
		for !ok { // the first whose task for the source has nothing yet
			if _, began := positions[taskName(number, f.SourceID)]; !began {
				break
			}
			number++
		}
		byNumber[number] = append(byNumber[number], f)
	}
	var out []*Generation
	for number, fs := range byNumber {
		g, err := newGeneration(ctx, store, number, fs)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *Generation) int { return a.Number - b.Number })
	return out, nil
}

// keptIn tells of each feature in which generation it is: the last of which every
// task has it. One that some tasks lack was removed from them, and has a gap there.
func keptIn(positions map[string][]byte) (kept map[string]int, err error) {
	type part struct {
		generation int
		of         string // a source or a feature
	}
	tasks, having := map[part]int{}, map[part]int{}
	sources := map[string]string{} // by feature
	for task, text := range positions {
		if !strings.HasPrefix(task, taskPrefix) {
			continue
		}
		p, err := features.ParsePosition(text)
		if err != nil {
			return nil, fmt.Errorf("task %s: %w", task, err)
		}
		m, err := parseMeta(p.Meta)
		if err != nil {
			return nil, fmt.Errorf("task %s: %w", task, err)
		}
		tasks[part{m.Generation, m.Source}]++
		for _, id := range m.Features {
			having[part{m.Generation, id}]++
			sources[id] = m.Source
		}
	}
	kept = map[string]int{}
	for p, n := range having {
		if n == tasks[part{p.generation, sources[p.of]}] {
			kept[p.of] = max(kept[p.of], p.generation)
		}
	}
	return kept, nil
}

const taskPrefix = "tiles/"

func taskName(generation int, sourceID string) string {
	return fmt.Sprintf("%s%d/%s", taskPrefix, generation, sourceID)
}

func newGeneration(ctx context.Context, store features.Store, number int, fs []experiments.Feature) (*Generation, error) {
	g := &Generation{Number: number, Features: fs}
	var sources []features.Source
	var defs []features.Definition
	for i := range fs {
		f := &fs[i]
		if !slices.ContainsFunc(sources, func(s features.Source) bool { return s.Name == f.SourceID }) {
			sources = append(sources, features.Source{Name: f.SourceID, Identity: f.SourceID})
			fd, err := newFeed(f)
			if err != nil {
				return nil, err
			}
			g.feeds = append(g.feeds, fd)
			g.tasks = append(g.tasks, []string{taskName(number, f.SourceID)})
		}
		def := *f.Definition
		def.Source = f.SourceID // names are the experiments' own
		defs = append(defs, def)
	}
	var err error
	if g.Set, err = features.Compile(defs, sources); err != nil {
		return nil, err
	}
	if err := g.place(ctx, store); err != nil {
		return nil, err
	}
	return g, nil
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
		if g.Features[i].SourceID == g.feeds[source].id {
			ids = append(ids, g.Features[i].ID)
		}
	}
	return ids
}

// SpreadOver makes a task of each source for every partition of its topic.
func (g *Generation) SpreadOver(ctx context.Context, store features.Store, partitions map[string]int32) error {
	return g.spread(ctx, store, func(f *feed) int { return int(partitions[f.spec.Topic]) })
}

// Tasks are, for each source of Set, the tasks that write its tiles.
func (g *Generation) Tasks() [][]string { return g.tasks }
