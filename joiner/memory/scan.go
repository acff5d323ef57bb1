package memory

import (
	"math"
	"slices"

	"github.com/mortise-dev/mortise/joiner"
)

// scan is where Next stands: within one bucket, the entries still to be
// returned, sorted.
type scan struct {
	from     joiner.Cursor // what lies before it is behind the scan
	returned bool          // an entry at from was returned, so from itself is behind too
	bucket   *bucket
	taken    int   // entries of bucket that are in order, returned or behind
	order    []int // entries still to be returned, the least last
	fresh    []int // scratch of catchUp
}

func (sc *scan) stop() { sc.bucket, sc.order = nil, sc.order[:0] }

func (sc *scan) behind(c joiner.Cursor) bool {
	return c.Less(sc.from) || sc.returned && c == sc.from
}

// appended makes the scan go back when an entry comes into an earlier bucket
// but not behind what was returned.
func (sc *scan) appended(b *bucket, at joiner.Cursor) {
	if sc.bucket != nil && b.index < sc.bucket.index && !sc.behind(at) {
		sc.stop()
	}
}

// Seek implements joiner.Log.
func (l *log) Seek(c joiner.Cursor) error {
	if err := l.s.usable(); err != nil {
		return err
	}
	l.scan.stop()
	l.scan.from, l.scan.returned = c, false
	return nil
}

// Next implements joiner.Log.
func (l *log) Next(beforeMS int64, e *joiner.Entry) (bool, error) {
	if err := l.s.usable(); err != nil {
		return false, err
	}
	sc := &l.scan
	for {
		if sc.bucket == nil && !l.enter(l.bucketOf(sc.from.TimeMS), beforeMS) {
			return false, nil
		}
		sc.catchUp()
		if n := len(sc.order); n > 0 {
			i := sc.order[n-1]
			at := sc.bucket.entries[i].at
			if at.TimeMS >= beforeMS {
				return false, nil
			}
			sc.order = sc.order[:n-1]
			sc.from, sc.returned = at, true
			sc.bucket.read(i, e)
			return true, nil
		}
		if sc.bucket.index == math.MaxInt64 || !l.enter(sc.bucket.index+1, beforeMS) {
			return false, nil
		}
	}
}

// enter moves to the first bucket at or after index that starts before
// beforeMS; when there is none it changes nothing and returns false.
func (l *log) enter(index, beforeMS int64) bool {
	at, _ := l.find(index)
	if at == len(l.buckets) || beforeMS == math.MinInt64 || l.buckets[at].index > l.bucketOf(beforeMS-1) {
		return false
	}
	l.scan.bucket, l.scan.taken, l.scan.order = l.buckets[at], 0, l.scan.order[:0]
	return true
}

// catchUp puts the bucket's new entries in order among those still to be returned.
func (sc *scan) catchUp() {
	entries := sc.bucket.entries
	if sc.taken == len(entries) {
		return
	}
	sc.fresh = sc.fresh[:0]
	for ; sc.taken < len(entries); sc.taken++ {
		if !sc.behind(entries[sc.taken].at) {
			sc.fresh = append(sc.fresh, sc.taken)
		}
	}
	slices.SortFunc(sc.fresh, sc.descending)
	i, j := len(sc.order)-1, len(sc.fresh)-1
	sc.order = append(sc.order, sc.fresh...)
	for k := len(sc.order) - 1; j >= 0; k-- {
		if i >= 0 && sc.descending(sc.order[i], sc.fresh[j]) > 0 {
			sc.order[k] = sc.order[i]
			i--
		} else {
			sc.order[k] = sc.fresh[j]
			j--
		}
	}
}

// descending orders entries of the bucket from the last to the first, those at
// one position by when they were appended.
func (sc *scan) descending(a, b int) int {
	x, y := &sc.bucket.entries[a], &sc.bucket.entries[b]
	switch {
	case x.at.Less(y.at):
		return 1
	case y.at.Less(x.at):
		return -1
	}
	return b - a
}
