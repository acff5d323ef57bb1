package experiments

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/joiner"
)

// How closed impressions wait for their features and dimensions beside intake.
//
// A task closes a bounded number of impressions, gives the batch away, and closes
// no more until it is back. Its rows are produced with the commit that moves its
// offsets past them, never before: while a batch is away the task cannot be
// committed. A task that a commit had to leave out closes nothing more before the
// next, and that one waits for it.

// flightWait is how long a poll waits at most while a batch is away.
const flightWait = 2 * time.Millisecond

// stagedBytes is how much a task puts out before it has to be committed.
const stagedBytes = 32 << 20

// launch gives away the rows that have been put off.
func (r *runner) launch() {
	b := r.prog.takeBatch()
	if b == nil {
		return
	}
	b.Partition, b.done = r.partition, make(chan struct{})
	if b.observed != nil {
		b.arrivals = r.prog.seen.through()
	}
	r.flying = b
	b.fill(r.spawn, func() error { return r.enrichBatch(b) }, func() error {
		if b.Dimensions == nil {
			return nil
		}
		return readDimensions(r.life, r.dims, b.Dimensions)
	})
}

// fill runs all that fills a batch at the same time; neither waits for the other.
func (b *Batch) fill(spawn func(func()), each ...func() error) {
	b.errs = make([]error, len(each))
	var left atomic.Int32
	left.Store(int32(len(each)))
	for i, one := range each {
		spawn(func() {
			b.errs[i] = one()
			if left.Add(-1) == 0 {
				close(b.done)
			}
		})
	}
}

// finalMS is the event time up to which all is there that rows read as of it.
func (r *runner) finalMS() int64 {
	final := int64(math.MaxInt64)
	if r.enrich != nil {
		final = r.enrich.FinalMS()
	}
	if a, ok := r.dims.(Awaited); ok {
		final = min(final, a.FinalMS())
	}
	return final
}

func (r *runner) enrichBatch(b *Batch) error {
	if r.enrich == nil {
		return nil
	}
	if err := r.enrich.Enrich(r.life, b); err != nil {
		return fmt.Errorf("reading features: %w", err)
	}
	return nil
}

// land writes the rows of the batch that was away, if it is back, and reports
// whether none is away.
func (r *runner) land() (bool, error) {
	if r.flying == nil {
		return true, nil
	}
	b := r.flying
	if !isDone(b.done) {
		return false, nil
	}
	if err := errors.Join(b.errs...); err != nil {
		return false, fmt.Errorf("filling the rows of %d impressions: %w", len(b.Impressions), err)
	}
	if !r.arrived(b) {
		return false, nil
	}
	r.flying = nil
	r.takeObserved(b)
	return true, r.prog.finish(b, r.retract)
}

// retract takes a row that cannot be written off the account of what is.
func (r *runner) retract(row *deferredRow, entry *joiner.Entry, why *mortise.RecordError) {
	r.task.Retract(row.exp, row.emission, row.positive, why.Reason)
	if r.traced != nil {
		r.traced(joiner.Trace{Fate: joiner.Dropped, Reason: why.Reason, Mask: 1 << row.exp, Event: entry})
	}
}

// away reports whether rows of closed impressions are not written yet.
func (r *runner) away() bool { return r.flying != nil || r.prog.batch != nil }

// settle waits until every row of the task is written.
func (r *runner) settle(ctx context.Context) error {
	for r.away() {
		if r.flying == nil {
			r.launch()
		}
		if err := r.readArrivals(); err != nil {
			return err
		}
		wait := r.flying.done
		if isDone(wait) && r.prog.seen != nil && r.prog.seen.flight != nil {
			wait = r.prog.seen.flight.done
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := r.readArrivals(); err != nil {
			return err
		}
		if _, err := r.land(); err != nil {
			return err
		}
	}
	return nil
}

// recall waits for what is away, so that nobody reads any more for a task that is
// gone: what it reads is of no use, and ends soon.
func (r *runner) recall() {
	r.endLife()
	if r.flying != nil {
		<-r.flying.done
	}
	if o := r.prog.seen; o != nil && o.flight != nil {
		<-o.flight.done
	}
	for _, k := range []*parking{r.parked, r.amends} {
		if k.busy() {
			<-k.look.done
		}
	}
}

func isDone(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// settleTasks makes tasks committable whose rows were away at the last commit
// too; with all, every task.
func (w *Worker) settleTasks(ctx context.Context, all bool) error {
	for _, r := range w.runners {
		if !r.defers || !r.away() {
			continue
		}
		if !r.owed && !all {
			r.owed = true
			continue
		}
		if err := r.settle(ctx); err != nil {
			return &taskError{r.partition, err}
		}
	}
	return nil
}

// owes reports whether a commit has left a task out.
func (w *Worker) owes() bool {
	for _, r := range w.runners {
		if r.owed {
			return true
		}
	}
	return false
}

// isFull reports whether a task has put out so much that it has to be committed.
func (w *Worker) isFull() bool {
	for _, r := range w.runners {
		if r.defers && r.isFull() {
			return true
		}
	}
	return false
}

func (r *runner) isFull() bool { return len(r.out.buf)+r.out.size > stagedBytes }
