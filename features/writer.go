package features

import (
	"context"
	"fmt"
	"math"
	"slices"

	mortise "github.com/mortise-dev/mortise"
)

// WriterOptions say which task a Writer works for. Zero fields take their defaults.
type WriterOptions struct {
	// Task names the task: its position is kept under this name.
	Task string
	// Shard is where the task's tiles go. Each shard has one task.
	Shard uint16
	// SinceMS is, for a task that begins, the event time from which on it will be
	// given every event: math.MinInt64 where the source is read from its very
	// beginning, otherwise the time at which what is left of its log begins. A task
	// that has a position goes on from there, and does not need it.
	SinceMS int64
	// Slot finds a source's field in the rows that Add is given.
	Slot func(source int, field string) int
	// MaxBytes is how much memory the tiles of one commit may take before Full
	// asks for it. The default is 64 MiB.
	MaxBytes int
}

// Writer adds a task's events to its tiles. One goroutine uses it.
//
// Tiles are gathered in memory and merged into the store by Commit, together with
// the position that they belong to. After an error of Commit the writer is of no
// more use: what the store holds then is what opening it again finds.
type Writer struct {
	set      *Set
	store    Store
	opts     WriterOptions
	numbers  *numbering
	intakes  []intake // per source
	tables   []*table // per group
	flusher  *flusher
	position Position
	before   []byte            // the position in the store, as it is written there
	keepMS   int64             // no read will be as of an earlier time
	dropped  map[levelOf]int32 // the first chunk that stays, as the store knows it from this writer
	unused   []Range           // what no feature of the set reads any more, until it is dropped
	stats    WriterStats
	failed   error
}

// WriterStats counts what a writer did since it was opened.
type WriterStats struct {
	Events   int64 // that were added
	Late     int64 // of them, behind the watermark: reads may have missed them
	Expired  int64 // times that an event was too old for a group's windows
	Keyless  int64 // times that an event lacked a group's entity
	Commits  int64
	Tiles    int64 // finest tiles that commits merged into the store
	Chunks   int64 // and chunks, of all levels
	Bytes    int64 // of chunks
	PeakTile int64 // most tiles of one commit
}

// OpenWriter opens a task at its position in the store. Position then says from
// where to go on.
func OpenWriter(ctx context.Context, set *Set, store Store, opts WriterOptions) (*Writer, error) {
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = 64 << 20
	}
	w := &Writer{set: set, store: store, opts: opts, keepMS: math.MinInt64, dropped: map[levelOf]int32{},
		position: Position{Shard: opts.Shard, LatestMS: math.MinInt64, WatermarkMS: math.MinInt64}}
	var err error
	if w.numbers, err = numberOf(ctx, set, store); err != nil {
		return nil, fmt.Errorf("opening the tiles of task %s: %w", opts.Task, err)
	}
	for i := range set.Sources {
		w.intakes = append(w.intakes, newIntake(set, i, opts.Slot))
	}
	for i := range set.Groups {
		w.tables = append(w.tables, newTable(set.Groups[i].columns))
	}
	w.flusher = newFlusher(set, w.numbers, opts.Shard)
	if err := w.resume(ctx); err != nil {
		return nil, fmt.Errorf("opening the tiles of task %s: %w", opts.Task, err)
	}
	return w, nil
}

// resume takes the position up, and declares columns that it does not know yet
// complete from the first event on that the task has not read.
func (w *Writer) resume(ctx context.Context) error {
	all, err := w.store.Positions(ctx)
	if err != nil {
		return err
	}
	sinceMS := w.opts.SinceMS
	if before := all[w.opts.Task]; before != nil {
		p, err := ParsePosition(before)
		if err != nil {
			return err
		}
		if p.Shard != w.opts.Shard {
			return fmt.Errorf("its tiles lie in shard %d, not in %d", p.Shard, w.opts.Shard)
		}
		w.position, w.before = *p, before
		if sinceMS = p.LatestMS; sinceMS < math.MaxInt64 {
			sinceMS++
		}
		if p.LatestMS == math.MinInt64 { // nothing was added so far
			sinceMS = w.opts.SinceMS
		}
	}
	w.findUnused()
	for i := range w.set.Groups {
		for c := range w.set.Groups[i].columns {
			for level := range w.set.Groups[i].columns[c].top + 1 {
				w.position.declare(w.numbers.groups[i], w.numbers.columns[i][c], level, sinceMS)
			}
		}
	}
	return nil
}

