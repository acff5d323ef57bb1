package changing

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/changes"
	"github.com/mortise-dev/mortise/dimjoin/pebble"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/spec"
)

var seeds = flag.Int("seeds", 12, "how many random worlds are read")

const nowMS = int64(1_700_000_000_000)

func now() time.Time { return time.UnixMilli(nowMS) }

func dimension(format string) *spec.Dimension {
	d := &spec.Dimension{Definition: dimjoin.Definition{Name: "item", Key: []string{"id"}, KeyTypes: []mortise.Type{{Kind: mortise.Int}},
		History: dimjoin.History{From: "valid_from", To: "valid_to"},
		Fields:  mortise.Schema{{Name: "a", Type: mortise.Type{Kind: mortise.Int}}, {Name: "b", Type: mortise.Type{Kind: mortise.Int, Nullable: true}}}}}
	d.Changes = &spec.Changes{Topic: "t", Format: format, Key: mortise.Schema{{Name: "id", Type: mortise.Type{Kind: mortise.Int}}},
		OutOfOrderness: 30 * time.Second, IdleAfter: time.Minute, MaxAhead: time.Hour, Keep: time.Hour}
	return d
}

func journaled(t testing.TB, d *spec.Dimension, m *memory) *Stream {
	t.Helper()
	s, err := NewJournaled(d, "demo", m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// world is changes in a topic, and what they say.
type world struct {
	topic *topic
	said  map[string][]said // by key, in order of arrival
}

type said struct {
	atMS    int64
	deleted bool
	fields  map[int]int64
}

// newWorld writes n changes, out of order by at most 20 seconds.
func newWorld(rnd *rand.Rand, n int) *world {
	w := &world{topic: newTopic("t", 3), said: map[string][]said{}}
	at := nowMS - int64(n)*3000
	for range n {
		at += rnd.Int64N(3000)
		id := rnd.IntN(6)
		c := said{atMS: at - rnd.Int64N(20_000)}
		text := fmt.Sprintf(`"source":{"ts_ms":%d,"table":"item"}`, c.atMS)
		switch rnd.IntN(8) {
		case 0:
			c.deleted = true
			w.topic.add(id%3, "", fmt.Sprintf(`{"op":"d","before":{"id":%d},%s}`, id, text))
		case 1:
			w.topic.add(id%3, "", `{"op":"u"`) // broken
			continue
		default:
			c.fields = map[int]int64{}
			row := fmt.Sprintf(`"id":%d`, id)
			for i, name := range []string{"a", "b"} {
				if rnd.IntN(3) > 0 {
					c.fields[i] = rnd.Int64N(3)
					row += fmt.Sprintf(`,%q:%d`, name, c.fields[i])
				}
			}
			w.topic.add(id%3, "", fmt.Sprintf(`{"op":"u","after":{%s},%s}`, row, text))
		}
		w.said[fmt.Sprint(id)] = append(w.said[fmt.Sprint(id)], c)
	}
	return w
}

// want is the row of a key at a time: of all that was said, by time, then arrival.
func (w *world) want(key string, atMS int64) string {
	var fields map[int]int64
	for last := int64(math.MinInt64); ; {
		next := int64(math.MaxInt64)
		for _, c := range w.said[key] {
			if c.atMS > last && c.atMS <= atMS {
				next = min(next, c.atMS)
			}
		}
		if next == math.MaxInt64 {
			break
		}
		for _, c := range w.said[key] {
			if c.atMS != next {
				continue
			}
			if c.deleted {
				fields = nil
				continue
			}
			if fields == nil {
				fields = map[int]int64{}
			}
			for i, v := range c.fields {
				fields[i] = v
			}
		}
		last = next
	}
	a, ok := fields[0]
	if !ok {
		return "none"
	}
	if b, ok := fields[1]; ok {
		return fmt.Sprint(a, " ", b)
	}
	return fmt.Sprint(a, " null")
}

func show(row mortise.Row) string {
	if row == nil {
		return "none"
	}
	var parts []string
	for _, v := range row {
		if v.IsNull() {
			parts = append(parts, "null")
			continue
		}
		parts = append(parts, fmt.Sprint(v.Int()))
	}
	return strings.Join(parts, " ")
}

func (w *world) check(t *testing.T, seed uint64, table dimjoin.Table) {
	t.Helper()
	for key, all := range w.said {
		times := []int64{0, nowMS}
		for _, c := range all {
			times = append(times, c.atMS-1, c.atMS, c.atMS+1)
		}
		for _, at := range times {
			l := []dimjoin.Lookup{{Key: []byte(key), AsOfMS: at}}
			if err := table.Read(context.Background(), l); err != nil {
				t.Fatal(err)
			}
			if got, want := show(l[0].Row), w.want(key, at); got != want {
				t.Fatalf("seed %d: %s at %d is %s, want %s", seed, key, at, got, want)
			}
		}
	}
}

// TestEveryChangeCountsOnce reads a topic while writes fail, before they are done
// and after, and begins again each time.
func TestEveryChangeCountsOnce(t *testing.T) {
	crashes := 0
	for seed := range uint64(*seeds) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		w, m := newWorld(rnd, 200), newMemory()
		m.faults = func() (bool, bool) { return rnd.IntN(6) == 0, rnd.IntN(6) == 0 }
		letters := map[int64]bool{}
		for {
			k := NewKeeper(w.topic, []*Stream{journaled(t, dimension(changes.Debezium), m)}, Options{Now: now, UntilEnd: true, PollRecords: 1 + rnd.IntN(10), CommitEvery: time.Nanosecond, MaxBytes: 1 + rnd.IntN(2000),
				Letters: func(dl *mortise.DeadLetter) error {
					if dl.Reason != mortise.ReasonBadJSON || dl.Source != "item" || dl.Experiment != "demo" {
						t.Errorf("%+v", dl)
					}
					letters[dl.Offset*3+int64(dl.Partition)] = true
					return nil
				}})
			err := k.Run(context.Background())
			if errors.Is(err, errFault) {
				crashes++
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			st := k.streams[0].Status()
			if st.FinalMS != math.MaxInt64 || st.LagRecords != 0 {
				t.Errorf("at the end: %+v", st)
			}
			break
		}
		if len(letters) == 0 {
			t.Fatalf("seed %d: no dead letters", seed)
		}
		w.check(t, seed, m)
		before := m.applied
		k := NewKeeper(w.topic, []*Stream{journaled(t, dimension(changes.Debezium), m)}, Options{Now: now, UntilEnd: true})
		m.faults = nil
		if err := k.Run(context.Background()); err != nil || m.applied != before {
			t.Errorf("started again with nothing to read: %v, %d versions written", err, m.applied-before)
		}
	}
	if crashes < *seeds {
		t.Errorf("only %d crashes in %d worlds", crashes, *seeds)
	}
}

// TestFilledEqualsKept: a backfill reads what a run has read, in any order of its
// partitions.
func TestFilledEqualsKept(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	w, m := newWorld(rnd, 1200), newMemory()
	s := journaled(t, dimension(changes.Debezium), m)
	f, err := NewFiller(context.Background(), []*Stream{s}, Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if f.Reads("other") || !f.Reads("t") {
		t.Error("the topics are not those of the streams")
	}
	for _, p := range w.topic.parts {
		for i := range p {
			if err := f.Add(context.Background(), "t", &p[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Finish(context.Background()); err != nil || s.FinalMS() != math.MaxInt64 {
		t.Fatal(err, s.FinalMS())
	}
	w.check(t, 5, m)
	if _, err := NewFiller(context.Background(), []*Stream{journaled(t, dimension(changes.Debezium), m)}, Options{Now: now}); err == nil {
		t.Error("a table that has changes was filled again")
	}
}

// TestRowsThatWorkersShare ends with the latest rows, though reads and writes fail
// and the group rebalances.
func TestRowsThatWorkersShare(t *testing.T) {
	for seed := range uint64(*seeds) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(rnd, 150)
		l := &latest{rows: map[string]mortise.Row{}, faults: func() bool { return rnd.IntN(8) == 0 }}
		s, err := NewWritten(dimension(changes.Debezium), "demo", l, l)
		if err != nil {
			t.Fatal(err)
		}
		begun := 0 // anew: a rebalance, or a start after a stop at which the store did not answer
		w.topic.fail = func() error {
			if begun < 2 && rnd.IntN(10) == 0 {
				begun++
				return experiments.ErrRebalanced
			}
			return nil
		}
		sh := NewShared(transport{w.topic}, s, Options{Now: now, PollRecords: 4, MaxBytes: 1 + rnd.IntN(1000), RetryEvery: time.Microsecond})
		for ; ; begun++ {
			ctx, cancel := context.WithCancel(context.Background())
			w.topic.ended, w.topic.assigned = cancel, false
			if err := sh.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if w.topic.isCommitted() {
				break
			}
			if begun > 100 {
				t.Fatalf("seed %d: it does not come to the end: %v", seed, w.topic.committed)
			}
		}
		for key := range w.said {
			// Beginning anew forgets when rows were changed, so that one that came late may have won.
			if got, want := show(l.rows[key]), w.want(key, nowMS); got != want && begun == 0 {
				t.Errorf("seed %d: %s is %s, want %s", seed, key, got, want)
			}
		}
	}
}

// TestHowFarATableIs follows what readers are told.
func TestHowFarATableIs(t *testing.T) {
	at, done := nowMS, make(chan struct{})
	tp, m := newTopic("t", 2), newMemory()
	s := journaled(t, dimension(changes.Debezium), m)
	k := NewKeeper(tp, []*Stream{s}, Options{Now: func() time.Time { return time.UnixMilli(at) }, InputDone: done})
	if s.FinalMS() != math.MinInt64 {
		t.Error("final before anything is read")
	}
	if err := k.start(context.Background()); err != nil {
		t.Fatal(err)
	}
	step := func(afterMS, want int64) {
		t.Helper()
		at += afterMS
		if err := errors.Join(k.round(context.Background()), k.commit(context.Background())); err != nil {
			t.Fatal(err)
		}
		if got := s.FinalMS(); got != want {
			t.Errorf("final is %d, want %d (%d from now)", got, want, want-at)
		}
	}
	change := func(partition int, atMS int64) {
		tp.add(partition, "", fmt.Sprintf(`{"op":"u","after":{"id":1,"a":1},"source":{"ts_ms":%d}}`, atMS))
	}
	step(0, math.MinInt64) // both are empty, but more is being published
	change(0, nowMS-1000)
	step(1000, math.MinInt64) // the other one may bring anything
	change(1, nowMS-5000)
	step(0, nowMS-5000-30_000) // the least, and how late a change may come
	step(3e6, nowMS-5000-3e4)  // silent, but more is being published
	close(done)
	step(0, at-30_000)          // silent for long enough: as far as the clock
	tp.add(0, "", `{"op":"u",`) // broken records say nothing of time
	step(0, at-30_000)
	change(0, at-1000)
	step(1000, at-30_000) // it never goes back
	change(0, at+5000)
	step(6000, at+5000-30_000) // the one that is not silent
}

func TestKeysOfOtherFieldsAreRefused(t *testing.T) {
	tp, m := newTopic("t", 1), newMemory()
	tp.add(0, "", fmt.Sprintf(`{"op":"u","after":{"id":1,"a":1},"source":{"ts_ms":%d}}`, nowMS))
	opts := Options{Now: now, UntilEnd: true}
	if err := NewKeeper(tp, []*Stream{journaled(t, dimension(changes.Debezium), m)}, opts).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	other := dimension(changes.Debezium)
	other.Fields = other.Fields[:1]
	err := NewKeeper(tp, []*Stream{journaled(t, other, m)}, opts).Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "item") || !strings.Contains(err.Error(), "remove the table") {
		t.Errorf("%v", err)
	}
}

func TestGaps(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 9))
	w, m := newWorld(rnd, 100), newMemory()
	run := func(accept bool) error {
		return NewKeeper(w.topic, []*Stream{journaled(t, dimension(changes.Debezium), m)}, Options{Now: now, UntilEnd: true, AcceptGap: accept}).Run(context.Background())
	}
	w.topic.first = 3 // a topic that begins later than it did is read from there
	if err := run(false); err != nil {
		t.Fatal(err)
	}
	w.topic.first = 1000
	for p := range w.topic.parts {
		w.topic.parts[p] = append(w.topic.parts[p], make([]mortise.Record, 1000)...)
	}
	if err := run(false); !errors.As(err, new(*experiments.GapError)) {
		t.Errorf("a gap: %v", err)
	}
}

// TestAnswersCountAsFarAsTheStream: nothing that was read may be kept for times of
// which more may come.
func TestAnswersCountAsFarAsTheStream(t *testing.T) {
	tp, m := newTopic("t", 1), newMemory()
	tp.add(0, "", fmt.Sprintf(`{"op":"u","after":{"id":1,"a":1},"source":{"ts_ms":%d}}`, nowMS-100_000))
	s := journaled(t, dimension(changes.Debezium), m)
	k := NewKeeper(tp, []*Stream{s}, Options{Now: now})
	if err := errors.Join(k.start(context.Background()), k.round(context.Background()), k.commit(context.Background())); err != nil {
		t.Fatal(err)
	}
	final := nowMS - 130_000
	for asOf, to := range map[int64]int64{final - 5: final, final: final + 1, final + 7: final + 8, nowMS: nowMS + 1, dimjoin.Latest: math.MaxInt64} {
		l := []dimjoin.Lookup{{Key: []byte("1"), AsOfMS: asOf}}
		if err := s.View().Read(context.Background(), l); err != nil {
			t.Fatal(err)
		}
		if l[0].ToMS != to && asOf >= nowMS-100_000 || l[0].ToMS > max(to, final) {
			t.Errorf("as of %d: the answer counts to %d, want %d", asOf, l[0].ToMS, to)
		}
	}
}

// TestPebble keeps an embedded table, which is opened anew every so often.
func TestPebble(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	w, d := newWorld(rnd, 300), dimension(changes.Debezium)
	d.Store.Path = t.TempDir()
	records := w.topic.parts
	for _, part := range []int{3, 2, 1} { // of what there will be
		w.topic.parts = make([][]mortise.Record, len(records))
		for p := range records {
			w.topic.parts[p] = records[p][:len(records[p])/part]
		}
		db, err := pebble.Open(context.Background(), &d.Definition, pebble.Options{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewJournaled(d, "demo", db)
		if err != nil {
			t.Fatal(err)
		}
		if err := NewKeeper(w.topic, []*Stream{s}, Options{Now: now, UntilEnd: true, PollRecords: 20, MaxBytes: 2000}).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if part == 1 {
			w.check(t, 3, db)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkPebble takes changes in, of 10,000 keys, in messages of about 130 bytes.
func BenchmarkPebble(b *testing.B) {
	d := dimension(changes.Debezium)
	d.Store.Path = b.TempDir()
	tp, n := newTopic("t", 1), 200_000
	if testing.Short() {
		n = 2000
	}
	for i := range n {
		tp.add(0, "", fmt.Sprintf(`{"before":null,"op":"u","after":{"id":%d,"a":%d,"b":7},"source":{"ts_ms":%d,"table":"item"}}`, i*7919%10_000, i, nowMS-int64(n-i)))
	}
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		d.Store.Path = b.TempDir()
		db, err := pebble.Open(context.Background(), &d.Definition, pebble.Options{Create: true})
		if err != nil {
			b.Fatal(err)
		}
		s, err := NewJournaled(d, "demo", db)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := NewKeeper(tp, []*Stream{s}, Options{Now: now, UntilEnd: true, CommitEvery: 50 * time.Millisecond}).Run(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "changes/s")
}
