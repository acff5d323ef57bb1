package dimjoin

import (
	"math"
	"slices"

	mortise "github.com/mortise-dev/mortise"
)

// Cache keeps what was read of a table's keys, up to some number of bytes. Its
// methods may be called by several goroutines at once.
type Cache interface {
	// Get returns what is kept of a key, or nil. It keeps no reference to key.
	Get(key []byte) *Entry
	// Put keeps e, Bytes large, in place of what is there. It may decide not to.
	Put(key string, e *Entry)
	// Bytes is the size of what is kept, and Len how many keys.
	Bytes() int64
	Len() int
}

// Entry is what is kept of one key: versions that do not overlap. It is not
// changed once it is in a cache.
type Entry struct {
	bytes int64
	one   version   // beside which most have none: so it takes one look into memory less
	more  []version // the others
}

// version is one answer of the table, and how long it counts.
type version struct {
	fromMS, toMS int64 // event times [fromMS, toMS) that it answers; a toMS of Latest takes Latest in
	knownMS      int64 // only event times before it are answered for certain; Latest takes Latest in
	refreshMS    int64 // wall clock: from then on it is worth reading again
	freshMS      int64 // wall clock: until then it counts as the table's
	staleMS      int64 // wall clock: until then it may be served as stale
	row          mortise.Row
	bad          bool // there is a row, which cannot be used
}

const (
	beginning   = math.MinInt64
	maxVersions = 16 // of one key, beside the newest

	// What an entry takes beside its key and rows, in bytes: itself, the key's header, and
	// what the cache keeps of it; versions and values take what their structs do.
	entryOverhead = 208
	versionBytes  = 80
	valueBytes    = 64
)

// Bytes is the memory that the entry takes, its key included.
func (e *Entry) Bytes() int64 { return e.bytes }

// find is the version that answers event time t, or nil.
func (e *Entry) find(t int64) *version {
	if e == nil {
		return nil
	}
	if e.one.covers(t) {
		return &e.one
	}
	for i := range e.more {
		if v := &e.more[i]; v.covers(t) {
			return v
		}
	}
	return nil
}

func (v *version) covers(t int64) bool {
	return v.fromMS <= t && (t < v.toMS || v.toMS == Latest)
}

// fresh reports whether the version answers t as the table would.
func (v *version) fresh(t, nowMS int64) bool {
	return nowMS < v.freshMS && (t < v.knownMS || t == Latest || v.knownMS == Latest)
}

// with is e with one version more, which is right wherever others say otherwise. e
// may be nil.
func (e *Entry) with(key string, v version, nowMS int64) *Entry {
	out := &Entry{bytes: entryOverhead + int64(len(key)) + rowBytes(v.row), one: v}
	if e == nil {
		return out
	}
	keep := func(old version) {
		if nowMS < max(old.freshMS, old.staleMS) {
			out.more = appendOutside(out.more, old, v.fromMS, v.toMS)
		}
	}
	keep(e.one)
	for _, old := range e.more {
		keep(old)
	}
	for len(out.more) > maxVersions {
		soonest := 0
		for i := range out.more {
			if out.more[i].freshMS < out.more[soonest].freshMS {
				soonest = i
			}
		}
		out.more = slices.Delete(out.more, soonest, soonest+1)
	}
	for i := range out.more {
		out.bytes += versionBytes + rowBytes(out.more[i].row)
	}
	return out
}

// appendOutside appends what of v lies outside [fromMS, toMS).
func appendOutside(dst []version, v version, fromMS, toMS int64) []version {
	if v.toMS <= fromMS || toMS <= v.fromMS {
		return append(dst, v)
	}
	if v.fromMS < fromMS {
		before := v
		before.toMS = fromMS
		dst = append(dst, before)
	}
	if toMS < v.toMS {
		v.fromMS = toMS
		dst = append(dst, v)
	}
	return dst
}

func rowBytes(row []mortise.Value) (n int64) {
	for i := range row {
		n += valueBytes + int64(len(row[i].Text())) + rowBytes(row[i].List())
	}
	return n
}

// newVersion is the answer l to a lookup that was sent at sentMS.
func (r *Reader) newVersion(l *Lookup, key string, sentMS int64) version {
	v := version{fromMS: l.FromMS, toMS: l.ToMS, knownMS: Latest, row: l.Row, bad: l.Err != nil}
	hasHistory := l.FromMS != 0 || l.ToMS != 0
	switch {
	case !hasHistory || !v.covers(l.AsOfMS): // the latter never, of a table that keeps to its contract
		v.fromMS, v.toMS = beginning, Latest
	case r.def.AsOf == AsOfEventTime:
		v.knownMS = sentMS - r.opts.Lag.Milliseconds()
	}
	ttl, staleFor := r.opts.TTL, r.opts.StaleFor
	if l.Err != nil {
		v.row = nil
	}
	if v.row == nil {
		ttl, staleFor = r.opts.NegativeTTL, 0
	}
	ttlMS := float64(ttl.Milliseconds()) * (1 - r.opts.Jitter*spread(key, sentMS))
	v.freshMS = sentMS + int64(ttlMS)
	v.refreshMS = v.freshMS - int64(ttlMS*r.opts.RefreshAhead)
	v.staleMS = v.freshMS + staleFor.Milliseconds()
	return v
}

// spread draws a number in [0, 1) for a key and a time: FNV-1a of both, and
// murmur3's final mix for the sake of keys that are alike.
func spread(key string, ms int64) float64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h ^= uint64(ms)
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return float64(h>>11) / (1 << 53)
}

// noCache keeps nothing.
type noCache struct{}

func (noCache) Get([]byte) *Entry  { return nil }
func (noCache) Put(string, *Entry) {}
func (noCache) Bytes() int64       { return 0 }
func (noCache) Len() int           { return 0 }
