package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/inputs"
	"github.com/mortise-dev/mortise/experiments/kafka"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/pebble"
	"github.com/mortise-dev/mortise/features/redis"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

const redisScheme = "redis://"

// benchStore is a store of tiles for as long as it is measured.
type benchStore struct {
	features.Store
	name  string
	close func() error // of Redis it removes what was written
}

// openBenchStore opens a store that holds nothing.
func openBenchStore(ctx context.Context, name, dir string) (*benchStore, error) {
	addr, isRedis := strings.CutPrefix(name, redisScheme)
	if !isRedis {
		db, err := pebble.Open(dir, pebble.Options{})
		if err != nil {
			return nil, err
		}
		return &benchStore{Store: db, name: name, close: db.Close}, nil
	}
	s, err := redis.Open(ctx, redis.Options{Addrs: strings.Split(addr, ","), Prefix: "mortise-bench-" + kafka.FreshSuffix()})
	if err != nil {
		return nil, err
	}
	return &benchStore{Store: s, name: "redis", close: func() error {
		ctx := context.WithoutCancel(ctx)
		return errors.Join(s.Clear(ctx), s.Close())
	}}, nil
}

// fill makes the tiles of the recorded files, divided among tasks, as a server
// finds them that has read its topics to their ends: the newest may still change.
// asOfMS lies behind them.
func (b *benchStore) fill(ctx context.Context, plan *experiments.Plan, named []input, tasks int) (gens []*tiling.Generation, asOfMS int64, err error) {
	if gens, err = tiling.Generations(ctx, b, experiments.FeaturesFromFiles(plan.Features(), func(string) bool { return true })); err != nil {
		return nil, 0, err
	}
	var fillers []*tiling.Filler
	for _, g := range gens {
		if err := g.Spread(ctx, b, tasks); err != nil {
			return nil, 0, err
		}
	}
	for task := range tasks {
		filler, err := tiling.NewFiller(ctx, b, gens, task, math.MinInt64, 0, func() int64 { return time.Now().UnixMilli() })
		if err != nil {
			return nil, 0, err
		}
		fillers = append(fillers, filler)
	}
	for _, in := range named {
		source := findSource(plan, in.name)
		if source == nil || !fillers[0].Reads(source.Topic) {
			continue
		}
		if err := fillAll(ctx, fillers, plan, source.Topic, in); err != nil {
			return nil, 0, fmt.Errorf("--input %s: %w", in.name, err)
		}
	}
	for _, filler := range fillers {
		if err := filler.Finish(ctx); err != nil {
			return nil, 0, err
		}
	}
	if err := tiling.Reopen(ctx, b, gens); err != nil {
		return nil, 0, err
	}
	latestMS, tileMS, err := extent(ctx, b, gens)
	return gens, latestMS + tileMS, err
}

// fillAll deals a source's records out to fillers.
func fillAll(ctx context.Context, fillers []*tiling.Filler, plan *experiments.Plan, topic string, in input) (err error) {
	if slices.Contains(in.patterns, recorded.Stdin) {
		return errors.New("the standard input can be read once, and each store reads the files: name a file")
	}
	files, err := inputs.Open(ctx, readersOf(plan, topic), in.patterns...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	for n := 0; ; n++ {
		line, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && n%4096 == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if err := fillers[n%len(fillers)].Add(ctx, topic, &mortise.Record{Topic: topic, Value: line.Data}); err != nil {
			return err
		}
	}
}

// extent is the largest event time of what was added, and the longest tile.
func extent(ctx context.Context, store features.Store, gens []*tiling.Generation) (latestMS, tileMS int64, err error) {
	positions, err := store.Positions(ctx)
	if err != nil {
		return 0, 0, err
	}
	latestMS = math.MinInt64
	for _, text := range positions {
		p, err := features.ParsePosition(text)
		if err != nil {
			return 0, 0, err
		}
		latestMS = max(latestMS, p.LatestMS)
	}
	if latestMS == math.MinInt64 {
		return 0, 0, errors.New("the inputs hold no event that a feature is over")
	}
	for _, g := range gens {
		for i := range g.Set.Groups {
			tileMS = max(tileMS, g.Set.Groups[i].TileMS)
		}
	}
	return latestMS, tileMS, nil
}
