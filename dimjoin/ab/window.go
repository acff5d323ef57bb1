package ab

import (
	"math"
	"time"
)

// window is the latencies and failures of one cluster within some span of time, in
// sliceCount: the oldest is dropped as a new one begins. The zero window is empty.
type window struct {
	slices [sliceCount]slice
	at     int64 // which slice is the newest, counted since 1970
}

const sliceCount = 10

type slice struct {
	took   histogram
	failed int
}

// histogram counts latencies by powers of 2^(1/4), from 50 µs on: a quantile is off
// by 19 % at most.
type histogram [buckets]int

const (
	buckets  = 80
	shortest = 50 * time.Microsecond
)

func bucketOf(took time.Duration) int {
	if took <= shortest {
		return 0
	}
	return min(int(math.Ceil(4*math.Log2(float64(took)/float64(shortest)))), buckets-1)
}

// upTo is the largest latency of a bucket.
func upTo(bucket int) time.Duration {
	return time.Duration(float64(shortest) * math.Exp2(float64(bucket)/4))
}

// advance drops the slices that are over at now, of which each is width long.
func (w *window) advance(now time.Time, width time.Duration) {
	at := now.UnixNano() / int64(width)
	for range min(max(at-w.at, 0), sliceCount) {
		w.at++
		w.slices[w.at%sliceCount] = slice{}
	}
	w.at = max(w.at, at)
}

// add counts a request that took so long.
func (w *window) add(took time.Duration, failed bool) {
	s := &w.slices[w.at%sliceCount]
	if failed {
		s.failed++
		return
	}
	s.took[bucketOf(took)]++
}

// sum is what the newest n slices hold.
func (w *window) sum(n int64) (total slice) {
	for at := w.at; at > w.at-n; at-- {
		s := &w.slices[at%sliceCount]
		for j, n := range s.took {
			total.took[j] += n
		}
		total.failed += s.failed
	}
	return total
}

// quantile is the latency that a share q of the requests do not exceed; 0 of none.
func (h *histogram) quantile(q float64) time.Duration {
	n := h.count()
	if n == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(n)))
	for i, c := range h {
		if rank -= c; rank <= 0 {
			return upTo(i)
		}
	}
	return upTo(buckets - 1)
}

func (h *histogram) count() (n int) {
	for _, c := range h {
		n += c
	}
	return n
}
