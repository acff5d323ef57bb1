package dimensions

import (
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// readerOptions are what an experiment file says of reading a dimension.
func readerOptions(d *spec.Dimension, o *Options) dimjoin.Options {
	r := &d.Read
	return dimjoin.Options{
		TTL: r.TTL, NegativeTTL: r.NegativeTTL, StaleFor: orNone(r.StaleFor),
		MaxBatch: r.Batch, Concurrency: r.Concurrency, Deadline: r.Timeout, Now: o.Now,
	}
}

// orNone turns 0, which readers take for their default, into none.
func orNone[T ~int64](v T) T {
	if v == 0 {
		return -1
	}
	return v
}
