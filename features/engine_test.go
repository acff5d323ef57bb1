package features_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/memory"
)

const (
	minute = int64(60_000)
	hour   = 60 * minute
	day    = 24 * hour
	base   = int64(1_700_006_400_000) // the start of a day
)

// bench is an engine over one store.
type bench struct {
	t     testing.TB
	set   *features.Set
	store features.Store
}

func newBench(t testing.TB, defs ...features.Definition) *bench {
	t.Helper()
	set, err := features.Compile(defs, featurestest.Sources)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t, set, memory.New()}
}

func (b *bench) writer(task string, shard uint16, sinceMS int64) *features.Writer {
	b.t.Helper()
	w, err := features.OpenWriter(context.Background(), b.set, b.store, features.WriterOptions{Task: task, Shard: shard, SinceMS: sinceMS, Slot: featurestest.Slot})
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

func (b *bench) reader(opts features.ReaderOptions) *features.Reader {
	b.t.Helper()
	if opts.Tasks == nil {
		opts.Tasks = [][]string{{"a"}, {"a"}}
	}
	r, err := features.OpenReader(context.Background(), b.set, b.store, opts)
	if err == nil {
		err = r.Refresh(context.Background())
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// read asks for the first group's features of an item.
func (b *bench) read(r *features.Reader, item string, asOfMS int64) string {
	b.t.Helper()
	l := []features.Lookup{{Entity: []byte(item), AsOfMS: asOfMS}}
	if err := r.Read(context.Background(), l); err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, v := range l[0].Values {
		out = append(out, featurestest.Format(v))
	}
	return strings.Join(out, ", ")
}

// view is a row of the source views.
func view(item string, qty int64) mortise.Row {
	return mortise.Row{mortise.StringValue(item), mortise.IntValue(1), mortise.NullValue(), mortise.IntValue(qty), mortise.StringValue("b"),
		mortise.TimestampValue(0), mortise.BoolValue(true), mortise.ListValue(nil)}
}

func commit(t testing.TB, w *features.Writer, meta string, watermarkMS int64) {
	t.Helper()
	if err := w.Commit(context.Background(), []byte(meta), watermarkMS); err != nil {
		t.Fatal(err)
	}
}

func TestReadSeesWholeTilesBeforeItsOwn(t *testing.T) {
	b := newBench(t, featurestest.Define("n", "views", "count", "", 2*time.Minute, time.Minute, "item"))
	w := b.writer("a", 0, math.MinInt64)
	for _, at := range []int64{-2*minute - 1, -2 * minute, -1, 0, minute - 1, minute} {
		if err := w.Add(0, view("i", 1), base+at); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, w, "", math.MaxInt64)
	r := b.reader(features.ReaderOptions{})
	for _, c := range []struct {
		asOf int64
		want string
	}{
		{-2 * minute, "int 1"}, {-1, "int 2"}, {0, "int 2"}, {minute - 1, "int 2"}, {minute, "int 3"}, {minute + 1, "int 3"}, {2 * minute, "int 3"}, {3 * minute, "int 1"}, {4 * minute, "int 0"},
	} {
		if got := b.read(r, "i", base+c.asOf); got != c.want {
			t.Errorf("as of base%+d: %s, want %s", c.asOf, got, c.want)
		}
	}
	if got := b.read(r, "other", base); got != "int 0" {
		t.Errorf("another item: %s", got)
	}
}

// An impression's own click, and everything else in its minute or later, must not
// reach its features, whatever the aggregate: the value with them is the value
// without.
func TestNoOwnClick(t *testing.T) {
	var defs []features.Definition
	for i, d := range featurestest.Definitions() {
		if d.Source == "views" && d.Entity[0] == "item" && d.Tile == time.Minute {
			d.Name = fmt.Sprint("f", i)
			defs = append(defs, d)
		}
	}
	values := func(asOfMS int64, leaks bool) string {
		b := newBench(t, defs...)
		w := b.writer("a", 0, math.MinInt64)
		for _, before := range []int64{minute, hour, 5 * hour} {
			for k := range int64(3) {
				if err := w.Add(0, view("i", k), asOfMS-before-k*1000); err != nil {
					t.Fatal(err)
				}
			}
		}
		tile := asOfMS / minute * minute
		if leaks {
			for _, at := range []int64{tile, asOfMS, asOfMS + 1, asOfMS + 30*minute, asOfMS + 40*day} {
				if err := w.Add(0, view("i", 4), at); err != nil {
					t.Fatal(err)
				}
			}
		}
		commit(t, w, "", math.MaxInt64)
		return b.read(b.reader(features.ReaderOptions{}), "i", asOfMS)
	}
	for _, at := range []int64{0, 1, minute - 1, minute, hour - 1, hour, 13*hour + 17, day - 1, day} {
		if with, without := values(base+at, true), values(base+at, false); with != without {
			t.Errorf("as of base+%d: %s, and without what comes after %s", at, with, without)
		}
	}
}

func TestReadWaitsForFinalTiles(t *testing.T) {
	b := newBench(t, featurestest.Define("n", "views", "count", "", time.Hour, time.Minute, "item"))
	opts := features.ReaderOptions{Tasks: [][]string{{"a", "b"}, nil}}
	w, other := b.writer("a", 0, math.MinInt64), b.writer("b", 1, math.MinInt64)
	if err := w.Add(0, view("i", 1), base); err != nil {
		t.Fatal(err)
	}
	commit(t, w, "", base+5*minute)
	r := b.reader(opts)
	unfinished := func(asOfMS int64) bool {
		t.Helper()
		err := r.Read(context.Background(), []features.Lookup{{Entity: []byte("i"), AsOfMS: asOfMS}})
		if err != nil && !errors.As(err, new(*features.UnfinishedError)) {
			t.Fatal(err)
		}
		return err != nil
	}
	if r.FinalMS(0) != math.MinInt64 || !unfinished(base) {
		t.Error("a task that has not begun holds nothing up")
	}
	commit(t, other, "", base+2*minute+7)
	if err := r.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	if r.FinalMS(0) != base+2*minute+7 || unfinished(base+3*minute-1) || !unfinished(base+3*minute) {
		t.Errorf("final up to base+%d", r.FinalMS(0)-base)
	}
	// What is not final is read where that is wanted, and not kept.
	opts.Unfinished = true
	online := b.reader(opts)
	if got := b.read(online, "i", base+10*minute); got != "int 1" {
		t.Error(got)
	}
	if err := other.Add(0, view("i", 1), base+9*minute); err != nil {
		t.Fatal(err)
	}
	commit(t, other, "", base+9*minute)
	if got := b.read(online, "i", base+10*minute); got != "int 2" {
		t.Error(got)
	}
}

func TestCacheAnswersWithoutReading(t *testing.T) {
	b := newBench(t, featurestest.Define("n", "views", "count", "", time.Hour, time.Minute, "item"))
	w := b.writer("a", 0, math.MinInt64)
	commit(t, w, "", math.MaxInt64)
	r := b.reader(features.ReaderOptions{CacheRows: 100})
	var lookups []features.Lookup
	for i := range 1000 {
		lookups = append(lookups, features.Lookup{Entity: fmt.Append(nil, i%10), AsOfMS: base + int64(i)})
	}
	for range 2 {
		if err := r.Read(context.Background(), lookups); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.Stats(); s.Lookups != 2000 || s.Cached != 1000 || s.Rows != 10 || s.Keys != 10 {
		t.Errorf("%+v", s)
	}
	for i := range 10_000 { // more than the cache holds
		b.read(r, fmt.Sprint(i), base)
	}
	before := r.Stats().Rows
	b.read(r, "0", base)
	if r.Stats().Rows == before {
		t.Error("the cache has no bound")
	}
}

func TestWriterCounts(t *testing.T) {
	b := newBench(t, featurestest.Define("n", "views", "count", "", time.Hour, time.Minute, "item"),
		featurestest.Define("by brand", "views", "sum(qty)", "price > 0.0", time.Hour, time.Minute, "brand"),
		featurestest.Define("remainder", "views", "sum(qty % (qty - 1))", "", time.Hour, time.Minute, "item"))
	w := b.writer("a", 0, math.MinInt64)
	nobrand := view("i", 3)
	nobrand[4] = mortise.NullValue()
	if err := w.Add(0, nobrand, base); err != nil {
		t.Fatal(err)
	}
	err := w.Add(0, view("i", 1), base) // modulo 0
	var fault *mortise.RecordError
	if !errors.As(err, &fault) || fault.Reason != mortise.ReasonExpression {
		t.Errorf("an expression that fails: %v", err)
	}
	if err := w.Add(0, view("i", 1), math.MaxInt64); !errors.As(err, &fault) || fault.Reason != mortise.ReasonBadTime {
		t.Errorf("a time out of range: %v", err)
	}
	commit(t, w, "x", base+minute)
	if err := w.Add(0, view("i", 4), base); err != nil {
		t.Fatal(err)
	}
	w.Expire(base + 2*hour)
	if err := w.Add(0, view("i", 4), base); err != nil {
		t.Fatal(err)
	}
	commit(t, w, "y", base+minute)
	want := features.WriterStats{Events: 4, Late: 2, Expired: 2, Keyless: 1, Commits: 2, Tiles: 2, Chunks: 2, PeakTile: 1}
	got := w.Stats()
	if want.Bytes = got.Bytes; got != want || got.Bytes == 0 {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestExpiry(t *testing.T) {
	b := newBench(t, featurestest.Define("short", "views", "count", "", 3*time.Hour, time.Minute, "item"),
		featurestest.Define("long", "views", "sum(qty)", "", 3*24*time.Hour, time.Minute, "item"))
	w := b.writer("a", 0, math.MinInt64)
	for at := int64(0); at < 20*day; at += hour {
		if err := w.Add(0, view("i", 1), base+at); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, w, "", base+20*day)
	asOf := base + 10*day + 90*minute
	before := b.read(b.reader(features.ReaderOptions{}), "i", asOf)
	w.Expire(asOf)
	commit(t, w, "", base+20*day)
	r := b.reader(features.ReaderOptions{})
	if got := b.read(r, "i", asOf); got != before || got != "int 3, int 72" {
		t.Errorf("as of the time that is kept: %s, before %s", got, before)
	}
	if got := b.read(r, "i", asOf-day); got != "int 3, int 48" && got != "int 3, int 49" {
		t.Errorf("a day earlier, where a day has expired: %s", got)
	}
	if got, want := r.CompleteFrom(), []int64{asOf - 3*day + 3*hour, asOf}; !slices.Equal(got, want) {
		t.Errorf("complete from %v, want %v", got, want)
	}
	// Dropping again, from an earlier time or by a writer that comes back, changes nothing.
	w = b.writer("a", 0, 0)
	w.Expire(asOf)
	w.Expire(asOf - day)
	commit(t, w, "", base+20*day)
	if got := b.read(b.reader(features.ReaderOptions{}), "i", asOf); got != before {
		t.Errorf("%s, before %s", got, before)
	}
}

// A definition that joins a running task begins with the events to come, and says
// so; the others are not touched.
func TestDefinitionsThatJoinLater(t *testing.T) {
	b := newBench(t, featurestest.Define("count3h", "views", "count", "", 3*time.Hour, time.Minute, "item"))
	w := b.writer("a", 0, base-day)
	add := func(at int64) {
		t.Helper()
		if err := w.Add(0, view("i", 1), base+at); err != nil {
			t.Fatal(err)
		}
	}
	for at := int64(0); at < 12*hour; at += 10 * minute {
		add(at)
	}
	commit(t, w, "half", base+12*hour)
	if got, want := b.reader(features.ReaderOptions{}).CompleteFrom(), []int64{base - day + 3*hour}; !slices.Equal(got, want) {
		t.Errorf("complete from %v, want %v", got, want)
	}
	// A longer window adds a level to a column that is there; sum is a new column.
	var err error
	if b.set, err = features.Compile([]features.Definition{
		featurestest.Define("sum1h", "views", "sum(qty)", "", time.Hour, time.Minute, "item"),
		featurestest.Define("count3h", "views", "count", "", 3*time.Hour, time.Minute, "item"),
		featurestest.Define("count4d", "views", "count", "", 4*24*time.Hour, time.Minute, "item"),
	}, featurestest.Sources); err != nil {
		t.Fatal(err)
	}
	w = b.writer("a", 0, 0)
	if string(w.Position().Meta) != "half" {
		t.Fatalf("goes on from %q", w.Position().Meta)
	}
	for at := 12 * hour; at < 10*day; at += 10 * minute {
		add(at)
	}
	commit(t, w, "all", base+10*day)
	r := b.reader(features.ReaderOptions{})
	seen := base + 12*hour - 10*minute + 1 // of the latest event before, and a millisecond
	ceil := func(ms int64) int64 { return (ms + minute - 1) / minute * minute }
	if got, want := r.CompleteFrom(), []int64{ceil(seen + hour), base - day + 3*hour, base - day + 4*day}; !slices.Equal(got, want) {
		t.Errorf("complete from %v, want %v", got, want)
	}
	for _, at := range []int64{hour, 12*hour + 10*minute, 13 * hour, 2*day + 5*minute, 4 * day, 9*day + hour} {
		n := func(window int64) int64 { return min(window, at) / (10 * minute) }
		sum := n(hour)
		if at < 13*hour {
			sum = max(0, (at-12*hour)/(10*minute))
		}
		if got, want := b.read(r, "i", base+at), fmt.Sprintf("int %d, int %d, int %d", sum, n(3*hour), n(4*day)); at%(10*minute) == 0 && got != want {
			t.Errorf("as of base+%d: %s, want %s", at, got, want)
		}
	}
}

func TestTwoWritersOfOneTask(t *testing.T) {
	b := newBench(t, featurestest.Define("n", "views", "count", "", time.Hour, time.Minute, "item"))
	zombie, w := b.writer("a", 0, 0), b.writer("a", 0, 0)
	for _, w := range []*features.Writer{zombie, w} {
		if err := w.Add(0, view("i", 1), base); err != nil {
			t.Fatal(err)
		}
	}
	commit(t, w, "1", base+hour)
	for range 2 {
		if err := zombie.Commit(context.Background(), []byte("1"), base+hour); !errors.Is(err, features.ErrFenced) {
			t.Fatalf("the other writer: %v", err)
		}
	}
	if got := b.read(b.reader(features.ReaderOptions{}), "i", base+minute); got != "int 1" {
		t.Error(got)
	}
	if _, err := features.OpenWriter(context.Background(), b.set, b.store, features.WriterOptions{Task: "a", Shard: 3, Slot: featurestest.Slot}); err == nil {
		t.Error("a task changes its shard, and leaves its tiles behind")
	}
}

func TestDiscard(t *testing.T) {
	b := newBench(t, featurestest.Define("n", "views", "count", "", time.Hour, time.Minute, "item"))
	for shard, task := range []string{"a", "b"} {
		w := b.writer(task, uint16(shard), 0)
		if err := w.Add(0, view("i", 1), base); err != nil {
			t.Fatal(err)
		}
		commit(t, w, "", base+hour)
	}
	for range 2 {
		if err := features.Discard(context.Background(), b.store, "b"); err != nil {
			t.Fatal(err)
		}
	}
	all, err := b.store.Positions(context.Background())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	w := b.writer("b", 1, 0)
	if w.Began() {
		t.Error("the task remembers what was discarded")
	}
	commit(t, w, "", base+hour)
	if got := b.read(b.reader(features.ReaderOptions{Tasks: [][]string{{"a", "b"}, nil}}), "i", base+minute); got != "int 1" {
		t.Error(got)
	}
}

func TestExplain(t *testing.T) {
	b := newBench(t, featurestest.Define("n", "views", "count", "", 7*24*time.Hour, time.Minute, "item"),
		featurestest.Define("latest", "views", "last_n(qty, 2)", "", time.Hour, time.Minute, "item"))
	w, other := b.writer("a", 0, math.MinInt64), b.writer("b", 1, math.MinInt64)
	for i, at := range []int64{-7 * day, -6*day - 23*hour, -2 * day, -2*day + hour, -hour, -minute, -1, 0, 30 * minute} {
		if err := w.Add(0, view("i", int64(i)), base+90*minute+at); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Add(0, view("i", 77), base+20*minute); err != nil {
		t.Fatal(err)
	}
	commit(t, w, "", base+2*hour)
	commit(t, other, "", base+90*minute)
	r := b.reader(features.ReaderOptions{Tasks: [][]string{{"a", "b"}, nil}})
	show := func(feature int, asOfMS int64) string {
		t.Helper()
		e, err := r.Explain(context.Background(), feature, []byte("i"), asOfMS)
		if err != nil {
			t.Fatal(err)
		}
		out := fmt.Sprintf("%s %s over [%+d, %+d) final %v\n", e.Feature, featurestest.Format(e.Value), (e.FromMS-base)/minute, (e.ToMS-base)/minute, e.Final)
		for _, tile := range e.Tiles {
			out += fmt.Sprintf("  level %d of %s [%+d, %+d) %s, %d bytes\n", tile.Level, tile.Task, (tile.FromMS-base)/minute, (tile.ToMS-base)/minute, featurestest.Format(tile.Value), tile.Bytes)
		}
		return out
	}
	want := `n int 8 over [-9990, +90) final true
  level 0 of a [-9990, -9989) int 1, 1 bytes
  level 1 of a [-9960, -9900) int 1, 1 bytes
  level 2 of a [-2880, -1440) int 2, 1 bytes
  level 1 of a [+0, +60) int 1, 1 bytes
  level 1 of b [+0, +60) int 1, 1 bytes
  level 0 of a [+89, +90) int 2, 1 bytes
`
	if got := show(0, base+90*minute+59_999); got != want {
		t.Errorf("%swant\n%s", got, want)
	}
	want = `latest [int 8 int 7] over [+61, +121) final false
  level 0 of a [+89, +90) [int 6 int 5], 10 bytes
  level 0 of a [+90, +91) [int 7], 5 bytes
  level 0 of a [+120, +121) [int 8], 5 bytes
`
	if got := show(1, base+121*minute); got != want {
		t.Errorf("%swant\n%s", got, want)
	}
}
