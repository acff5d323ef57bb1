package joiner_test

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
	"github.com/mortise-dev/mortise/joiner/memory"
)

var (
	seedFlag = flag.Uint64("seed", 0, "run this one seed of the metamorphic test")
	runsFlag = flag.Int("runs", 300, "how many seeds the metamorphic test runs")
)

// TestMetamorphic feeds random streams through tasks that differ in
// interleaving, batch sizes, commits, crashes, lost disks and rebuilds, and
// expects the oracle's rows of each, once.
func TestMetamorphic(t *testing.T) {
	first, runs := uint64(1), *runsFlag
	if *seedFlag != 0 {
		first, runs = *seedFlag, 1
	}
	for seed := first; seed < first+uint64(runs); seed++ {
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { newWorld(t, seed).run() }) {
			t.Fatalf("replay with: go test ./joiner -run TestMetamorphic -seed %d", seed)
		}
	}
}

// world is one run: streams on a simulated broker, a worker's task, its disk,
// and what has been committed.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	opts    joiner.Options
	names   []string
	streams [][]record
	slackMS int64

	disk    stateDisk
	other   stateDisk // another machine's; nil until the task moves
	store   joiner.Store
	prog    *textProgram
	task    *joiner.Task
	clock   *joiner.Watermarks
	pos     []int64
	rebuild *joiner.Snapshot // until here, state only

	committed *joiner.Snapshot // what the group says
	rows      []string         // committed output
	open      []string         // output of the open transaction
}

func newWorld(t *testing.T, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &world{t: t, rng: r, slackMS: r.Int64N(20_000)}
	w.disk = &memoryDisk{memory.New()}
	if seed%10 == 0 {
		w.disk = newRealDisk(t)
	}
	w.opts = joiner.Options{
		DelayMS: 60_000, BucketMS: []int64{1000, 7000, 60_000}[r.IntN(3)], Dedup: r.IntN(2) == 0,
		Sources: []joiner.Source{{KeySets: []int{0, 1}}, {KeySets: []int{0}}, {KeySets: []int{1, 0}}},
		Windows: []joiner.Window{
			{Source: 1, KeySet: 0, WithinMS: 60_000},
			{Source: 1, KeySet: 0, WithinMS: 5000, BeforeMS: 2000},
			{Source: 2, KeySet: 1, BeforeMS: 30_000},
		},
	}
	if r.IntN(3) == 0 {
		w.opts.Early = true
	}
	w.names = []string{"click", "near", "query"}
	policy := "at_close"
	if w.opts.Early {
		policy = []string{"early_positive", "immediate_negative"}[r.IntN(2)]
	}
	w.prog = &textProgram{policy: policy, windows: w.names, context: "query"}
	w.streams = w.generate()
	return w
}

// generate makes streams with duplicates, bursts of one time, orphans, and
// disorder within the slack. With dedup a key has at most two duplicates in a
// row: see marksDelays for longer rows.
func (w *world) generate() [][]record {
	r := w.rng
	var streams [][]record
	for src := range w.opts.Sources {
		var s []record
		now := int64(1_000_000)
		for range r.IntN(150) {
			now += []int64{0, 1, 500, 5000, 40_000}[r.IntN(5)]
			user := fmt.Sprintf("u%d", r.IntN(6))
			item := fmt.Sprintf("%s/i%d", user, r.IntN(4))
			keys := map[int][]string{0: {item, user}, 1: {item}, 2: {user, item}}[src]
			rec := record{keys: keys, timeMS: now - r.Int64N(w.slackMS+1), value: float64(r.IntN(5))}
			if src > 0 || !w.opts.Dedup || w.inRow(s, rec) < 3 {
				s = append(s, rec)
			}
		}
		streams = append(streams, s)
	}
	return streams
}

// inRow counts the records of rec's key that follow one another within the
// delay and would do so with rec.
func (w *world) inRow(s []record, rec record) (n int) {
	times := []int64{rec.timeMS}
	for _, o := range s {
		if o.keys[0] == rec.keys[0] {
			times = append(times, o.timeMS)
		}
	}
	slices.Sort(times)
	longest := 0
	for i := range times {
		if i > 0 && times[i]-times[i-1] >= w.opts.DelayMS {
			n = 0
		}
		if n++; n > longest {
			longest = n
		}
	}
	return longest - 1
}

