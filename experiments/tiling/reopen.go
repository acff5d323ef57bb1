package tiling

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/mortise-dev/mortise/features"
)

// Reopen takes back that tiles are final for ever, which a run to the end of the
// input has said of them: there may be more input now. It is to be called before
// anyone reads from the generations, lest rows take what is to come for complete.
func Reopen(ctx context.Context, store features.Store, gens []*Generation) error {
	positions, err := store.Positions(ctx)
	if err != nil {
		return fmt.Errorf("reading how far features are: %w", err)
	}
	for _, g := range gens {
		for i, f := range g.feeds {
			for task, name := range g.tasks[i] {
				if positions[name] == nil {
					continue
				}
				p, err := features.ParsePosition(positions[name])
				if err != nil {
					return fmt.Errorf("task %s: %w", name, err)
				}
				if p.WatermarkMS != math.MaxInt64 {
					continue
				}
				w, err := features.OpenWriter(ctx, g.Set, store, features.WriterOptions{Task: name, Shard: g.shards[i][task],
					Slot: func(_ int, field string) int { return f.slot(field) }})
				if err != nil {
					return err
				}
				at := p.LatestMS
				if at != math.MinInt64 {
					at -= f.spec.OutOfOrderness.Milliseconds()
				}
				if err := w.Commit(ctx, p.Meta, at); err != nil && !errors.Is(err, features.ErrFenced) { // by one that is at work
					return err
				}
			}
		}
	}
	return nil
}
