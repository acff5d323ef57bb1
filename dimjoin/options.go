package dimjoin

import (
	"errors"
	"fmt"
	"time"
)

// Options tune a Reader. Zero fields take their defaults.
type Options struct {
	// Cache keeps rows between reads; dimjoin/cache has one. Readers of different
	// definitions or tables do not share one. The default keeps nothing: every key of
	// a batch is asked for, and there are no stale rows.
	Cache Cache
	// TTL is how long a row that was read counts as the table's. The default is 5
	// minutes.
	TTL time.Duration
	// NegativeTTL is the same for a key without a row, or with one that cannot be
	// used. The default is 30 s, or TTL where that is less.
	NegativeTTL time.Duration
	// Jitter takes up to this share off either, a different one for each key, so that
	// what was read together is not asked for together again. The default is 0.1;
	// negative is none.
	Jitter float64
	// StaleFor is how much longer a row is kept, to be served as stale while the store
	// does not answer. The default is 1 hour; negative is not at all.
	StaleFor time.Duration
	// RefreshAhead is the last share of a TTL in which a row that is asked for is read
	// again beside its being served. The default is 0.2; negative is none: then
	// rows wait for what has expired.
	RefreshAhead float64
	// Lag is how long a change may take into a table with history. An answer counts
	// for event times up to that long before it was asked for; a later one is asked
	// for again, since the version may have changed by then. The default is 0.
	Lag time.Duration
	// MaxBatch bounds the keys of one request to the store. The default is 1,000.
	MaxBatch int
	// Concurrency bounds the requests under way at once. The default is 4.
	Concurrency int
	// Deadline bounds how long a Read waits for the store, and how long a request may
	// take, waiting for its turn included. The default is 1 s.
	Deadline time.Duration
	// Insist makes a request that fails again, after pauses of 20 ms and up to 1 s, until
	// the deadline: for a backfill, which has time, and whose rows stay. The default
	// serves what the fallback has.
	Insist bool
	// MaxAbandoned bounds the requests that are past their deadline and still have not
	// returned, each a goroutine; the store is not asked while there are so many. So
	// with those under way there are Concurrency more at most. The default is 16.
	MaxAbandoned int
	// Breaker keeps requests from a store that fails; dimjoin/hystrix has one. It is
	// asked and told once a request. The default lets every request pass.
	Breaker Breaker
	// Now is the clock. The default is time.Now.
	Now func() time.Time
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	setDefault(&o.TTL, 5*time.Minute)
	setDefault(&o.NegativeTTL, min(30*time.Second, o.TTL))
	setDefault(&o.Jitter, 0.1)
	setDefault(&o.StaleFor, time.Hour)
	setDefault(&o.RefreshAhead, 0.2)
	setDefault(&o.MaxBatch, 1000)
	setDefault(&o.Concurrency, 4)
	setDefault(&o.Deadline, time.Second)
	setDefault(&o.MaxAbandoned, 16)
	if o.Breaker == nil {
		o.Breaker = alwaysClosed{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Jitter, o.RefreshAhead, o.StaleFor = max(o.Jitter, 0), max(o.RefreshAhead, 0), max(o.StaleFor, 0)
}

// Validate reports every option that makes no sense.
func (o *Options) Validate() error {
	var errs []error
	for _, c := range []struct {
		name string
		bad  bool
		want string
	}{
		{"TTL", o.TTL < 0, "at least 0"},
		{"NegativeTTL", o.NegativeTTL < 0, "at least 0"},
		{"Jitter", o.Jitter >= 1, "less than 1"},
		{"RefreshAhead", o.RefreshAhead >= 1, "less than 1"},
		{"Lag", o.Lag < 0, "at least 0"},
		{"MaxBatch", o.MaxBatch < 0, "at least 1"},
		{"Concurrency", o.Concurrency < 0, "at least 1"},
		{"Deadline", o.Deadline < 0, "more than 0"},
		{"MaxAbandoned", o.MaxAbandoned < 0, "at least 1"},
	} {
		if c.bad {
			errs = append(errs, fmt.Errorf("a dimension reader's %s must be %s", c.name, c.want))
		}
	}
	return errors.Join(errs...)
}

func setDefault[T int | float64 | time.Duration](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}
