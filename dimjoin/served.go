package dimjoin

// Served says how an instance's row of a dimension came about.
type Served uint8

// In the order of preference. Rows served as the first two say are as asked; the
// others stand in an instance's `degraded`, as `dim:how`.
const (
	ServedHit     Served = iota // out of the cache, no older than allowed
	ServedStore                 // by the store, just now
	ServedStale                 // out of the cache, older than allowed: the store did not answer
	ServedDefault               // the fields' zero values: there is no row, or the store did not answer
	ServedMissing               // nulls: there is no row, or the store did not answer
	servedCount
)

var servedNames = [servedCount]string{"hit", "store", "stale", "default", "missing"}

func (s Served) String() string { return servedNames[s] }

// Degraded reports whether the row is not as asked.
func (s Served) Degraded() bool { return s > ServedStore }
