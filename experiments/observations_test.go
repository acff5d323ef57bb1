package experiments

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/memory"
)

// observedWorld is a task that observes one dimension, beside what it should know:
// every impression has what the first read saw that began after it came.
type observedWorld struct {
	t     *testing.T
	r     *rand.Rand
	p     *Pipeline
	disk  *memory.Disk
	store joiner.Store
	o     *observations

	table   map[string]int // as it is now
	next    int64
	held    []heldImpression
	saved   []heldImpression // as of the last commit
	savedAt int64
	closed  int64 // event time
}

type heldImpression struct {
	offset, timeMS int64
	key            string
	read           bool // a read has begun that covers it
	known          bool
	row            int
}

func newObservedWorld(t *testing.T, r *rand.Rand) *observedWorld {
	def := &spec.Dimension{Definition: dimjoin.Definition{Name: "d", Key: []string{"k"}, AsOf: dimjoin.AsOfArrival, Missing: dimjoin.MissingDeadLetter,
		Fields: mortise.Schema{{Name: "x", Type: mortise.Type{Kind: mortise.Int}}}}}
	p := &Pipeline{Dimensions: []Dimension{{ID: DimensionID(def), Definition: def}}, dimensionAt: [][]int{{0}}}
	p.Join = joiner.Options{DelayMS: 60_000, Sources: []joiner.Source{{}}}
	p.Join.EnsureDefaults()
	w := &observedWorld{t: t, r: r, p: p, disk: memory.New(), table: map[string]int{}}
	w.open()
	return w
}

func (w *observedWorld) open() {
	w.t.Helper()
	store, err := w.disk.Open(w.p.Join.StoreOptions())
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = store
	if w.o, err = newObservations(w.p, store); err != nil {
		w.t.Fatal(err)
	}
}

func (w *observedWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// arrive takes an impression in: mostly in order of event time, at times late.
func (w *observedWorld) arrive() {
	im := heldImpression{offset: w.next, timeMS: w.closed + w.r.Int64N(60_000) - 5_000, key: fmt.Sprint("k", w.r.IntN(12))}
	w.next += 1 + w.r.Int64N(3)
	w.o.ask(0, []byte(im.key), mortise.Row{mortise.StringValue(im.key)}, im.offset, im.timeMS)
	w.held = append(w.held, im)
}

// begin begins a read, which sees the table as it is.
func (w *observedWorld) begin() {
	f := w.o.begin()
	if f == nil {
		return
	}
	for i := range f.lookups[0] {
		a := &f.lookups[0][i]
		if string(a.Values[0].Text()) != string(a.Key) {
			w.t.Fatalf("key %s is asked for with %s", a.Key, a.Values[0].Text())
		}
		n := w.table[string(a.Key)]
		switch {
		case n%7 == 0: // no row
			a.Row, a.Served, a.Absent = mortise.Row{mortise.NullValue()}, dimjoin.ServedMissing, true
			a.Reject = &mortise.RecordError{Reason: mortise.ReasonDimension, Detail: "none"}
		case n%5 == 0:
			a.Row, a.Served = mortise.Row{mortise.IntValue(int64(n))}, dimjoin.ServedStale
		default:
			a.Row, a.Served = mortise.Row{mortise.IntValue(int64(n))}, dimjoin.Served(w.r.IntN(2)) // cached or not
		}
	}
	for i := range w.held {
		if im := &w.held[i]; !im.read {
			im.read, im.row = true, w.table[im.key]
		}
	}
}

func (w *observedWorld) end() {
	if w.o.flight == nil {
		return
	}
	w.must(w.o.end())
	for i := range w.held {
		w.held[i].known = w.held[i].read
	}
}

func (w *observedWorld) commit() {
	w.must(w.o.keepAsked())
	w.must(w.store.Commit(nil))
	w.saved, w.savedAt = slices.Clone(w.held), w.next
}

// crash goes back to the last commit: what was not read then is read anew.
func (w *observedWorld) crash() {
	w.must(w.store.Close())
	w.held, w.next = slices.Clone(w.saved), w.savedAt
	for i := range w.held {
		w.held[i].read = w.held[i].known
	}
	w.open()
}

// close closes what is known, up to a time.
func (w *observedWorld) close() {
	at := w.closed + w.r.Int64N(3_000)
	for _, im := range w.held {
		if im.timeMS < at && !im.known {
			at = im.timeMS
		}
	}
	w.closed = max(w.closed, at)
	w.held = slices.DeleteFunc(w.held, func(im heldImpression) bool {
		if im.timeMS >= w.closed {
			return false
		}
		w.check(&im)
		return true
	})
	w.must(w.o.forgetBefore(w.closed))
}

func (w *observedWorld) check(im *heldImpression) {
	w.t.Helper()
	if !w.o.knows(0, []byte(im.key), im.offset) {
		w.t.Fatalf("%+v is unknown", im)
	}
	if !im.known {
		return
	}
	a := dimjoin.Answer{Key: []byte(im.key)}
	w.o.answer(0, &a, im.offset)
	switch {
	case im.row%7 == 0:
		if a.Reject == nil || a.Reject.Detail != "none" || !a.Absent || a.Served != dimjoin.ServedMissing || !a.Row[0].IsNull() {
			w.t.Fatalf("%+v is served with %+v", im, a)
		}
	case a.Reject != nil || a.Absent || a.Row[0].Int() != int64(im.row) || a.Served.Degraded() != (im.row%5 == 0):
		w.t.Fatalf("%+v is served with %+v", im, a)
	}
}

// TestObservations holds what is known of impressions against all that they could
// be served with, over crashes.
func TestObservations(t *testing.T) {
	for n := range 30 {
		seed := uint64(time.Now().UnixNano()) + uint64(n)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newObservedWorld(t, rand.New(rand.NewPCG(seed, 0)))
			w.closed = w.r.Int64N(1e9)
			w.commit()
			for range 800 {
				switch n := w.r.IntN(100); {
				case n < 50:
					w.arrive()
				case n < 60:
					w.table[fmt.Sprint("k", w.r.IntN(12))]++
				case n < 72:
					w.begin()
				case n < 85:
					w.end()
				case n < 92:
					w.close()
				case n < 98:
					w.commit()
				default:
					w.crash()
					if w.closed > 0 {
						w.held = slices.DeleteFunc(w.held, func(im heldImpression) bool { return im.timeMS < w.closed })
					}
				}
				for i := range w.held {
					w.check(&w.held[i])
				}
			}
			if rows := len(w.o.dims[0].rows); rows > 12 {
				t.Errorf("%d keys are held of 12", rows)
			}
			w.closed += 1e6
			w.held = nil
			w.end()
			w.begin()
			w.end()
			w.must(w.o.forgetBefore(w.closed))
			if len(w.o.dims[0].rows) > 0 || w.store.Log(joiner.Observed).Stats().Entries > 0 {
				t.Errorf("%d keys are left, and %d entries", len(w.o.dims[0].rows), w.store.Log(joiner.Observed).Stats().Entries)
			}
		})
	}
}