// findUnused lists the levels that the task has tiles of and the set does not read:
// their features were removed, or their windows shortened. Who adds them again
// begins anew, so that nothing is read of tiles that have a gap.
func (w *Writer) findUnused() {
	levels := map[uint16]int{} // by group
	for i := range w.set.Groups {
		levels[w.numbers.groups[i]] = len(w.set.Groups[i].Levels)
	}
	w.position.complete = slices.DeleteFunc(slices.Clone(w.position.complete), func(c completeness) bool {
		if int(c.level) < levels[c.group] {
			return false
		}
		r := Range{Group: c.group, Level: c.level, Before: math.MaxInt32}
		if !slices.Contains(w.unused, r) {
			w.unused = append(w.unused, r)
		}
		return true
	})
}

// Position is the task's, as of the last commit. Its Meta is not to be changed.
func (w *Writer) Position() *Position { return &w.position }

// CompleteFrom is, for each feature of the set, the least time as of which its
// window lies within what the task has seen; see Reader.CompleteFrom.
func (w *Writer) CompleteFrom() []int64 {
	out := make([]int64, len(w.set.Features))
	for i := range out {
		f := &w.set.Features[i]
		c := w.position.find(w.numbers.groups[f.Group], w.numbers.columns[f.Group][f.column], 0)
		out[i] = w.set.completeFrom(i, c.fromMS)
	}
	return out
}

// Began reports whether the task has committed before.
func (w *Writer) Began() bool { return w.before != nil }

// Stats returns what the writer did so far.
func (w *Writer) Stats() WriterStats { return w.stats }

// maxTimeMS keeps the numbers of chunks within 32 bits; it lies in the year 2514.
const maxTimeMS = int64(math.MaxInt32) * leastTiles * 1000

// Add adds an event of a source. The row is not kept. The error is a
// *mortise.RecordError where an expression failed: the event is then left out of
// the columns that read it, and counts in all others.
func (w *Writer) Add(source int, row mortise.Row, timeMS int64) error {
	return w.AddKeyed(source, nil, row, timeMS)
}

// AddKeyed is Add for a source whose groups have all one entity, whose key is given:
// the row need not have its fields.
func (w *Writer) AddKeyed(source int, entity []byte, row mortise.Row, timeMS int64) error {
	if timeMS > maxTimeMS || timeMS < -maxTimeMS {
		return &mortise.RecordError{Reason: mortise.ReasonBadTime, Detail: fmt.Sprintf("event time %d ms is out of range", timeMS)}
	}
	w.stats.Events++
	if timeMS < w.position.WatermarkMS {
		w.stats.Late++
	}
	w.position.LatestMS = max(w.position.LatestMS, timeMS)
	in := &w.intakes[source]
	in.begin(row, entity)
	for i := range in.groups {
		w.addTo(in, &in.groups[i], timeMS)
	}
	if in.fault != nil {
		return in.fault
	}
	return nil
}

func (w *Writer) addTo(in *intake, gi *groupIntake, timeMS int64) {
	g := &w.set.Groups[gi.group]
	tile := floorDiv(timeMS, g.TileMS)
	if w.isExpired(g, tile) {
		w.stats.Expired++
		return
	}
	entity, ok := in.entity(gi)
	if !ok {
		w.stats.Keyless++
		return
	}
	t, row := w.tables[gi.group], -1
	for c := range gi.columns {
		v, ok := in.value(&gi.columns[c])
		if !ok {
			continue
		}
		if row < 0 {
			row = t.row(entity, tile)
		}
		t.states[c].add(row, v, timeMS)
	}
}

// isExpired reports whether no read to come looks at the tile.
func (w *Writer) isExpired(g *Group, tile int64) bool {
	return w.keepMS != math.MinInt64 && tile*g.TileMS < g.AsOf(w.keepMS)-g.keepMS[0]
}

