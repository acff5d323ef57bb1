package ab

import (
	"context"
	"errors"
	"slices"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// attempt is one request to one cluster. It goes on when the other one has won, so
// that what the cluster would have taken is known.
type attempt struct {
	side    Side
	why     reason
	began   time.Time
	lookups []dimjoin.Lookup // the cluster's while it is asked; nobody's if that took too long
	ended   bool             // under the table's mutex
	err     error
}

// reason is why a request is made.
type reason int

const (
	plain   reason = iota
	copied         // to see how a shunned cluster does
	hedged         // the other one is slow
	instead        // the other one failed, or is not to be asked
)

// begin notes an attempt; nil where the cluster is not to be asked.
func (t *Table) begin(s Side, why reason, lookups []dimjoin.Lookup) *attempt {
	now := t.opts.Now()
	allowed := t.life.Err() == nil && !t.full(s) && (t.opts.Breakers[s] == nil || t.opts.Breakers[s].Allow())
	t.mu.Lock()
	defer t.mu.Unlock()
	if !allowed {
		t.ctl.Refused(s, now)
		t.count[s].refused++
		return nil
	}
	t.ctl.Began(s, now)
	t.count[s].requests++
	switch why {
	case copied:
		t.hedges.Copies++
	case hedged:
		t.hedges.Hedges++
	case instead:
		t.hedges.Instead++
	}
	return &attempt{side: s, why: why, began: now, lookups: slices.Clone(lookups)}
}

// full reports whether a cluster has as many unanswered requests as it may have.
func (t *Table) full(s Side) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ctl.Pending(s)+t.gone[s] >= t.opts.MaxPending
}

// run makes the request. Whether or not the cluster answers, the attempt is in
// answers when its time is up.
func (t *Table) run(a *attempt, answers chan<- *attempt) {
	ctx, cancel := context.WithTimeout(t.life, t.opts.Timeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { t.finish(a, t.late(), false, answers) })
	defer stop()
	err := t.tables[a.side].Read(ctx, a.lookups)
	if err != nil && ctx.Err() != nil {
		err = t.late()
	}
	t.finish(a, err, true, answers)
}

// late is why an attempt whose context is done has no answer.
func (t *Table) late() error {
	if t.life.Err() != nil {
		return errClosed
	}
	return errTimeout
}

// finish ends an attempt that has not ended, and notes a cluster that has returned.
func (t *Table) finish(a *attempt, err error, returned bool, answers chan<- *attempt) {
	now := t.opts.Now()
	if !t.settle(a, err, returned, now) {
		return
	}
	answers <- a // of which there are no more than it has room for
	if b := t.opts.Breakers[a.side]; b != nil {
		told := err
		if errors.Is(err, errClosed) {
			told = context.Canceled
		}
		b.Report(now.Sub(a.began), told)
	}
}

func (t *Table) settle(a *attempt, err error, returned bool, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.ended {
		if returned {
			t.gone[a.side]--
		}
		return false
	}
	a.ended, a.err = true, err
	if !returned {
		t.gone[a.side]++
	}
	t.ctl.Ended(a.side, a.began, now, err, errors.Is(err, errClosed))
	t.count[a.side].took.Observe(now.Sub(a.began))
	switch {
	case errors.Is(err, errTimeout):
		t.count[a.side].timedOut++
	case err != nil && !errors.Is(err, errClosed):
		t.count[a.side].failed++
	}
	return true
}

// own copies lookups, keys and all, in as few pieces as there are: they are needed
// for as long as a cluster may look at them.
func own(lookups []dimjoin.Lookup) []dimjoin.Lookup {
	bytes, values := 0, 0
	for i := range lookups {
		bytes += len(lookups[i].Key)
		values += len(lookups[i].Values)
		for _, v := range lookups[i].Values {
			bytes += len(v.Text())
		}
	}
	text, row := make([]byte, 0, bytes), make(mortise.Row, 0, values)
	out := make([]dimjoin.Lookup, len(lookups))
	for i := range lookups {
		l := &lookups[i]
		from := len(text)
		text = append(text, l.Key...)
		out[i] = dimjoin.Lookup{Key: text[from:len(text):len(text)], AsOfMS: l.AsOfMS}
		first := len(row)
		for _, v := range l.Values {
			if v.Kind == mortise.String {
				from := len(text)
				text = append(text, v.Text()...)
				v = mortise.TextValue(text[from:len(text):len(text)])
			}
			row = append(row, v)
		}
		out[i].Values = row[first:len(row):len(row)]
	}
	return out
}
