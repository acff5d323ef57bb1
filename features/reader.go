package features

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	mortise "github.com/mortise-dev/mortise"
)

// ReaderOptions say where a Reader finds tiles. Zero fields take their defaults.
type ReaderOptions struct {
	// Tasks are, for each source of the set, the tasks that write its tiles. A
	// source is as far as the least of them.
	Tasks [][]string
	// Route says which of a source's tasks holds an entity's tiles; a negative one
	// stands for any of them. The default, and that, reads those of all tasks and
	// merges them.
	Route func(source int, entity []byte) int
	// Unfinished also reads tiles that may still change, as online reads do. Read
	// otherwise returns an *UnfinishedError.
	Unfinished bool
	// CacheRows bounds the results that are kept, each a group's values of one entity
	// as of one tile. The default is 100,000.
	CacheRows int
}

// Reader reads features as they stood at given times. One goroutine uses it.
type Reader struct {
	set     *Set
	store   Store
	opts    ReaderOptions
	numbers *numbering
	sources []sourceState
	groups  []groupReader
	cache   cache
	key     []byte
	stats   ReaderStats
}

// ReaderStats counts what a reader did.
type ReaderStats struct {
	Lookups int64 // asked for
	Cached  int64 // answered from what was read before
	Rows    int64 // read from tiles: one for each group, entity and tile of a Read
	Keys    int64 // chunks looked for
	Chunks  int64 // of them, found
	Bytes   int64 // of chunks found
}

// sourceState is how far a source's tasks are.
type sourceState struct {
	finalMS int64    // tiles that end at or before it are final
	shards  []uint16 // per task; of those that have begun
	began   []bool
	all     []uint16 // of all that have begun
}

// Lookup asks for all features of a group, of one entity.
type Lookup struct {
	Group  int
	Entity []byte // as EntityKey makes it; nil where a value is null, for which there is nothing
	AsOfMS int64
	// Values are, after Read, the group's features in order. Lookups share them: they
	// are not to be changed.
	Values mortise.Row
}

// UnfinishedError says that a read asks for tiles that may still change.
type UnfinishedError struct {
	Source  string
	AsOfMS  int64 // the read's, cut down to a tile
	FinalMS int64 // how far the source's tiles are final
}

// Error says what to wait for.
func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("features of %s as of %d are not final: its tiles are up to %d", e.Source, e.AsOfMS, e.FinalMS)
}

// OpenReader opens a set's features for reading. Refresh is to be called before
// the first Read.
func OpenReader(ctx context.Context, set *Set, store Store, opts ReaderOptions) (*Reader, error) {
	if opts.CacheRows <= 0 {
		opts.CacheRows = 100_000
	}
	if len(opts.Tasks) != len(set.Sources) {
		return nil, fmt.Errorf("opening features: %d sources, but tasks of %d", len(set.Sources), len(opts.Tasks))
	}
	r := &Reader{set: set, store: store, opts: opts, sources: make([]sourceState, len(set.Sources)), cache: cache{most: opts.CacheRows}}
	var err error
	if r.numbers, err = numberOf(ctx, set, store); err != nil {
		return nil, fmt.Errorf("opening features: %w", err)
	}
	r.begin()
	return r, nil
}

func (r *Reader) begin() {
	for i := range r.set.Groups {
		r.groups = append(r.groups, newGroupReader(r, i))
	}
}

// Another is a reader of the same features, for another goroutine, as OpenReader
// makes it but without asking the store. r is not changed.
func (r *Reader) Another() *Reader {
	o := &Reader{set: r.set, store: r.store, opts: r.opts, numbers: r.numbers, sources: make([]sourceState, len(r.set.Sources)), cache: cache{most: r.opts.CacheRows}}
	o.begin()
	return o
}

// Refresh asks the store how far the tasks are.
func (r *Reader) Refresh(ctx context.Context) error {
	all, err := r.store.Positions(ctx)
	if err != nil {
		return fmt.Errorf("reading how far features are: %w", err)
	}
	return r.RefreshFrom(all)
}

