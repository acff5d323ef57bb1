package backfill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill/extsort"
)

// shuffle reads every unit and puts each record where its split finds it.
type shuffle struct {
	lanes   []lane
	units   []unit
	pipe    *experiments.Pipeline
	splits  int
	kept    []bool // per split
	nowMS   int64
	scratch *scratch
	limit   int           // bytes that one worker holds
	records *atomic.Int64 // that have been read

	mu       sync.Mutex
	progress []progress // per unit
	next     int        // unit that nobody has taken yet
}

// unit is a Unit of a lane.
type unit struct {
	Unit
	lane int
}

// resume goes on from what lies in the scratch folder.
func (s *shuffle) resume() {
	s.progress = make([]progress, len(s.units))
	for _, n := range s.scratch.notes {
		for i, p := range n.Units {
			if at := &s.progress[i]; p.Next >= at.Next {
				*at = p
			}
		}
	}
}

// run reads what has not been read yet, with so many workers.
func (s *shuffle) run(ctx context.Context, workers int) error {
	g, ctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error {
			w, err := s.newWorker()
			if err != nil {
				return err
			}
			return w.run(ctx)
		})
	}
	return g.Wait()
}

// take returns the next unit to read; false when none is left.
func (s *shuffle) take() (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; s.next < len(s.units); s.next++ {
		if !s.progress[s.next].Done {
			s.next++
			return s.next - 1, true
		}
	}
	return 0, false
}

// reader is one worker of a shuffle.
type reader struct {
	*shuffle
	extract []*experiments.Extractor // per lane
	sorter  *extsort.Sorter
	units   map[int]progress // that were read on since the last spill
	counts  []laneCount      // since then
	mixed   bool             // the sorter holds records of a unit that does not begin its file
	rec     mortise.Record
	out     extsort.Record
	extra   []byte
}

// laneCount counts what was read of a lane.
type laneCount struct {
	read         int64
	minMS, maxMS int64   // event times
	skipped      []int64 // per split: records outside the range
}

func (s *shuffle) newWorker() (*reader, error) {
	w := &reader{shuffle: s, sorter: extsort.NewSorter(s.splits, s.limit), units: map[int]progress{}}
	for i := range s.lanes {
		w.counts = append(w.counts, laneCount{minMS: math.MaxInt64, maxMS: noTimeMS, skipped: make([]int64, s.splits)})
		x, err := s.pipe.NewExtractor(s.lanes[i].spec, func() int64 { return s.nowMS })
		if err != nil {
			return nil, err
		}
		w.extract = append(w.extract, x)
	}
	return w, nil
}

func (w *reader) run(ctx context.Context) error {
	for {
		i, ok := w.take()
		if !ok {
			return w.flush()
		}
		if err := w.read(ctx, i); err != nil {
			return err
		}
	}
}

// read reads one unit from where the last run left it.
func (w *reader) read(ctx context.Context, i int) (err error) {
	u := &w.shuffle.units[i]
	// Until all units before it have been read it is not known how far ahead of its
	// records their file is: only within the unit are they in order.
	if w.mixed || !u.First && w.sorter.Len() > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.mixed = !u.First
	w.rec = mortise.Record{Topic: w.lanes[u.lane].origin}
	rows, err := u.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	at := unitState{progress: w.startsAt(i), index: i, unit: &w.shuffle.units[i]}
	at.resume()
	seen := int64(0)
	for {
		err := rows.Next(&w.rec)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if w.rec.Offset < at.Next {
			continue
		}
		if seen++; seen%1024 == 0 {
			w.records.Add(1024)
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if err := w.put(&at); err != nil {
			return err
		}
	}
	w.records.Add(seen % 1024)
	at.Done = true
	w.units[i] = at.saved()
	return nil
}

// startsAt says how far a unit has been read.
func (s *shuffle) startsAt(i int) progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.progress[i]
}

// unitState is a unit as it is being read.
type unitState struct {
	progress
	index          int
	unit           *unit
	maxMS, orderMS int64 // NoTime before the first
}

const noTimeMS = math.MinInt64

func (at *unitState) resume() {
	at.maxMS, at.orderMS = noTimeMS, noTimeMS
	if at.MaxMS != nil {
		at.maxMS, at.orderMS = *at.MaxMS, *at.OrderMS
	}
}

// saved is the state as a note keeps it.
func (at *unitState) saved() progress {
	p := at.progress
	if at.maxMS != noTimeMS {
		maxMS, orderMS := at.maxMS, at.orderMS
		p.MaxMS, p.OrderMS = &maxMS, &orderMS
	}
	return p
}

