package experiments

import (
	"context"
	"fmt"
	"time"

	"github.com/mortise-dev/mortise/joiner"
)

// Checkpoints keeps copies of tasks' states in another place. Any goroutine may
// use it.
type Checkpoints interface {
	// Restore replaces a task's local state by its newest checkpoint of which
	// accept, told its snapshot as joiner.ParseSnapshot reads it, says yes and that
	// verifies. Without one it leaves everything alone and Restored.Meta is nil. The
	// task's store is not open.
	Restore(ctx context.Context, task string, accept func(meta []byte) bool) (Restored, error)
	// Capture notes the state as the store's last commit left it, quickly, and
	// returns what copies it. That may run while the store goes on and after it is
	// closed; it is called once.
	Capture(task string, store joiner.Store) (save func(ctx context.Context) (Saved, error), err error)
	// Forget says that another worker may go on with the task from here.
	Forget(task string)
}

// Restored is what came back.
type Restored struct {
	Meta  []byte // the snapshot; nil when there was nothing to restore
	Bytes int64
	Files int
}

// Saved is what a checkpoint took.
type Saved struct {
	Bytes      int64 // that were copied
	TotalBytes int64 // that it stands for, with what earlier ones had copied
	Files      int
}

// CheckpointStatus is how a worker's checkpoints fare.
type CheckpointStatus struct {
	Saved    int64         `json:"saved"`
	Failed   int64         `json:"failed"`
	Bytes    int64         `json:"bytes"`    // copied, in all
	Took     time.Duration `json:"took_ns"`  // the last one
	Held     time.Duration `json:"held_ns"`  // the longest that a capture held its task up
	Restored int64         `json:"restored"` // tasks that came back from one
}

// farBehind reports whether state is so old that a checkpoint, if there is a
// newer one, is the quicker way: state is copied some ten times as fast as
// records are read again.
func (w *Worker) farBehind(local, at *joiner.Snapshot) bool {
	return w.opts.Checkpoints != nil && records(at)-records(local) > farBehind
}

const farBehind = 1_000_000 // records

func records(s *joiner.Snapshot) (n int64) {
	for _, off := range s.Offsets {
		n += off
	}
	return n
}

// restore brings a checkpoint back that a task can go on from towards at, and
// that is worth it: local is the state at hand, nil when there is none.
func (w *Worker) restore(ctx context.Context, partition int32, at, local *joiner.Snapshot) (bool, error) {
	if w.opts.Checkpoints == nil || at == nil || w.doubted[partition] {
		return false, nil
	}
	began := w.opts.Now()
	got, err := w.opts.Checkpoints.Restore(ctx, w.stateName(partition), func(meta []byte) bool {
		s, err := usable(meta, at)
		return err == nil && (local == nil || records(s)-records(local) > farBehind)
	})
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil: // the topics still have all that it holds
		w.opts.Log.Warn("no checkpoint can be had; the state is rebuilt from the topics", "partition", partition, "err", err)
		return false, nil
	case got.Meta == nil:
		return false, nil
	}
	w.mu.Lock()
	w.checkpoints.Restored++
	w.mu.Unlock()
	w.opts.Log.Info("state is restored from a checkpoint", "partition", partition, "bytes", got.Bytes, "files", got.Files, "took", w.opts.Now().Sub(began))
	return true, nil
}

// checkpoint copies the state, just committed, of every task whose turn it is. A
// task whose last copy is still under way is left for later.
func (w *Worker) checkpoint(ctx context.Context) {
	if w.opts.Checkpoints == nil {
		return
	}
	now := w.opts.Now()
	for _, r := range w.runners {
		if r.saving || now.Sub(r.savedAt) < w.opts.CheckpointEvery {
			continue
		}
		save := w.capture(r)
		if save == nil {
			continue
		}
		r.saving = true
		began := now.UnixMilli()
		w.jobs.start(w.opts.Go, func() outcome {
			saved := save(ctx)
			return outcome{done: func() error {
				if r.saving = false; saved {
					r.checkpointMS = began
				}
				return nil
			}}
		})
	}
}

// capture notes a task's state and returns what copies it, nil when nothing can
// be copied. A checkpoint that fails is told and tried again at the next turn:
// the task does not depend on it.
func (w *Worker) capture(r *runner) (save func(context.Context) bool) {
	if w.opts.Checkpoints == nil || !r.isSettled() {
		return nil
	}
	began := w.opts.Now()
	r.savedAt = began
	run, err := w.opts.Checkpoints.Capture(w.stateName(r.partition), r.store)
	held := w.opts.Now().Sub(began)
	if err != nil {
		w.failedCheckpoint(r.partition, err)
		return nil
	}
	partition := r.partition
	return func(ctx context.Context) bool {
		saved, err := run(ctx)
		if err != nil {
			w.failedCheckpoint(partition, err)
			return false
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		c := &w.checkpoints
		c.Saved, c.Bytes, c.Took, c.Held = c.Saved+1, c.Bytes+saved.Bytes, w.opts.Now().Sub(began), max(c.Held, held)
		return true
	}
}

func (w *Worker) failedCheckpoint(partition int32, err error) {
	w.opts.Log.Warn("checkpoint failed", "err", fmt.Errorf("copying the state of partition %d: %w", partition, err))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkpoints.Failed++
}
