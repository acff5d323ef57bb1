package featurestest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
)

// question is a feature of an entity as of a time.
type question struct {
	feature int
	entity  string
	asOfMS  int64
}

// history is one way in which the same events come to be tiles.
type history struct {
	tasks       int // that the events are spread over
	routed      bool
	commitEvery int
	crashEvery  int // commits; 0 never
	sorted      bool
}

func (h history) String() string {
	return fmt.Sprintf("tasks %d, routed %v, commit every %d, crash every %d, sorted %v", h.tasks, h.routed, h.commitEvery, h.crashEvery, h.sorted)
}

// testMetamorphic takes the same events in through different histories and asks the
// same questions: every answer must be the oracle's, and all alike to the bit.
func testMetamorphic(t *testing.T, open func(t *testing.T) Opener, seed uint64, size int) {
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	set, err := features.Compile(Definitions(), Sources)
	if err != nil {
		t.Fatal(err)
	}
	spanMS := []int64{3_600_000, 30 * 3_600_000, 40 * 86_400_000}[rnd.IntN(3)]
	events := RandomEvents(rnd, size, spanMS)
	questions := ask(rnd, set, spanMS)
	var first []mortise.Value
	for i, h := range []history{
		{1, true, math.MaxInt, 0, true},
		{1, true, 1 + size/40, 2, false},
		{3, false, 1 + size/10, 3, false},
		{4, true, 1 + size/17, 5, rnd.IntN(2) == 0},
	} {
		w := &world{t: t, set: set, opener: open(t), h: h}
		w.run(rnd, events)
		got := w.answers(questions)
		w.opener.Crash()
		if i > 0 {
			for q := range questions {
				if a, b := Format(first[q]), Format(got[q]); a != b {
					t.Fatalf("%s: %s is %s, and %s in another history", h, questions[q].name(set), b, a)
				}
			}
			continue
		}
		first = got
		for q, v := range got {
			want, tolerance := Want(set.Features[questions[q].feature].Definition, events, questions[q].entity, questions[q].asOfMS)
			if !Agrees(v, want, tolerance) {
				t.Fatalf("%s: %s is %s, want %s", h, questions[q].name(set), Format(v), Format(want))
			}
		}
	}
}

func (q question) name(set *features.Set) string {
	d := set.Features[q.feature].Definition
	return fmt.Sprintf("%s over %s of %s %q as of Base+%d", d.Aggregate.String(), d.Window, strings.Join(d.Entity, "|"), q.entity, q.asOfMS-Base)
}

func ask(rnd *rand.Rand, set *features.Set, spanMS int64) (out []question) {
	for range 60 {
		asOfMS := RandomTime(rnd, spanMS+spanMS/4)
		f := rnd.IntN(len(set.Features))
		g := set.Features[f].Group
		entity := fmt.Sprintf("i%d", rnd.IntN(4))
		if set.Groups[g].Entity[0] == "user" {
			entity = fmt.Sprint(rnd.IntN(5))
		}
		for _, f := range set.Groups[g].Features {
			out = append(out, question{f, entity, asOfMS})
		}
	}
	return out
}

// world is one history in progress.
type world struct {
	t       *testing.T
	set     *features.Set
	opener  Opener
	store   features.Store
	h       history
	writers []*features.Writer
	inputs  [][]Event // per task
	next    []int     // per task: what was added; writers' positions say what was committed
}

func (w *world) taskName(task int) string { return fmt.Sprintf("task-%d", task) }

func (w *world) run(rnd *rand.Rand, events []Event) {
	events = slices.Clone(events)
	if w.h.sorted {
		slices.SortStableFunc(events, func(a, b Event) int { return int(a.TimeMS - b.TimeMS) })
	} else {
		rnd.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	}
	w.inputs = make([][]Event, w.h.tasks)
	for _, e := range events {
		// One task holds an entity of any group only where the events are routed by
		// something that all entities share: here, nothing but the constant.
		task := rnd.IntN(w.h.tasks)
		if w.h.routed {
			task = 0
		}
		w.inputs[task] = append(w.inputs[task], e)
	}
	w.open()
	for commits := 0; w.advance(rnd); commits++ {
		if w.h.crashEvery > 0 && commits%w.h.crashEvery == w.h.crashEvery-1 {
			w.opener.Crash()
			w.open()
		}
	}
}

