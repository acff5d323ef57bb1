package experiments_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/simulation"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/checkpoint"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// simCheckpoints is experiments.Checkpoints over a simulated bucket.
type simCheckpoints struct {
	process     *simulation.Process
	checkpoints *checkpoint.Checkpoints
	db          *disk.DB
	mu          sync.Mutex
	busy        map[string]bool
	captures    int
	run         *simRun
}

func (r *simRun) checkpoints(p *simulation.Process, db *disk.DB) *simCheckpoints {
	seed := r.schedule.Rand.Uint64()
	return &simCheckpoints{process: p, db: db, busy: map[string]bool{}, run: r, checkpoints: checkpoint.New(r.bucket.For(p), checkpoint.Options{
		Keep: r.plan.keep, Parallel: 1, Writer: p.Name, ObjectBytes: 4 << 10, PartBytes: 2 << 10, Random: &simRandom{seed},
		NowMS: func() int64 { return simNow().UnixMilli() }, PinFor: time.Hour})}
}

// simRandom is a source of bytes that follow from a seed.
type simRandom struct{ at uint64 }

func (r *simRandom) Read(p []byte) (int, error) {
	for i := range p {
		r.at = r.at*6364136223846793005 + 1442695040888963407
		p[i] = byte(r.at >> 56)
	}
	return len(p), nil
}

// alone waits until nothing else is done with a task's checkpoints: by turns, for
// the lock inside would be waited for behind the schedule's back.
// Who waits has a name of its own.
func (c *simCheckpoints) alone(ctx context.Context, task, name string) (done func(), err error) {
	for first := true; first || c.isBusy(task); first = false {
		if err := c.process.Await(name, time.Hour, func() bool { return !c.isBusy(task) || ctx.Err() != nil }); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	c.mark(task, true)
	return func() { c.mark(task, false) }, nil
}

// What a process that was killed still does, it does in no order.
func (c *simCheckpoints) mark(task string, busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy[task] = busy
}

func (c *simCheckpoints) isBusy(task string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy[task]
}

// Restore implements experiments.Checkpoints.
func (c *simCheckpoints) Restore(ctx context.Context, task string, accept func(meta []byte) bool) (experiments.Restored, error) {
	done, err := c.alone(ctx, task, "restoring "+task)
	if err != nil {
		return experiments.Restored{}, err
	}
	defer done()
	got, err := c.checkpoints.Restore(ctx, task, c.db, accept)
	if err != nil || got == nil {
		return experiments.Restored{}, err
	}
	c.run.counts.restored++
	return experiments.Restored{Meta: got.Meta, Bytes: got.Bytes, Files: got.Files}, nil
}

// Capture implements experiments.Checkpoints.
func (c *simCheckpoints) Capture(task string, store joiner.Store) (func(context.Context) (experiments.Saved, error), error) {
	capture, err := store.(*disk.Store).Capture()
	if err != nil {
		return nil, err
	}
	c.captures++
	name := fmt.Sprintf("saving %s, %d", task, c.captures)
	return func(ctx context.Context) (experiments.Saved, error) {
		done, err := c.alone(ctx, task, name)
		if err != nil {
			return experiments.Saved{}, errors.Join(err, capture.Close())
		}
		defer done()
		saved, err := c.checkpoints.Save(ctx, task, capture)
		if err != nil {
			return experiments.Saved{}, err
		}
		c.run.counts.saved++
		if c.run.saved != nil {
			c.run.saved()
		}
		return experiments.Saved{Bytes: saved.Bytes, TotalBytes: saved.TotalBytes, Files: saved.Files}, nil
	}, nil
}

// Forget implements experiments.Checkpoints.
func (c *simCheckpoints) Forget(task string) { c.checkpoints.Release(task) }