func (w *world) run() {
	w.start()
	for !w.done() {
		w.mending(w.step)
		w.checkLedger()
	}
	for in := range w.streams {
		w.clock.End(in)
	}
	for ended := false; !ended; {
		w.mending(func() {
			for !w.done() {
				w.feed(w.rng.IntN(len(w.streams)))
			}
			w.must(drain(w.task.Finish))
			ended = true
		})
	}
	w.commit()
	w.compare()
}

// mending runs fn as a worker does: when state turns out not to verify it is
// discarded, and the worker starts again.
func (w *world) mending(fn func()) {
	for !w.try(fn) {
		fn = func() {
			w.must(w.store.Close())
			w.must(w.disk.(*badDisk).discard())
			w.start()
		}
	}
}

func (w *world) try(fn func()) (done bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, is := r.(corrupt); !is {
				panic(r)
			}
		}
	}()
	fn()
	return true
}

// corrupt is what must panics with where the disk is bad and the error says so.
type corrupt struct{ error }

func (w *world) done() bool {
	for in, s := range w.streams {
		if w.pos[in] < int64(len(s)) {
			return false
		}
	}
	return w.rebuild == nil
}

func (w *world) step() {
	switch n := w.rng.IntN(100); {
	case n < 70:
		in := w.rng.IntN(len(w.streams))
		for range 1 + w.rng.IntN(20) {
			w.feed(in)
		}
	case n < 85:
		if w.rebuild == nil {
			w.task.Advance(w.clock.Advance(0))
			w.must(drainSome(w.task.Close, 1+w.rng.IntN(10)))
		}
	case n < 95:
		if w.rebuild == nil {
			w.commit()
			if w.rng.IntN(2) == 0 {
				w.must(w.task.Commit(w.committed))
			}
		}
	case n < 96:
		w.crash(false)
	case n < 98:
		w.move()
	default:
		w.crash(true)
	}
}

func drainSome(step func(int) (bool, error), limit int) error {
	_, err := step(limit)
	return err
}

// feed takes in the next record of one stream, unless it lies beyond the rebuild.
func (w *world) feed(in int) {
	if w.pos[in] >= int64(len(w.streams[in])) || w.rebuild != nil && w.pos[in] >= w.rebuild.Offsets[in] {
		w.maybeLive()
		return
	}
	w.add(in)
	w.maybeLive()
}

func (w *world) add(in int) {
	rec := w.streams[in][w.pos[in]]
	ev := joiner.Event{Source: in, TimeMS: rec.timeMS, Offset: w.pos[in], Accept: 1}
	for _, k := range rec.keys {
		ev.Keys = append(ev.Keys, []byte(k))
	}
	ev.Value = fmt.Appendf(nil, "%g", rec.value)
	if in == 0 {
		ev.Value = []byte(rec.keys[0] + "," + rec.keys[1])
	}
	w.clock.Observe(in, rec.timeMS, 0)
	w.must(w.task.Add(&ev))
	w.pos[in]++
	w.open = append(w.open, w.prog.take()...)
}

func (w *world) maybeLive() {
	if w.rebuild == nil || !slices.Equal(w.pos, w.rebuild.Offsets) {
		return
	}
	w.must(w.task.FinishRebuild(w.rebuild, false))
	w.clock.Restart(w.task.WatermarkMS())
	w.rebuild = nil
}

// commit is the transaction: output and position at once.
func (w *world) commit() {
	w.open = append(w.open, w.prog.take()...)
	w.rows, w.open = append(w.rows, w.open...), nil
	w.committed = w.task.Snapshot(7, w.pos)
	text := w.committed.Metadata()
	back, err := joiner.ParseMetadata(text)
	w.must(err)
	w.committed = back
}

// crash loses the open transaction and, with lostDisk, all local state.
func (w *world) crash(lostDisk bool) {
	w.must(w.store.Close())
	if lostDisk {
		w.must(w.disk.wipe())
	}
	w.start()
}

// move has another machine go on, with what it had of the task's state when it
// last had the task.
func (w *world) move() {
	if w.other == nil {
		w.other = &memoryDisk{memory.New()}
	}
	w.must(w.store.Close())
	w.disk, w.other = w.other, w.disk
	w.start()
}

