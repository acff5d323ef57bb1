package experiments

import (
	"context"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner"
)

// How a run ends by itself. A worker is done when its tasks are; but while others
// of its group are not, one of them may die, and its tasks are then to be finished
// here. So it commits, stays, and stops with the whole group.
//
// Topics that are still written to end elsewhere for each worker that asks. A
// worker therefore asks for the ends of all tasks before those of its own: then
// whoever asked first finds that the others have read far enough, and stops. Its
// tasks go to those that are left, which read on to where these end for them.

// Group is what a worker knows of its consumer group as a whole. Errors are
// passing: it is asked again.
type Group interface {
	// Ends returns where all that the group reads ends now (last stable offsets).
	Ends(ctx context.Context) (map[TopicPartition]int64, error)
	// Committed returns all that the group has committed.
	Committed(ctx context.Context) (map[TopicPartition]CommittedOffset, error)
}

// learnAllEnds asks where the inputs of all tasks end, once, and reports whether
// that is known.
func (w *Worker) learnAllEnds(ctx context.Context) bool {
	if w.opts.Group == nil || w.allEnds != nil {
		return true
	}
	ends, err := w.opts.Group.Ends(ctx)
	if err != nil {
		w.opts.Log.Debug("asking where the group's inputs end", "group", w.name, "err", err)
		return false
	}
	w.allEnds = ends
	return true
}

// hasEnded reports whether nothing is left to do for this worker's tasks.
func (w *Worker) hasEnded() bool {
	if !w.opts.UntilEnd || len(w.opening) > 0 || !w.inputDone() {
		return false
	}
	for _, r := range w.runners {
		if !r.finished {
			return false
		}
	}
	return len(w.runners) > 0 || w.allEnds != nil
}

// askEvery is how often it is asked whether the others are done.
const askEvery = 100 * time.Millisecond

// finish commits what is done, and reports whether the group is done too.
func (w *Worker) finish(ctx context.Context) (bool, error) {
	now := w.opts.Now()
	switch {
	case w.askedAt.IsZero() || w.dirty:
		w.opts.Log.Debug("every window is closed", "group", w.name, "tasks", len(w.runners))
		if err := w.commitAll(ctx); err != nil {
			return false, err
		}
	case now.Sub(w.askedAt) < askEvery:
		return false, nil
	}
	if w.opts.Group == nil {
		return true, nil
	}
	w.askedAt = now
	committed, err := w.opts.Group.Committed(ctx)
	if err != nil {
		w.opts.Log.Debug("asking whether the others are done", "group", w.name, "err", err)
		return false, nil // it is asked again
	}
	others, done := w.othersDone(committed)
	if done {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.status.Others = others
	}
	return done, nil
}

// othersDone reports whether the tasks of others have been read to their ends and
// hold nothing any more; then it returns their accounts, added up by experiment.
func (w *Worker) othersDone(committed map[TopicPartition]CommittedOffset) (sum []mortise.Ledger, done bool) {
	sum = make([]mortise.Ledger, len(w.pipeline.Experiments))
	for tp, end := range w.allEnds {
		if _, own := w.byPart[tp]; own {
			continue
		}
		c, ok := committed[tp]
		if !ok || c.Next < end {
			return nil, false
		}
		if tp.Topic != w.pipeline.Sources[0].Topic {
			continue
		}
		at, err := joiner.ParseMetadata(c.Metadata)
		if err != nil || at.Plan != w.pipeline.Fingerprint() || len(at.Ledgers) != len(sum) || !at.HoldsNothing() {
			return nil, false
		}
		for i := range sum {
			sum[i].Add(&at.Ledgers[i])
			if at.Ledgers[i].Impressions.Parked+at.Ledgers[i].Remembered > 0 {
				return nil, false
			}
		}
	}
	return sum, true
}