// put takes the record in hand to its split.
func (w *reader) put(at *unitState) error {
	l, count := &w.lanes[at.unit.lane], &w.counts[at.unit.lane]
	timeMS, key, timed := w.extract[at.unit.lane].Read(&w.rec)
	if err := w.extract[at.unit.lane].Err(); err != nil {
		return err
	}
	if timed {
		at.orderMS = timeMS
		at.maxMS = max(at.maxMS, timeMS)
		count.minMS, count.maxMS = min(count.minMS, timeMS), max(count.maxMS, timeMS)
	}
	at.Next = w.rec.Offset + 1
	count.read++
	if key == nil {
		key = w.rec.Value // it joins with nothing, and goes anywhere
	}
	split := int(xxh3.HashSeed(key, splitSeed) % uint64(w.splits))
	if !w.kept[split] {
		return nil
	}
	// A record without a readable time lies where the one before it lies. Where there
	// is none it is in every range, so that it is told of at all.
	known := at.orderMS != noTimeMS
	if known && (at.orderMS < l.fromMS || at.orderMS >= l.toMS) {
		count.skipped[split]++
		return nil
	}
	r := &w.out
	*r = extsort.Record{Lane: uint16(at.unit.lane), Unit: uint32(at.index), Position: w.rec.Offset, Value: w.rec.Value}
	if known {
		r.TimeMS = at.orderMS
		if !at.unit.Topic {
			r.AheadMS = extsort.Ahead(at.maxMS, r.TimeMS)
		}
	}
	if l.spec.Clean != "" {
		w.extra = appendExtra(w.extra[:0], &w.rec)
		r.Extra = w.extra
	}
	if w.sorter.Add(split, r) {
		w.units[at.index] = at.saved()
		return w.flush()
	}
	return nil
}

// splitSeed keeps splits independent of the partitions of topics and of whatever
// else hashes the same keys.
const splitSeed = 0x6d6f7274697365

// flush writes what is held as a spill, with how far its units are read.
func (w *reader) flush() error {
	if w.sorter.Len() == 0 && len(w.units) == 0 {
		return nil
	}
	n := w.takeNote()
	spill, err := w.scratch.spill(w.splits, n, func(out *extsort.Writer, note []byte) error {
		return errors.Join(w.sorter.Spill(out), out.Finish(note))
	})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scratch.spills, w.scratch.notes = append(w.scratch.spills, spill), append(w.scratch.notes, *n)
	for i, p := range n.Units {
		w.progress[i] = p
	}
	return nil
}

// takeNote notes what was read since the last spill, and begins anew.
func (w *reader) takeNote() *note {
	n := newNote()
	n.Units, w.units = w.units, map[int]progress{}
	for lane := range w.counts {
		c := &w.counts[lane]
		if c.read == 0 {
			continue
		}
		n.Read[lane] = c.read
		if c.minMS <= c.maxMS {
			n.Times[lane] = Range{c.minMS, c.maxMS}
		}
		for split, count := range c.skipped {
			if count > 0 {
				n.skip(lane, split, count)
			}
		}
		clear(c.skipped)
		c.read, c.minMS, c.maxMS = 0, math.MaxInt64, noTimeMS
	}
	return &n
}

// bases returns, per unit, how far the units before it in its file have got in
// event time; noTimeMS where there are none.
func (s *shuffle) bases() []int64 {
	bases := make([]int64, len(s.units))
	atMS := int64(noTimeMS)
	for i := range s.units {
		if s.units[i].First {
			atMS = noTimeMS
		}
		bases[i] = atMS
		if p := &s.progress[i]; p.MaxMS != nil {
			atMS = max(atMS, *p.MaxMS)
		}
	}
	return bases
}

// resolver corrects how far ahead a file was when a record came, which a unit
// alone cannot know.
func (s *shuffle) resolver() func(*extsort.Record) {
	bases := s.bases()
	return func(r *extsort.Record) {
		if base := bases[r.Unit]; base > r.TimeMS && !s.units[r.Unit].Topic {
			r.AheadMS = max(r.AheadMS, extsort.Ahead(base, r.TimeMS))
		}
	}
}

// merge makes one spill of many until at most fanIn runs of a split are open at
// once.
func (s *shuffle) merge(ctx context.Context, fanIn, workers int) error {
	for extsort.Overlap(s.scratch.spills) > fanIn && len(s.scratch.spills) > 1 {
		var groups []group
		for from := 0; from < len(s.scratch.spills); from += fanIn {
			to := min(from+fanIn, len(s.scratch.spills))
			groups = append(groups, group{s.scratch.spills[from:to], s.scratch.notes[from:to]})
		}
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(workers)
		merged := make([]*extsort.Spill, len(groups))
		for i := range groups {
			g.Go(func() (err error) {
				if err = ctx.Err(); err == nil {
					merged[i], err = s.mergeGroup(&groups[i])
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		s.scratch.spills, s.scratch.notes = nil, nil
		if err := s.scratch.load(); err != nil {
			return err
		}
	}
	return nil
}

type group struct {
	spills []*extsort.Spill
	notes  []note
}

func (s *shuffle) mergeGroup(g *group) (*extsort.Spill, error) {
	sum := newNote()
	for i := range g.notes {
		sum.add(&g.notes[i])
		sum.Replaces = append(sum.Replaces, g.spills[i].Name)
	}
	return s.scratch.spill(s.splits, &sum, func(w *extsort.Writer, note []byte) error {
		return extsort.MergeInto(w, s.scratch, g.spills, s.resolver(), note)
	})
}

// checkUnits guards against what no input should hold.
func checkUnits(units []unit) error {
	for i := range units {
		if u := &units[i]; !u.Topic && u.File > maxFile {
			return fmt.Errorf("there are more than %d input files: give fewer, larger ones", maxFile)
		}
	}
	return nil
}