func (w *world) open() {
	var err error
	if w.store, err = w.opener.Open(); err != nil {
		w.t.Fatal(err)
	}
	w.writers, w.next = nil, nil
	for task := range w.h.tasks {
		wr, err := features.OpenWriter(context.Background(), w.set, w.store, features.WriterOptions{Task: w.taskName(task), Shard: uint16(task), SinceMS: math.MinInt64, Slot: Slot})
		if err != nil {
			w.t.Fatal(err)
		}
		next := 0
		if meta := wr.Position().Meta; len(meta) > 0 {
			if _, err := fmt.Sscan(string(meta), &next); err != nil {
				w.t.Fatal(err)
			}
		}
		w.writers, w.next = append(w.writers, wr), append(w.next, next)
	}
}

// advance lets one task that is not done add events, and mostly commit.
func (w *world) advance(rnd *rand.Rand) bool {
	var todo []int
	for task := range w.writers {
		if w.next[task] < len(w.inputs[task]) || string(w.writers[task].Position().Meta) != fmt.Sprint(len(w.inputs[task])) {
			todo = append(todo, task)
		}
	}
	if len(todo) == 0 {
		return false
	}
	task := todo[rnd.IntN(len(todo))]
	wr, input := w.writers[task], w.inputs[task]
	for range w.h.commitEvery {
		if w.next[task] == len(input) {
			break
		}
		e := &input[w.next[task]]
		if err := wr.Add(e.Source, e.Row, e.TimeMS); err != nil && !isExpressionFault(err) {
			w.t.Fatal(err)
		}
		w.next[task]++
	}
	if w.next[task] < len(input) && w.h.crashEvery > 0 && rnd.IntN(4) == 0 {
		return true // what a crash finds uncommitted
	}
	watermarkMS := int64(math.MinInt64)
	if w.next[task] == len(input) {
		watermarkMS = math.MaxInt64
	}
	if err := wr.Commit(context.Background(), []byte(fmt.Sprint(w.next[task])), watermarkMS); err != nil {
		w.t.Fatal(err)
	}
	return true
}

func isExpressionFault(err error) bool {
	fault, ok := errors.AsType[*mortise.RecordError](err)
	return ok && fault.Reason == mortise.ReasonExpression
}

// answers reads everything in one Read, many lookups of it twice.
func (w *world) answers(questions []question) []mortise.Value {
	opts := features.ReaderOptions{CacheRows: 50}
	for range w.set.Sources {
		var tasks []string
		for task := range w.h.tasks {
			tasks = append(tasks, w.taskName(task))
		}
		opts.Tasks = append(opts.Tasks, tasks)
	}
	if w.h.routed {
		opts.Route = func(int, []byte) int { return 0 }
	}
	r, err := features.OpenReader(context.Background(), w.set, w.store, opts)
	if err == nil {
		err = r.Refresh(context.Background())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	var lookups []features.Lookup
	for range 2 {
		lookups = lookups[:0]
		for _, q := range questions {
			lookups = append(lookups, features.Lookup{Group: w.set.Features[q.feature].Group, Entity: []byte(q.entity), AsOfMS: q.asOfMS})
		}
		if err := r.Read(context.Background(), lookups); err != nil {
			w.t.Fatal(err)
		}
	}
	var out []mortise.Value
	for i, q := range questions {
		at := slices.Index(w.set.Groups[lookups[i].Group].Features, q.feature)
		out = append(out, lookups[i].Values[at])
	}
	return out
}
