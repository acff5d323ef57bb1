package dimjoin

import "sync/atomic"

// Stats counts what a Reader did since it was made.
type Stats struct {
	// Served counts rows by how they were served, at a Served's index. Of the rows
	// served as default or missing, Absent are the table's answer, Unavailable those
	// whose key could not be read, BadRows those whose row cannot be used, and the
	// rest have a key with a null part.
	Served      [servedCount]int64 `json:"served"`
	Absent      int64              `json:"absent"`
	Unavailable int64              `json:"unavailable"`
	BadRows     int64              `json:"bad_rows"`
	Rejected    int64              `json:"rejected"` // rows for the dead letters, among the above

	// Of the store. Keys are those asked for, Shared those that another batch had
	// asked for already, Refreshed those read again ahead of time.
	Requests  int64     `json:"requests"`
	Keys      int64     `json:"keys"`
	Shared    int64     `json:"shared"`
	Refreshed int64     `json:"refreshed"`
	Failed    int64     `json:"failed"`    // requests that the store answered with an error
	TimedOut  int64     `json:"timed_out"` // requests without an answer in time
	Refused   int64     `json:"refused"`   // requests not made: the breaker is open
	Took      Latencies `json:"took"`      // of requests, however they ended

	// As it is now.
	Abandoned  int64        `json:"abandoned"` // requests past their deadline that have not returned
	CacheKeys  int          `json:"cache_keys"`
	CacheBytes int64        `json:"cache_bytes"`
	Breaker    BreakerState `json:"breaker"`
}

// counters is Stats while they are counted.
type counters struct {
	served                            [servedCount]atomic.Int64
	because                           [whyCount]atomic.Int64
	rejected                          atomic.Int64
	requests, keys, shared, refreshed atomic.Int64
	failed, timedOut, refused         atomic.Int64
	took                              LatencyCounter
}

// tally is what one batch adds to counters.
type tally struct {
	served   [servedCount]int64
	because  [whyCount]int64 // of rows served as default or missing
	rejected int64
}

func (t *tally) add(a *Answer, because why) {
	t.served[a.Served]++
	if a.Served >= ServedDefault {
		t.because[because]++
	}
	if a.Reject != nil {
		t.rejected++
	}
}

func (c *counters) add(t *tally) {
	for i, n := range t.served {
		addNonZero(&c.served[i], n)
	}
	for i, n := range t.because {
		addNonZero(&c.because[i], n)
	}
	addNonZero(&c.rejected, t.rejected)
}

// addNonZero spares the bus what most batches have none of.
func addNonZero(c *atomic.Int64, n int64) {
	if n != 0 {
		c.Add(n)
	}
}

// Stats is what the reader did until now.
func (r *Reader) Stats() Stats {
	c := &r.count
	s := Stats{
		Absent: c.because[absent].Load(), Unavailable: c.because[unavailable].Load(), BadRows: c.because[badRow].Load(), Rejected: c.rejected.Load(),
		Requests: c.requests.Load(), Keys: c.keys.Load(), Shared: c.shared.Load(), Refreshed: c.refreshed.Load(),
		Failed: c.failed.Load(), TimedOut: c.timedOut.Load(), Refused: c.refused.Load(), Took: c.took.Snapshot(),
		CacheKeys: r.cache.Len(), CacheBytes: r.cache.Bytes(), Breaker: r.opts.Breaker.State(),
	}
	for i := range c.served {
		s.Served[i] = c.served[i].Load()
	}
	r.mu.Lock()
	s.Abandoned = int64(r.gone)
	r.mu.Unlock()
	return s
}
