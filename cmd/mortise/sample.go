package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/inputs"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features/memory"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// sampleFeatures makes, in memory, the features of a pipeline over recorded files,
// which are read once more for it; nil where it has none.
func sampleFeatures(ctx context.Context, plan *experiments.Plan, p *experiments.Pipeline, files []input) (*tiling.Enrichment, error) {
	if len(p.Features) == 0 {
		return nil, nil
	}
	store := memory.New()
	gens, err := tiling.Generations(ctx, store, experiments.FeaturesFromFiles(plan.Features(), func(string) bool { return true }))
	if err != nil {
		return nil, err
	}
	filler, err := tiling.NewFiller(ctx, store, gens, 0, math.MinInt64, 0, func() int64 { return time.Now().UnixMilli() })
	if err != nil {
		return nil, err
	}
	for _, in := range files {
		source := findSource(plan, in.name)
		if source == nil || !filler.Reads(source.Topic) {
			continue
		}
		if slices.Contains(in.patterns, recorded.Stdin) {
			return nil, fmt.Errorf("--input %s=-: features need their source twice, and the standard input can be read once: name a file", in.name)
		}
		if err := fillFrom(ctx, filler, plan, source.Topic, in.patterns); err != nil {
			return nil, fmt.Errorf("--input %s: %w", in.name, err)
		}
	}
	if err := filler.Finish(ctx); err != nil {
		return nil, err
	}
	return tiling.NewEnrichment(ctx, store, gens, p)
}

func fillFrom(ctx context.Context, filler *tiling.Filler, plan *experiments.Plan, topic string, patterns []string) (err error) {
	files, err := inputs.Open(ctx, readersOf(plan, topic), patterns...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	for {
		line, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := filler.Add(ctx, topic, &mortise.Record{Topic: topic, Value: line.Data}); err != nil {
			return err
		}
	}
}