// Full says that the tiles in memory should be committed now.
func (w *Writer) Full() bool { return w.Bytes() >= w.opts.MaxBytes }

// Bytes estimates the memory that the tiles take which are not committed.
func (w *Writer) Bytes() int {
	bytes := 0
	for _, t := range w.tables {
		bytes += len(t.keys) + len(t.rows)*(64+48*len(t.states))
	}
	for i := range w.intakes {
		bytes += w.intakes[i].kept
	}
	return bytes
}

// Expire says that no read will be as of an earlier time than beforeMS any more:
// the next Commit drops what only those would need.
func (w *Writer) Expire(beforeMS int64) { w.keepMS = max(w.keepMS, beforeMS) }

// Commit merges the tiles into the store and moves the position, in one: to meta,
// and to the source's watermark.
func (w *Writer) Commit(ctx context.Context, meta []byte, watermarkMS int64) error {
	if w.failed != nil {
		return w.failed
	}
	next := w.position
	next.Meta, next.WatermarkMS = meta, watermarkMS
	next.commits++
	w.flusher.reset()
	tiles := 0
	for i, t := range w.tables {
		if err := w.flusher.group(i, t); err != nil {
			return w.fail(err)
		}
		tiles += len(t.rows)
	}
	c := &Commit{Task: w.opts.Task, Shard: w.opts.Shard, Before: w.before, Chunks: w.flusher.chunks, Drop: append(w.expired(&next), w.unused...)}
	c.After = next.encode()
	if err := w.store.Commit(ctx, c); err != nil {
		return w.fail(err)
	}
	w.position, w.before = next, c.After
	w.position.Meta = append([]byte(nil), meta...)
	for _, t := range w.tables {
		t.clear()
	}
	for i := range w.intakes {
		w.intakes[i].kept = 0
	}
	for _, r := range c.Drop {
		w.dropped[levelOf{r.Group, r.Level}] = r.Before
	}
	w.unused = nil
	s := &w.stats
	s.Commits, s.Tiles, s.Chunks, s.PeakTile = s.Commits+1, s.Tiles+int64(tiles), s.Chunks+int64(len(c.Chunks)), max(s.PeakTile, int64(tiles))
	for i := range c.Chunks {
		s.Bytes += int64(len(c.Chunks[i].Data))
	}
	return nil
}

func (w *Writer) fail(err error) error {
	w.failed = fmt.Errorf("committing the tiles of task %s: %w", w.opts.Task, err)
	return w.failed
}

// levelOf is one level of a group, as the store numbers it.
type levelOf struct {
	group uint16
	level uint8
}

// expired lists the chunks that no read to come looks at, and moves the times from
// which on columns are complete behind them.
func (w *Writer) expired(next *Position) (drop []Range) {
	if w.keepMS == math.MinInt64 {
		return nil
	}
	for i := range w.set.Groups {
		g := &w.set.Groups[i]
		for level, spanMS := range g.Levels {
			horizonMS := g.AsOf(w.keepMS) - g.keepMS[level]
			before := floorDiv(horizonMS, spanMS*g.perChunk(level))
			r := Range{Group: w.numbers.groups[i], Level: uint8(level), Before: int32(before)}
			if known, ok := w.dropped[levelOf{r.Group, r.Level}]; !ok || known < r.Before {
				drop = append(drop, r)
			}
			for c := range g.columns {
				if level <= g.columns[c].top {
					own := next.find(w.numbers.groups[i], w.numbers.columns[i][c], level)
					own.fromMS = max(own.fromMS, horizonMS)
				}
			}
		}
	}
	return drop
}

// Discard removes everything that a task has in the store: it begins anew.
func Discard(ctx context.Context, store Store, task string) error {
	all, err := store.Positions(ctx)
	if err != nil || all[task] == nil {
		return err
	}
	p, err := ParsePosition(all[task])
	if err != nil {
		return fmt.Errorf("discarding the tiles of task %s: %w", task, err)
	}
	err = store.Commit(ctx, &Commit{Task: task, Shard: p.Shard, Before: all[task], Drop: []Range{{All: true}}})
	if err != nil {
		return fmt.Errorf("discarding the tiles of task %s: %w", task, err)
	}
	return nil
}
