package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
)

// FillFeatures makes the tiles that the rows of job read: a pass of its own over
// the sources of features, in whatever order their records come, for tiles do not
// depend on it. store must be empty. It gives the job what reads them.
//
// Of each source everything from the range's beginning less the longest window up
// to its end is read; events of other times are left out.
func FillFeatures(ctx context.Context, job *Job, plan *experiments.Plan, store features.Store) error {
	all := plan.Features()
	if len(all) == 0 {
		return nil
	}
	if err := job.ensureDefaults(); err != nil {
		return err
	}
	all = experiments.FeaturesFromFiles(all, job.isFile)
	gens, err := tiling.Generations(ctx, store, all)
	if err != nil {
		return err
	}
	for _, g := range gens {
		if err := g.Spread(ctx, store, job.Workers); err != nil {
			return err
		}
	}
	if err := job.fill(ctx, store, gens, all); err != nil {
		return fmt.Errorf("making the features' tiles: %w", err)
	}
	job.Enrichment, err = tiling.NewEnrichment(ctx, store, gens, job.Pipeline)
	return err
}

// fill has every worker read units into tiles of its own.
func (j *Job) fill(ctx context.Context, store features.Store, gens []*tiling.Generation, all []experiments.Feature) error {
	var units []featureUnit
	for topic, input := range j.featureInputs(all) {
		target := j.CutBytes
		if target <= 0 {
			target = max(input.Bytes()/int64(4*j.Workers), minCutBytes)
		}
		for _, u := range input.Units(target) {
			units = append(units, featureUnit{topic, u})
		}
	}
	slices.SortStableFunc(units, func(a, b featureUnit) int { return int(max(min(b.Bytes-a.Bytes, 1), -1)) }) // the largest first
	fromMS := back(j.Range.FromMS, tiling.Horizon(all))
	maxBytes := int(j.MemoryBytes) / (4 * j.Workers * max(len(gens), 1))
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for task := range j.Workers {
		g.Go(func() error {
			f, err := tiling.NewFiller(ctx, store, gens, task, fromMS, maxBytes, func() int64 { return j.Now().UnixMilli() })
			if err != nil {
				return err
			}
			f.Bound(fromMS, j.Range.ToMS)
			for {
				at := next.Add(1) - 1
				if at >= int64(len(units)) {
					return f.Finish(ctx)
				}
				if err := j.fillUnit(ctx, f, &units[at]); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

const minCutBytes = 8 << 20

type featureUnit struct {
	topic string
	Unit
}

// featureInputs are the inputs by the topics of features' sources.
func (j *Job) featureInputs(all []experiments.Feature) map[string]Input {
	out := map[string]Input{}
	for i := range all {
		s := all[i].Source
		if input := j.Inputs[s.Name]; input != nil {
			out[s.Topic] = input
		}
	}
	return out
}

func (j *Job) fillUnit(ctx context.Context, f *tiling.Filler, u *featureUnit) error {
	r, err := u.Open(ctx)
	if err != nil {
		return err
	}
	rec := mortise.Record{Topic: u.topic, Partition: u.Partition}
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return errors.Join(ctx.Err(), r.Close())
		}
		err := r.Next(&rec)
		if errors.Is(err, io.EOF) {
			return r.Close()
		}
		if err == nil {
			err = f.Add(ctx, u.topic, &rec)
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
		if j.Progress != nil && n%256 == 255 {
			j.Progress.tiled.Add(256)
		}
	}
}
