package archive

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/mortise-dev/mortise/instances/dataset"
)

// A folder gets _SUCCESS when it is certain that the dataset has all its rows that
// are in time:
//
//	1. the join's group has committed that all impressions before W are closed: their
//	   rows were written before that was committed
//	2. asked after that, the rows' topic ends at E; those rows lie before
//	3. every partition's parts have come to E
//
// Each is a fact that stays true, whoever finds it out. So it does no harm when
// two workers do.

// completion is how far folders are complete, as the worker that has partition 0
// finds out while the join goes on.
type completion struct {
	closing  closing
	lastAsk  time.Time
	doneMS   int64 // folders that end at or before it have been seen to
	beforeMS int64 // W, in whole hours, of those that are next
	ends     map[int32]int64
}

const hourMS = 60 * 60 * 1000

// complete finds out, now and then, which hours are over. What cannot be asked
// now is asked again: only markers depend on it.
func (a *Archiver) complete(ctx context.Context) error {
	c, now := &a.completion, a.opts.Now()
	if len(a.lanes) == 0 || a.lanes[0].tp.Partition != 0 || now.Sub(c.lastAsk) < a.opts.CompleteEvery {
		return nil
	}
	if len(a.opts.Archive.Experiment.Output.ParquetOut.Partition) == 0 {
		return nil // the one folder is complete with the end of the run
	}
	c.lastAsk = now
	if err := a.tryComplete(ctx, now); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		a.opts.Log.Warn("which hours are complete is not known, and asked again", "experiment", a.opts.Archive.Experiment.Name, "err", err)
	}
	return nil
}

func (a *Archiver) tryComplete(ctx context.Context, now time.Time) error {
	c := &a.completion
	if c.ends == nil {
		tasks, err := a.opts.Join.Tasks(ctx)
		if err != nil {
			return err
		}
		beforeMS, ok := c.closing.bound(tasks, now)
		if !ok {
			return nil
		}
		if beforeMS -= mod(beforeMS, hourMS); c.doneMS != 0 && beforeMS <= c.doneMS {
			return nil
		}
		ends, err := a.opts.Join.Written(ctx)
		if err != nil {
			return err
		}
		c.beforeMS, c.ends = beforeMS, ends
	}
	if there, err := a.hasArchived(ctx, c.ends); err != nil || !there {
		return err
	}
	if err := a.completeBefore(ctx, c.beforeMS); err != nil {
		return err
	}
	c.doneMS, c.ends = c.beforeMS, nil
	return nil
}

func mod(n, by int64) int64 {
	m := n % by
	if m < 0 {
		m += by
	}
	return m
}

// hasArchived reports whether the dataset has all rows before ends, in the
// partitions of others too.
func (a *Archiver) hasArchived(ctx context.Context, ends map[int32]int64) (bool, error) {
	own := map[int32]*lane{}
	for _, l := range a.lanes {
		own[l.tp.Partition] = l
	}
	for p, l := range own {
		if l.archived() < ends[p] {
			return false, nil
		}
	}
	for _, p := range slices.Sorted(maps.Keys(ends)) {
		if own[p] != nil {
			continue
		}
		end := ends[p]
		at, err := a.opts.Dataset.Next(ctx, dataset.Partition(p))
		if err != nil {
			return false, err
		}
		if at.Redo == nil && at.Next >= end {
			continue
		}
		if at.Redo != nil {
			return false, nil
		}
		row, err := a.opts.Join.NextRow(ctx, p, at.Next) // the rest may be no rows
		if err != nil || row < end {
			return false, err
		}
	}
	return true, nil
}

// completeBefore writes _SUCCESS into the folders that end at or before a time.
func (a *Archiver) completeBefore(ctx context.Context, beforeMS int64) error {
	folders, err := a.opts.Dataset.Incomplete(ctx, beforeMS)
	if err != nil || len(folders) == 0 {
		return err
	}
	if err := a.opts.Dataset.Complete(ctx, folders...); err != nil {
		return err
	}
	a.opts.Log.Debug("complete", "experiment", a.opts.Archive.Experiment.Name, "folders", len(folders))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status.Completed += int64(len(folders))
	return nil
}

// ending is what is left to do once the join has ended in this process.
type ending struct {
	ends    map[int32]int64 // what is to be archived
	whole   bool            // ends are those of all rows that there are to be
	lastAsk time.Time
	failing time.Time
}

// endEvery is how often it is asked whether others have archived what is theirs.
const endEvery = 200 * time.Millisecond

// end goes on with the end of the run, and reports when it is reached: when this
// worker's partitions have been archived to their ends, and either other workers
// of the join are still at work, so that one of those is the last, or all that
// there is has been archived, by whomever, and every folder has _SUCCESS.
func (a *Archiver) end(ctx context.Context) (done bool, err error) {
	e, now := &a.ending, a.opts.Now()
	if now.Sub(e.lastAsk) < endEvery {
		return false, nil
	}
	e.lastAsk = now
	done, err = a.tryEnd(ctx)
	switch {
	case err == nil:
		e.failing = time.Time{}
	case ctx.Err() != nil:
		return false, ctx.Err()
	case e.failing.IsZero():
		e.failing = now
		fallthrough
	case now.Sub(e.failing) < a.opts.Patience:
		a.opts.Log.Warn("whether all is archived is not known, and asked again", "experiment", a.opts.Archive.Experiment.Name, "err", err)
		return false, nil
	default:
		return false, fmt.Errorf("completing the dataset of %s: %w; the same command goes on from there", a.opts.Archive.Experiment.Name, err)
	}
	if done {
		err = a.commit(ctx)
		a.observe()
	}
	return done, err
}

func (a *Archiver) tryEnd(ctx context.Context) (done bool, err error) {
	e := &a.ending
	if e.ends == nil {
		if e.ends, err = a.opts.Join.Written(ctx); err != nil {
			return false, err
		}
	}
	for _, l := range a.lanes {
		if l.archived() < e.ends[l.tp.Partition] {
			return false, nil
		}
	}
	if !e.whole {
		tasks, err := a.opts.Join.Tasks(ctx)
		if err != nil {
			return false, err
		}
		if !allDrained(tasks) {
			return true, nil
		}
		ends, err := a.opts.Join.Written(ctx)
		if err != nil {
			return false, err
		}
		e.ends, e.whole = ends, true
	}
	if there, err := a.hasArchived(ctx, e.ends); err != nil || !there {
		return false, err
	}
	return true, a.completeBefore(ctx, math.MaxInt64)
}
