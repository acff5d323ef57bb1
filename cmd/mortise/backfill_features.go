package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/features/pebble"
)

// scratchTiles are the features' tiles of a backfill, for as long as it runs.
type scratchTiles struct {
	db  *pebble.DB
	dir string
}

// fill makes the tiles of the experiment's features, if it has some.
func (t *scratchTiles) fill(ctx context.Context, scratch string, plan *experiments.Plan, job *backfill.Job) (err error) {
	if len(plan.Features()) == 0 {
		return nil
	}
	if err := os.MkdirAll(scratch, 0o777); err != nil {
		return fmt.Errorf("making the scratch folder: %w; name another with --scratch", err)
	}
	if t.dir, err = os.MkdirTemp(scratch, "features-"); err != nil {
		return fmt.Errorf("making the scratch folder: %w; name another with --scratch", err)
	}
	if t.db, err = pebble.Open(t.dir, pebble.Options{CacheBytes: job.MemoryBytes / 8}); err != nil {
		return err
	}
	return backfill.FillFeatures(ctx, job, plan, t.db)
}

func (t *scratchTiles) close() (err error) {
	if t.db != nil {
		err = t.db.Close()
	}
	if t.dir != "" {
		err = errors.Join(err, os.RemoveAll(t.dir))
	}
	return err
}
