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
	served                                 [servedCount]atomic.Int64
	absent, unavailable, badRows, rejected atomic.Int64
	requests, keys, shared, refreshed      atomic.Int64
	failed, timedOut, refused              atomic.Int64
	took                                   LatencyCounter
}

func (c *counters) snapshot() Stats {
	s := Stats{
		Absent: c.absent.Load(), Unavailable: c.unavailable.Load(), BadRows: c.badRows.Load(), Rejected: c.rejected.Load(),
		Requests: c.requests.Load(), Keys: c.keys.Load(), Shared: c.shared.Load(), Refreshed: c.refreshed.Load(),
		Failed: c.failed.Load(), TimedOut: c.timedOut.Load(), Refused: c.refused.Load(), Took: c.took.Snapshot(),
	}
	for i := range c.served {
		s.Served[i] = c.served[i].Load()
	}
	return s
}