func (w *world) start() {
	w.open, w.rebuild = nil, nil
	w.prog.take()
	store, err := w.disk.open(w.opts.StoreOptions())
	w.must(err)
	if w.committed == nil && store.Meta() != nil {
		w.t.Fatal("local state leads the group")
	}
	w.store = store
	w.task, err = joiner.New(w.opts, store, w.prog)
	w.must(err)
	w.clock = joiner.NewWatermarks(w.task.WatermarkMS())
	for range w.streams {
		w.clock.AddInput(w.slackMS, 0, 0)
	}
	w.pos = make([]int64, len(w.streams))
	if w.committed == nil {
		return
	}
	w.pos = slices.Clone(w.committed.Lows)
	var local *joiner.Snapshot
	if store.Meta() != nil {
		local, err = joiner.ParseSnapshot(store.Meta())
		w.must(err)
		w.pos = local.Offsets
	}
	if !w.committed.Equal(local) {
		w.rebuild = w.committed
		w.task.BeginRebuild()
		w.maybeLive()
	}
}

// stateDisk is what keeps a task's state over its crashes.
type stateDisk interface {
	open(opts joiner.StoreOptions) (joiner.Store, error)
	wipe() error
}

type memoryDisk struct{ disk *memory.Disk }

func (d *memoryDisk) open(o joiner.StoreOptions) (joiner.Store, error) { return d.disk.Open(o) }

func (d *memoryDisk) wipe() error {
	d.disk = memory.New()
	return nil
}

// realDisk is segment files in a directory; its blocks and buffers are small, so
// that little data makes many.
type realDisk struct{ db *disk.DB }

func newRealDisk(t *testing.T) *realDisk {
	db, err := disk.OpenDB(t.TempDir(), disk.Options{OpenFiles: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &realDisk{db}
}

func (d *realDisk) open(o joiner.StoreOptions) (joiner.Store, error) {
	o.BlockBytes, o.BufferBytes = 200, 2000
	return d.db.OpenStore("task", o)
}

func (d *realDisk) wipe() error { return d.db.Reset("task") }

func (w *world) must(err error) {
	if err != nil {
		w.t.Helper()
		if _, bad := w.disk.(*badDisk); bad && errors.Is(err, joiner.ErrCorrupt) {
			panic(corrupt{err})
		}
		w.t.Fatal(err)
	}
}

func (w *world) checkLedger() {
	if w.rebuild != nil {
		return
	}
	l := w.task.Ledger(0)
	w.must(l.Check())
	for _, n := range []int64{l.Impressions.Pending, l.Impressions.Emitted, l.Labels.Pending, l.Labels.Attached, l.Labels.Unmatched, l.Labels.Late} {
		if n < 0 {
			w.t.Fatalf("a count below zero: %+v", l)
		}
	}
	if l.Impressions.In != w.pos[0] || l.Labels.In != w.pos[1]+w.pos[2] {
		w.t.Fatalf("ledger counts %d impressions and %d labels, %v were taken in", l.Impressions.In, l.Labels.In, w.pos)
	}
}

// checkRevisions expects the rows of one impression to be numbered upwards, the
// final one last, over rebuilds too. Without dedup two impressions may look alike.
func (w *world) checkRevisions() {
	last := map[string]int{}
	for _, row := range w.rows {
		name, rest, found := strings.Cut(row, " rev=")
		if !found || !w.opts.Dedup {
			return
		}
		key := strings.Join(strings.Fields(name)[:3], " ")
		number, _, final := strings.Cut(rest, " ")
		revision, err := strconv.Atoi(number)
		w.must(err)
		if before, ok := last[key]; ok && revision <= before {
			w.t.Fatalf("%s comes after revision %d", row, before)
		}
		if last[key] = revision; final {
			last[key] = math.MaxInt
		}
	}
}

func (w *world) compare() {
	w.checkRevisions()
	want, attached := oracle(w.opts, w.names, w.streams)
	if got := finals(w.rows); !slices.Equal(got, want) {
		w.t.Fatalf("rows differ from the oracle's: missing %v, surplus %v", minus(want, got), minus(got, want))
	}
	l := w.task.Ledger(0)
	w.must(l.Check())
	if int(l.Labels.Attached) != attached || l.Labels.Pending != 0 || l.Impressions.Pending != 0 || l.LateEmitted != 0 {
		w.t.Fatalf("ledger %+v, want %d labels attached, none pending, nothing late", l, attached)
	}
}

// minus returns what a has more often than b; both are sorted.
func minus(a, b []string) (rest []string) {
	count := map[string]int{}
	for _, s := range b {
		count[s]++
	}
	for _, s := range a {
		if count[s]--; count[s] < 0 {
			rest = append(rest, s)
		}
	}
	return rest
}
