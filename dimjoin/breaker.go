package dimjoin

import "time"

// Breaker decides, from how a store's requests went, whether it is asked at all.
// Its methods may be called by several goroutines at once, and return at once.
type Breaker interface {
	// Allow reports whether a request may be made now. Whoever is allowed one
	// reports, once, how it went.
	Allow() bool
	// Report tells how an allowed request went: took so long, and failed with err. An
	// err of context.Canceled says nothing of the store.
	Report(took time.Duration, err error)
	// State is for display: what it says may have changed.
	State() BreakerState
}

// BreakerState is what a breaker does with requests.
type BreakerState uint8

// The states.
const (
	BreakerClosed   BreakerState = iota // requests pass
	BreakerHalfOpen                     // one passes, to see whether the store is back
	BreakerOpen                         // none passes
)

func (s BreakerState) String() string {
	return [...]string{"closed", "half_open", "open"}[s]
}

// alwaysClosed is no breaker.
type alwaysClosed struct{}

func (alwaysClosed) Allow() bool                 { return true }
func (alwaysClosed) Report(time.Duration, error) {}
func (alwaysClosed) State() BreakerState         { return BreakerClosed }
