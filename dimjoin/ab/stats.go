package ab

import (
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Stats is what a Table did since it was made, and how it stands.
type Stats struct {
	ShareA float64      `json:"share_a"` // of the requests that begin now
	Sides  [2]SideStats `json:"sides"`
	HedgeStats
}

// SideStats is of one cluster.
type SideStats struct {
	Requests int64 `json:"requests"`
	Won      int64 `json:"won"`       // of them, those whose answer was used
	Failed   int64 `json:"failed"`    // answered with an error
	TimedOut int64 `json:"timed_out"` // did not answer in time
	Refused  int64 `json:"refused"`   // were not made: the breaker is open, or too many are unanswered

	Took     dimjoin.Latencies    `json:"took"`
	Quantile time.Duration        `json:"quantile_ns"` // of latencies, within the window
	Pending  int                  `json:"pending"`
	Gone     int                  `json:"gone"` // timed out, and have not returned
	Breaker  dimjoin.BreakerState `json:"breaker"`
}

// counters are SideStats while they are counted.
type counters struct {
	requests, won, failed, timedOut, refused int64
	took                                     dimjoin.LatencyCounter
}

// HedgeStats is of the requests that were made in addition.
type HedgeStats struct {
	Hedges     int64         `json:"hedges"` // as the first cluster was slow
	HedgesWon  int64         `json:"hedges_won"`
	LeftOut    int64         `json:"left_out"` // hedges that the budget had nothing for, or that the other cluster would have been slow for
	Copies     int64         `json:"copies"`   // to see how a shunned cluster does
	Instead    int64         `json:"instead"`  // as the first one failed, or was not to be asked
	HedgeAfter time.Duration `json:"hedge_after_ns"`
}

// Stats is how the table stands.
func (t *Table) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ctl.advance(t.opts.Now())
	out := Stats{ShareA: t.ctl.Share(), HedgeStats: t.hedges}
	out.HedgeAfter = t.ctl.hedge
	for s := range out.Sides {
		c := &t.count[s]
		side := SideStats{Requests: c.requests, Won: c.won, Failed: c.failed, TimedOut: c.timedOut, Refused: c.refused,
			Took: c.took.Snapshot(), Quantile: t.ctl.sides[s].known, Pending: t.ctl.Pending(Side(s)), Gone: t.gone[s]}
		if b := t.opts.Breakers[s]; b != nil {
			side.Breaker = b.State()
		}
		out.Sides[s] = side
	}
	return out
}

// History is how A's share was, a Point each 100 ms, of the last two minutes.
func (t *Table) History() []Point {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ctl.advance(t.opts.Now())
	return t.ctl.History()
}

func (t *Table) won(a *attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count[a.side].won++
	if a.why == hedged {
		t.hedges.HedgesWon++
	}
}
