package dimensions

import (
	"fmt"
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/cache"
	"github.com/mortise-dev/mortise/dimjoin/hystrix"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// patience is how long a patient reader waits for a store.
const patience = 30 * time.Second

// readerOptions are what an experiment file says of reading a dimension, with a
// cache and a breaker of its own. closeBreaker ends the breaker's use.
func (o *Options) readerOptions(d *spec.Dimension) (ro dimjoin.Options, closeBreaker func(), err error) {
	r := &d.Read
	ro = dimjoin.Options{TTL: r.TTL, NegativeTTL: r.NegativeTTL, StaleFor: r.StaleFor, MaxBatch: r.Batch, Concurrency: r.Concurrency, Deadline: r.Timeout, Now: o.Now}
	if r.StaleFor == 0 {
		ro.StaleFor = -1
	}
	if ro.NegativeTTL == 0 {
		ro.NegativeTTL = 1 // as good as none; 0 is the default
	}
	if r.CacheBytes > 0 && r.TTL > 0 {
		if ro.Cache, err = cache.New(r.CacheBytes); err != nil {
			return ro, nil, err
		}
	}
	closeBreaker = func() {}
	switch {
	case o.Patient:
		ro.Deadline, ro.Insist = max(ro.Deadline, patience), true
	case d.Store.Kind != "file" && d.Store.Kind != "pebble":
		b := hystrix.New(fmt.Sprintf("%s of %s", d.Name, d.Store.Kind), breakerOptions(r))
		ro.Breaker, closeBreaker = b, b.Close
	}
	if err := ro.Validate(); err != nil {
		closeBreaker()
		return ro, nil, err
	}
	return ro, closeBreaker, nil
}

// breakerOptions are what an experiment file says of a breaker, which has checked it.
func breakerOptions(r *spec.DimensionRead) hystrix.Options {
	return hystrix.Options{MinRequests: r.Breaker.Requests, FailedPercent: r.Breaker.ErrorPercent, Sleep: r.Breaker.Sleep}
}
