package ab

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Table is a dimjoin.Table over two clusters that hold the same rows.
type Table struct {
	opts   Options
	tables [2]dimjoin.Table

	life context.Context //nolint:containedctx // of requests, which may outlive the read that made them
	end  context.CancelFunc

	mu     sync.Mutex
	ctl    *Controller
	count  [2]counters
	gone   [2]int // requests that timed out and have not returned
	hedges HedgeStats
}

// New makes a Table over a and b, which it closes. Options that make no sense panic:
// Validate tells before.
func New(a, b dimjoin.Table, o Options) *Table {
	o.EnsureDefaults()
	t := &Table{opts: o, tables: [2]dimjoin.Table{a, b}, ctl: NewController(o, o.Now())}
	t.life, t.end = context.WithCancel(context.Background())
	return t
}

// Close gives up what is under way and closes both clusters' tables.
func (t *Table) Close() error {
	t.end()
	var errs []error
	for s, table := range t.tables {
		if err := table.Close(); err != nil {
			errs = append(errs, fmt.Errorf("cluster %v: %w", Side(s), err))
		}
	}
	return errors.Join(errs...)
}

// errClosed and errUnasked are why a cluster gave no answer without having been asked.
var (
	errClosed  = errors.New("the table is closed")
	errUnasked = errors.New("it is not asked: it fails, or has not answered what it was asked before")
	errTimeout = errors.New("it did not answer in time")
)

// Read implements dimjoin.Table: by one cluster, or by whichever of both is first.
func (t *Table) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	if len(lookups) == 0 {
		return nil
	}
	now := t.opts.Now()
	t.mu.Lock()
	choice := t.ctl.Choose(now)
	t.mu.Unlock()
	r := &read{table: t, own: own(lookups), answers: make(chan *attempt, 2)}
	first := r.try(choice.First, plain)
	if choice.Copy {
		r.try(choice.First.other(), copied)
	}
	if other := choice.First.other(); !first && !r.tried[other] {
		r.try(other, instead)
	}
	won, err := r.wait(ctx, choice.HedgeAfter)
	if err != nil {
		return err
	}
	for i := range lookups {
		l, from := &lookups[i], &won.lookups[i]
		l.Row, l.FromMS, l.ToMS, l.Err = from.Row, from.FromMS, from.ToMS, from.Err
	}
	return nil
}

// read is one Read while it waits.
type read struct {
	table   *Table
	own     []dimjoin.Lookup // that stay when the caller's are gone
	tried   [2]bool
	waits   int // attempts that have not ended
	answers chan *attempt
	errs    [2]error
}

// wait returns the first attempt that succeeds. Where one fails, or takes long, the
// other cluster is asked if it has not been.
func (r *read) wait(ctx context.Context, hedgeAfter time.Duration) (*attempt, error) {
	hedge := time.NewTimer(hedgeAfter)
	defer hedge.Stop()
	for r.waits > 0 {
		select {
		case a := <-r.answers:
			r.waits--
			if a.err == nil {
				r.table.won(a)
				return a, nil
			}
			r.errs[a.side] = a.err
			if !r.tried[a.side.other()] {
				r.try(a.side.other(), instead)
			}
		case <-hedge.C:
			r.hedge()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, fmt.Errorf("neither cluster answered: a: %w; b: %w", r.errs[A], r.errs[B])
}

// hedge asks the other cluster as well, if that is affordable.
func (r *read) hedge() {
	s := A
	if r.tried[A] {
		s = B
	}
	t := r.table
	if r.tried[s] {
		return
	}
	t.mu.Lock()
	may := t.ctl.Hedge(s)
	if !may {
		t.hedges.LeftOut++
	}
	t.mu.Unlock()
	if may {
		r.try(s, hedged)
	}
}

// try asks a cluster, unless it is not to be asked.
func (r *read) try(s Side, why reason) bool {
	r.tried[s] = true
	a := r.table.begin(s, why, r.own)
	if a == nil {
		if r.errs[s] = errUnasked; r.table.life.Err() != nil {
			r.errs[s] = errClosed
		}
		return false
	}
	r.waits++
	go r.table.run(a, r.answers)
	return true
}
