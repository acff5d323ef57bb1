package experiments

import "time"

// DurationBounds are the upper bounds of a Durations' buckets, in seconds.
var DurationBounds = [...]float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// Durations counts how long something took, by bucket; the last bucket has no bound.
type Durations struct {
	Buckets [len(DurationBounds) + 1]int64 `json:"buckets"`
	Sum     time.Duration                  `json:"sum_ns"`
	Max     time.Duration                  `json:"max_ns"`
}

// Observe counts one.
func (d *Durations) Observe(took time.Duration) {
	i := 0
	for i < len(DurationBounds) && took.Seconds() > DurationBounds[i] {
		i++
	}
	d.Buckets[i]++
	d.Sum += took
	d.Max = max(d.Max, took)
}

// Count is how many were observed.
func (d *Durations) Count() (n int64) {
	for _, c := range d.Buckets {
		n += c
	}
	return n
}

// Add counts what other has counted.
func (d *Durations) Add(other *Durations) {
	for i, n := range other.Buckets {
		d.Buckets[i] += n
	}
	d.Sum += other.Sum
	d.Max = max(d.Max, other.Max)
}