// RefreshFrom is Refresh with what Positions has answered, which may be shared.
func (r *Reader) RefreshFrom(all map[string][]byte) error {
	positions := make([][]*Position, len(r.sources))
	for i := range r.sources {
		s := &r.sources[i]
		*s = sourceState{finalMS: math.MaxInt64, shards: make([]uint16, len(r.opts.Tasks[i])), began: make([]bool, len(r.opts.Tasks[i]))}
		for task, name := range r.opts.Tasks[i] {
			if all[name] == nil {
				s.finalMS = math.MinInt64
				continue
			}
			p, err := ParsePosition(all[name])
			if err != nil {
				return fmt.Errorf("task %s: %w", name, err)
			}
			s.finalMS = min(s.finalMS, p.WatermarkMS)
			s.shards[task], s.began[task] = p.Shard, true
			s.all = append(s.all, p.Shard)
			positions[i] = append(positions[i], p)
		}
	}
	for i := range r.groups {
		r.groups[i].refresh(positions[r.set.Groups[i].Source], slices.Index(r.sources[r.set.Groups[i].Source].began, false) < 0)
	}
	return nil
}

// FinalMS is how far a source's tiles are final, as of the last Refresh: a read as
// of a time before it plus a tile is answered for good.
func (r *Reader) FinalMS(source int) int64 { return r.sources[source].finalMS }

// CompleteFrom is, for each feature of the set, the least time as of which its
// window lies within what the tasks have seen: earlier reads may lack events that
// were gone from the log when the feature began, or have expired since.
func (r *Reader) CompleteFrom() []int64 {
	out := make([]int64, len(r.set.Features))
	for i := range r.groups {
		g := &r.set.Groups[i]
		for at, f := range g.Features {
			out[f] = r.set.completeFrom(f, r.groups[i].since[at][0])
		}
	}
	return out
}

// completeFrom is the least time as of which a feature's window lies behind fromMS.
func (s *Set) completeFrom(feature int, fromMS int64) int64 {
	if fromMS == math.MinInt64 || fromMS == math.MaxInt64 {
		return fromMS
	}
	tileMS := s.Groups[s.Features[feature].Group].TileMS
	return -floorDiv(-fromMS-s.Features[feature].WindowMS, tileMS) * tileMS
}

// Stats returns what the reader did so far.
func (r *Reader) Stats() ReaderStats { return r.stats }

// Read answers the lookups. What many of them ask for, the same entity as of the
// same tile, is read once.
func (r *Reader) Read(ctx context.Context, lookups []Lookup) error {
	for i := range lookups {
		l := &lookups[i]
		g := &r.groups[l.Group]
		asOfMS := r.set.Groups[l.Group].AsOf(l.AsOfMS)
		if src := r.set.Groups[l.Group].Source; asOfMS > r.sources[src].finalMS && !r.opts.Unfinished {
			g.forget()
			return &UnfinishedError{r.set.Sources[src].Name, asOfMS, r.sources[src].finalMS}
		}
		r.stats.Lookups++
		if l.Entity == nil {
			l.Values = g.nothing
			continue
		}
		r.key = binary.BigEndian.AppendUint16(r.key[:0], uint16(l.Group))
		r.key = binary.BigEndian.AppendUint64(r.key, uint64(asOfMS))
		r.key = append(r.key, l.Entity...)
		if l.Values = r.cache.get(r.key); l.Values != nil {
			r.stats.Cached++
			continue
		}
		g.want(r.key, lookupKeyBytes, asOfMS, i)
	}
	for i := range r.groups {
		if err := r.groups[i].read(ctx, lookups); err != nil {
			for j := range r.groups {
				r.groups[j].forget()
			}
			return fmt.Errorf("reading features of %s: %w", r.set.Sources[r.set.Groups[i].Source].Name, err)
		}
	}
	return nil
}

// lookupKeyBytes is how much of a lookup's key in the cache stands before the entity.
const lookupKeyBytes = 10
