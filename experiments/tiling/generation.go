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
	tasks    []string              // their tasks
	shards   []uint16
}

// Generations sorts a plan's features by when they were first kept in the store:
// those that it does not know, or not without a gap, begin a new generation.
func Generations(ctx context.Context, store features.Store, all []experiments.Feature) ([]*Generation, error) {
	positions, err := store.Positions(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading what features the store has: %w", err)
	}
	kept := map[string]int{} // by feature: its generation
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
		for _, id := range m.Features {
			kept[id] = max(kept[id], m.Generation)
		}
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
			g.tasks = append(g.tasks, taskName(number, f.SourceID))
		}
		def := *f.Definition
		def.Source = f.SourceID // names are the experiments' own
		defs = append(defs, def)
	}
	var err error
	if g.Set, err = features.Compile(defs, sources); err != nil {
		return nil, err
	}
	shards, err := store.Numbers(ctx, "shards", g.tasks)
	if err != nil {
		return nil, fmt.Errorf("looking up where tiles lie: %w", err)
	}
	for i, n := range shards {
		if n > 1<<16-1 {
			return nil, fmt.Errorf("the feature store has held %d generations of sources, the most that it can: begin with an empty one", n)
		}
		g.shards = append(g.shards, uint16(shards[i]))
	}
	return g, nil
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

// Tasks are, for each source of Set, the tasks that write its tiles.
func (g *Generation) Tasks() (all [][]string) {
	for _, task := range g.tasks {
		all = append(all, []string{task})
	}
	return all
}
