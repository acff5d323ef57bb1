package dimjoin

import (
	"context"
	"hash/maphash"
	"sync"

	mortise "github.com/mortise-dev/mortise"
)

// Reader reads one dimension for instances: whatever becomes of the store, every
// row is answered, by the deadline. It may be used by several goroutines at once.
type Reader struct {
	def       *Definition
	table     Table
	opts      Options
	cache     Cache
	fallbacks fallbacks
	seed      maphash.Seed
	scratch   sync.Pool // of *batch
	count     counters

	life context.Context //nolint:containedctx // of requests, which several reads wait for
	end  context.CancelFunc

	slots chan struct{} // one taken by each request under way
	mu    sync.Mutex
	asked map[string]place // keys under way, each once
	gone  int              // requests given up that have not returned
}

// Answer is one impression's lookup of a dimension, and what it is served with.
type Answer struct {
	Key    []byte      // as AppendKey writes it; nil where a part of the key is null
	Values mortise.Row // of the key
	AsOfMS int64       // or Latest

	Row    mortise.Row // one value per field of the definition, never nil; shared: not to be changed
	Served Served
	// Absent says that the store answered, and that the key has no row: unlike one
	// that could not be read, this is the dimension's answer.
	Absent bool
	// Reject is why the impression belongs to dead letters, where the definition
	// asks for that.
	Reject *mortise.RecordError
}

// NewReader reads the dimension def out of table, which stays the caller's to close
// after the reader. Options that make no sense panic: Validate tells before.
func NewReader(def *Definition, table Table, opts Options) *Reader {
	if err := opts.Validate(); err != nil {
		panic(err)
	}
	opts.EnsureDefaults()
	r := &Reader{def: def, table: table, opts: opts, cache: opts.Cache, fallbacks: newFallbacks(def), seed: maphash.MakeSeed(),
		slots: make(chan struct{}, opts.Concurrency), asked: map[string]place{}}
	if r.cache == nil {
		r.cache = noCache{}
	}
	r.scratch.New = func() any { return new(batch) }
	r.life, r.end = context.WithCancel(context.Background())
	return r
}

// Close gives up what is under way; it does not wait for a table that ignores that.
// A Read after it is served out of the cache, or by the fallback.
func (r *Reader) Close() { r.end() }

// Read answers every one of answers. What the cache does not hold it asks the table
// for, and waits for that until Options.Deadline at most, or until ctx is done. It
// keeps nothing of answers.
func (r *Reader) Read(ctx context.Context, answers []Answer) {
	b := r.scratch.Get().(*batch)
	b.begin(len(answers))
	nowMS := r.opts.Now().UnixMilli()
	var tally tally
	for i := range answers {
		a := &answers[i]
		a.Absent, a.Reject = false, nil
		if a.Key == nil {
			r.fallBack(a, nullKey, nil)
			tally.add(a, nullKey)
			continue
		}
		g := b.group(r, answers, i)
		v := g.entry.find(a.AsOfMS)
		if v == nil || !v.fresh(a.AsOfMS, nowMS) {
			b.open = append(b.open, open{answer: i, group: g.number})
			continue
		}
		r.fromVersion(a, v, &tally)
		if nowMS >= v.refreshMS && !g.refresh {
			g.refresh = true
			b.refresh = append(b.refresh, i)
		}
	}
	if len(b.refresh) > 0 {
		r.refresh(answers, b.refresh)
	}
	if len(b.open) > 0 {
		r.resolve(ctx, answers, b, nowMS, &tally)
	}
	r.count.add(&tally)
	b.end()
	r.scratch.Put(b)
}

// fromVersion answers out of the cache.
func (r *Reader) fromVersion(a *Answer, v *version, t *tally) {
	because := absent
	switch {
	case v.row != nil:
		a.Row, a.Served = v.row, ServedHit
	case v.bad:
		because = badRow
		r.fallBack(a, because, nil)
	default:
		r.fallBack(a, because, nil)
	}
	t.add(a, because)
}

// fromTable answers with what the table said just now.
func (r *Reader) fromTable(a *Answer, l *Lookup, t *tally) {
	because := absent
	switch {
	case l.Err != nil:
		because = badRow
		r.fallBack(a, because, l.Err)
	case l.Row == nil:
		r.fallBack(a, because, nil)
	default:
		a.Row, a.Served = l.Row, ServedStore
	}
	t.add(a, because)
}

// fromPast answers while the table does not.
func (r *Reader) fromPast(a *Answer, e *Entry, nowMS int64, err error, t *tally) {
	if v := e.find(a.AsOfMS); v != nil && v.row != nil && nowMS < v.staleMS {
		a.Row, a.Served = v.row, ServedStale
	} else {
		r.fallBack(a, unavailable, err)
	}
	t.add(a, unavailable)
}
