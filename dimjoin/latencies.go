package dimjoin

import (
	"sync/atomic"
	"time"
)

// LatencyBounds are the upper bounds of a Latencies' buckets, in seconds.
var LatencyBounds = [...]float64{0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5}

// Latencies counts how long requests took, by bucket; the last bucket has no bound.
type Latencies struct {
	Buckets [len(LatencyBounds) + 1]int64 `json:"buckets"`
	Sum     time.Duration                 `json:"sum_ns"`
}

// Count is how many were counted.
func (l *Latencies) Count() (n int64) {
	for _, c := range l.Buckets {
		n += c
	}
	return n
}

// LatencyCounter counts for several goroutines at once.
type LatencyCounter struct {
	buckets [len(LatencyBounds) + 1]atomic.Int64
	sum     atomic.Int64
}

// Observe counts one.
func (c *LatencyCounter) Observe(took time.Duration) {
	i := 0
	for i < len(LatencyBounds) && took.Seconds() > LatencyBounds[i] {
		i++
	}
	c.buckets[i].Add(1)
	c.sum.Add(int64(took))
}

// Snapshot is what has been counted.
func (c *LatencyCounter) Snapshot() (l Latencies) {
	for i := range c.buckets {
		l.Buckets[i] = c.buckets[i].Load()
	}
	l.Sum = time.Duration(c.sum.Load())
	return l
}
