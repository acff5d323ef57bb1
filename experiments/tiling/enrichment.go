package tiling

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/features"
)

// Enrichment reads features for the rows of one pipeline. It implements
// experiments.Enrichment.
type Enrichment struct {
	store features.Store
	parts []*enrichPart // per generation that the pipeline reads
	final atomic.Int64
}

// enrichPart is the features of a pipeline that one generation has.
type enrichPart struct {
	gen      *Generation
	features []partFeature
	groups   []int // of the generation's set: those that are read
	readers  *Readers
}

// partFeature is where a feature of the pipeline is in what a group's lookup gives.
type partFeature struct {
	column int // in the pipeline's features
	entity int // in the pipeline's entities
	group  int // in groups
	value  int // in the lookup's values
}

// NewEnrichment makes one for a pipeline out of the plan's generations.
func NewEnrichment(ctx context.Context, store features.Store, gens []*Generation, p *experiments.Pipeline) (*Enrichment, error) {
	e := &Enrichment{store: store}
	e.final.Store(math.MinInt64)
	found := 0
	for _, g := range gens {
		part := &enrichPart{gen: g}
		for column := range p.Features {
			if at := g.find(p.Features[column].ID); at >= 0 {
				part.add(column, p.Features[column].Entity, at)
				found++
			}
		}
		if len(part.features) > 0 {
			part.readers = NewReaders(store, g, false)
			e.parts = append(e.parts, part)
		}
	}
	if found < len(p.Features) {
		return nil, fmt.Errorf("%s: %d of %d features are in no generation of the store", p.Name(), len(p.Features)-found, len(p.Features))
	}
	if err := e.Refresh(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

func (g *Generation) find(id string) int {
	for i := range g.Features {
		if g.Features[i].ID == id {
			return i
		}
	}
	return -1
}

func (p *enrichPart) add(column, entity, at int) {
	f := &p.gen.Set.Features[at]
	group := -1
	for i, g := range p.groups {
		if g == f.Group {
			group = i
		}
	}
	if group < 0 {
		group = len(p.groups)
		p.groups = append(p.groups, f.Group)
	}
	for value, other := range p.gen.Set.Groups[f.Group].Features {
		if other == at {
			p.features = append(p.features, partFeature{column: column, entity: entity, group: group, value: value})
		}
	}
}

// FinalMS implements experiments.Enrichment, as of the last Refresh.
func (e *Enrichment) FinalMS() int64 { return e.final.Load() }

// Refresh asks the store how far features are final.
func (e *Enrichment) Refresh(ctx context.Context) error {
	final := int64(math.MaxInt64)
	for i := range e.parts {
		p := e.parts[i]
		err := p.readers.Use(ctx, 0, func(r *features.Reader) error {
			for _, g := range p.groups {
				final = min(final, r.FinalMS(p.gen.Set.Groups[g].Source))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if final < math.MaxInt64 && final > math.MinInt64 {
		final++ // an impression at that very time reads tiles up to it
	}
	e.final.Store(final)
	return nil
}

// finalAgain is how often tiles are looked at that were final and are not now.
const finalAgain = 20 * time.Millisecond

// Enrich implements experiments.Enrichment. Tiles that were final when the rows
// closed may have become unfinished since: a worker that begins takes back what a
// run to the end has said of them (Reopen). Whoever owns them makes them final
// again, and that is waited for.
func (e *Enrichment) Enrich(ctx context.Context, b *experiments.Batch) error {
	for i := 0; i < len(e.parts); {
		err := e.parts[i].enrich(ctx, b)
		switch {
		case err == nil:
			i++
		case errors.As(err, new(*features.UnfinishedError)):
			if err := e.wait(ctx); err != nil {
				return err
			}
		default:
			return err
		}
	}
	return nil
}

// wait lets some time pass; what closes meanwhile goes by how far features are now.
func (e *Enrichment) wait(ctx context.Context) error {
	if err := e.Refresh(ctx); err != nil {
		return err
	}
	select {
	case <-time.After(finalAgain):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *enrichPart) enrich(ctx context.Context, b *experiments.Batch) error {
	n := len(p.groups)
	lookups := make([]features.Lookup, len(b.Impressions)*n)
	entities := make([]int, n)
	for _, f := range p.features {
		entities[f.group] = f.entity
	}
	for i := range b.Impressions {
		im := &b.Impressions[i]
		for g, group := range p.groups {
			lookups[i*n+g] = features.Lookup{Group: group, Entity: im.Keys[entities[g]], AsOfMS: im.TimeMS}
		}
	}
	if err := p.readers.Use(ctx, 0, func(r *features.Reader) error { return r.Read(ctx, lookups) }); err != nil {
		return err
	}
	for i := range b.Impressions {
		row := b.Impressions[i].Features
		for _, f := range p.features {
			row[f.column] = valueOr(lookups[i*n+f.group].Values, f.value)
		}
	}
	return nil
}

func valueOr(row mortise.Row, i int) mortise.Value {
	if i < len(row) {
		return row[i]
	}
	return mortise.NullValue()
}
