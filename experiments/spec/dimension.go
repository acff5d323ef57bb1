package spec

import (
	"time"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Dimension is one declared dimension, and how it is read.
type Dimension struct {
	dimjoin.Definition
	Read    DimensionRead
	Changes *Changes // nil where nothing keeps the table up to date

	storeAt place // in the file
}

// Fault is a finding about what the dimension's store holds, at the place where an
// experiment names the store.
func (d *Dimension) Fault(e *Experiment, err error) Diagnostic {
	return d.storeAt.finding(e.Path, SeverityError, BadDimension, err.Error())
}

// DimensionRead is how a dimension's store is asked.
type DimensionRead struct {
	CacheBytes       int64
	TTL, NegativeTTL time.Duration
	StaleFor         time.Duration
	Timeout          time.Duration
	Concurrency      int
	Batch            int
	Breaker          Breaker
}

const (
	defaultCacheBytes = 64_000_000
	defaultTimeout    = 100 * time.Millisecond
	atHandTimeout     = time.Minute
)

// Breaker says when a store is left alone, and for how long.
type Breaker struct {
	ErrorPercent int
	Requests     int
	Sleep        time.Duration
}

// dimensionRead settles how the dimension n is read. One that is at hand, on this
// machine, is not cached, and waited for.
func (l *loader) dimensionRead(n *node, atHand bool) DimensionRead {
	c, b := n.get("cache"), n.get("breaker")
	cacheBytes, timeout := int64(defaultCacheBytes), defaultTimeout
	if atHand {
		timeout = atHandTimeout
		if c == nil {
			cacheBytes = 0
		}
	}
	r := DimensionRead{
		CacheBytes:  c.get("size").size(cacheBytes),
		TTL:         c.get("ttl").duration(time.Minute),
		NegativeTTL: c.get("negative_ttl").duration(10 * time.Second),
		StaleFor:    c.get("stale_for").duration(time.Hour),
		Timeout:     n.get("timeout").duration(timeout),
		Concurrency: int(n.get("concurrency").int(8)),
		Batch:       int(n.get("batch").int(500)),
		Breaker:     Breaker{int(b.get("errors").int(50)), int(b.get("requests").int(20)), b.get("sleep").duration(5 * time.Second)},
	}
	if r.Breaker.ErrorPercent > 100 {
		l.fail(b.get("errors").at, BadValue, "errors is %d; it is a percentage, from 1 to 100", r.Breaker.ErrorPercent)
	}
	return r
}
