// Package hystrix keeps requests from a dimension store that fails, with the
// circuits of hystrix-go: a dimjoin.Breaker of stage 4, one a store.
//
// A circuit opens when, of the last 10 seconds' requests, there were enough and too
// many of them failed. While it is open nothing is asked, except one request each
// Sleep; a request that succeeds closes it. A request is a batch of keys, never one
// key: each costs a few microseconds and, inside hystrix, a goroutine.
//
// hystrix-go is no longer developed, and has to be used with care:
//
//   - Its Do starts two goroutines a call, has a pool that rejects what is beyond its
//     size, and counts a request that it did not let pass as a failure: such counts
//     arrive late, and open a circuit again that has just been closed. The Reader
//     bounds its requests itself and ends them at their deadline, so only circuits are
//     used: AllowRequest before a request, ReportEvent after it.
//   - It takes a context's end for no failure. Here a request without an answer in time
//     is one; only a request that its own caller gave up says nothing.
//   - Circuits are global, by name, and each has two goroutines that never end: Flush,
//     which forgets all circuits of the process, leaves them behind. It is never
//     called. Every Breaker has a name of its own; Close hands the circuit to a
//     Breaker made later, so that there are no more than were ever in use at once
//     (and some seconds longer).
//   - Its window is the clock's last 10 seconds, whatever clock the rest goes by.
package hystrix

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/afex/hystrix-go/hystrix"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Options tune a Breaker. Zero fields take their defaults.
type Options struct {
	// MinRequests is how many requests of the last 10 seconds it takes to judge a
	// store. The default is 5.
	MinRequests int
	// FailedPercent of them, or more, open the circuit. The default is 50.
	FailedPercent int
	// Sleep is how long after it has opened, or after the last request that was let
	// pass to try, the next one may try. Whole milliseconds; the default is 1 second.
	Sleep time.Duration
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.MinRequests == 0 {
		o.MinRequests = 5
	}
	if o.FailedPercent == 0 {
		o.FailedPercent = 50
	}
	if o.Sleep == 0 {
		o.Sleep = time.Second
	}
}

// Validate reports every option that makes no sense.
func (o *Options) Validate() error {
	var errs []error
	if o.MinRequests < 0 {
		errs = append(errs, fmt.Errorf("a breaker's MinRequests must be at least 1, not %d", o.MinRequests))
	}
	if o.FailedPercent < 0 || o.FailedPercent > 100 {
		errs = append(errs, fmt.Errorf("a breaker's FailedPercent must be of 1 to 100, not %d", o.FailedPercent))
	}
	if o.Sleep < 0 || o.Sleep > 0 && o.Sleep < time.Millisecond {
		errs = append(errs, fmt.Errorf("a breaker's Sleep must be at least 1ms, not %v", o.Sleep))
	}
	return errors.Join(errs...)
}

// Breaker is a dimjoin.Breaker. Its methods may be called by several goroutines.
type Breaker struct {
	circuit *hystrix.CircuitBreaker
	sleep   time.Duration
	trying  atomic.Int64 // when an open circuit let the request pass that is under way, in ns; 0 for none
	close   sync.Once
}

// New makes a breaker of the store called name, which is closed. Options that make no
// sense panic: Validate tells before.
func New(name string, o Options) *Breaker {
	if err := o.Validate(); err != nil {
		panic(err)
	}
	o.EnsureDefaults()
	return &Breaker{circuit: circuits.take(name, o), sleep: o.Sleep}
}

// Close ends the use of the breaker.
func (b *Breaker) Close() { b.close.Do(func() { circuits.put(b.circuit) }) }

// Allow implements dimjoin.Breaker.
func (b *Breaker) Allow() bool {
	if !b.circuit.IsOpen() {
		return true
	}
	if !b.circuit.AllowRequest() {
		return false
	}
	b.trying.Store(time.Now().UnixNano())
	return true
}

// Report implements dimjoin.Breaker. While the circuit is open it is the request
// that was let pass alone that counts: hystrix would close it for any success,
// whenever its request began.
func (b *Breaker) Report(took time.Duration, err error) {
	began := time.Now().Add(-took)
	if b.circuit.IsOpen() {
		tried := b.trying.Load()
		if tried == 0 || began.Before(time.Unix(0, tried).Add(-b.sleep/2)) {
			return // it began before the circuit opened, a Sleep earlier at least
		}
	}
	b.trying.Store(0)
	event := "success"
	switch {
	case errors.Is(err, context.Canceled):
		return
	case err != nil:
		event = "failure"
	}
	// Beyond 2,000 reports that hystrix has not counted yet it leaves out the next one.
	_ = b.circuit.ReportEvent([]string{event}, began, took)
}

// State implements dimjoin.Breaker.
func (b *Breaker) State() dimjoin.BreakerState {
	switch {
	case !b.circuit.IsOpen():
		return dimjoin.BreakerClosed
	case b.trying.Load() != 0:
		return dimjoin.BreakerHalfOpen
	}
	return dimjoin.BreakerOpen
}
