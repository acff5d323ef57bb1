package experiments

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/memory"
)

const waitingText = `
experiment: waiting
sources:
  imps: {topic: i, event_time: {field: ts}, out_of_orderness: 0s, fields: {id: string, ts: int, item_id: string, shop_id: string}}
  clicks: {topic: c, event_time: {field: ts}, out_of_orderness: 0s, fields: {id: string, ts: int}}
join: {main: imps, key: id, labels: {click: {source: clicks, within: 10s}}}
dimensions:
  item: {key: item_id, store: {file: {path: none.csv}}, as_of: emission, missing: wait, wait: {for: 1m, every: 10s, rows: ROWS, size: SIZE}, fields: {name: string}}
  shop: {key: shop_id, store: {file: {path: none.csv}}, as_of: emission, missing: wait, wait: {for: 30s, rows: 1, size: 1}, fields: {town: string, size: int}}
instance: {select: [item_id, item.name, shop.town]}
output: {topic: {name: o}}
`

// waitingEpoch is the wall clock that tests count from, an hour after the first event.
const waitingEpoch = 1_700_003_600_000

// comingRows are dimensions of which the rows in there exist.
type comingRows struct {
	there map[string]bool
	keys  int // read
}

func (c *comingRows) Read(_ context.Context, lookups [][]dimjoin.Answer) error {
	for dim := range lookups {
		for i := range lookups[dim] {
			a := &lookups[dim][i]
			c.keys++
			width := 1 + dim // item has one field, shop two
			if a.Row = make(mortise.Row, width); !c.there[string(a.Key)] {
				for f := range a.Row {
					a.Row[f] = mortise.NullValue()
				}
				a.Served, a.Absent = dimjoin.ServedMissing, true
				continue
			}
			a.Row[0], a.Served = mortise.StringValue("of "+string(a.Key)), dimjoin.ServedStore
			if width == 2 {
				a.Row[1] = mortise.IntValue(7)
			}
		}
	}
	return nil
}

// waitingTask is one task whose rows wait, at a time that the test says.
type waitingTask struct {
	t     testing.TB
	r     *runner
	rows  *comingRows
	next  int64
	nowMS int64
	limit share
}

func newWaitingTask(t testing.TB, limits ...string) *waitingTask {
	text := waitingText
	for len(limits) >= 2 && strings.HasPrefix(limits[0], "missing") { // other policies
		text = strings.Replace(text, limits[0], limits[1], 1)
		limits = limits[2:]
	}
	limits = append(limits, "ROWS", "1000", "SIZE", "100MB")
	e, found := spec.Parse("waiting.yaml", []byte(strings.NewReplacer(limits...).Replace(text)), spec.LoadOptions{})
	if e == nil {
		t.Fatal(found.String())
	}
	plan, err := NewPlan([]*spec.Experiment{e})
	if err != nil {
		t.Fatal(err)
	}
	p := plan.Pipelines[0]
	cleaners, err := p.cleaners()
	if err != nil {
		t.Fatal(err)
	}
	store, err := memory.New().Open(p.Join.StoreOptions())
	if err != nil {
		t.Fatal(err)
	}
	w := &waitingTask{t: t, nowMS: waitingEpoch, rows: &comingRows{there: map[string]bool{}}}
	if w.r, err = newRunner(p, 0, 1, cleaners, store, 0, nil); err != nil {
		t.Fatal(err)
	}
	w.r.spawn, w.r.defers, w.r.dims = func(f func()) { f() }, true, w.rows
	w.r.life, w.r.endLife = context.WithCancel(context.Background())
	all := p.patience()
	w.limit = share{rows: 1 << 20, parked: all.Rows - 1, parkedBytes: all.Bytes - 1}
	if all.Every > 0 {
		w.r.parked = newParking(all.Every, 0)
		w.r.prog.hold = w.r.putAside
	}
	if amends := p.amends(); amends.Every > 0 {
		w.r.amends = newParking(amends.Every, 0)
		w.r.prog.written = w.r.remember
		w.limit.amends, w.limit.amendsBytes = amends.Rows, amends.Bytes
	}
	return w
}

// impression closes an impression of an item and a shop.
func (w *waitingTask) impression(item, shop string) {
	w.t.Helper()
	ts := waitingEpoch - 3_600_000 + w.next*1000
	for in, line := range []string{fmt.Sprintf(`{"id":"m%d","ts":%d,"item_id":%q,"shop_id":%q}`, w.next, ts, item, shop), fmt.Sprintf(`{"id":"m%d","ts":%d}`, w.next, ts)} {
		topic := []string{"i", "c"}[in]
		if err := w.r.take(in, []mortise.Record{{Topic: topic, Offset: w.next, Value: []byte(line)}}, w.next+1, w.nowMS); err != nil {
			w.t.Fatal(err)
		}
	}
	w.next++
}

// at lets time pass, and returns the rows that are written by then.
func (w *waitingTask) at(nowMS int64) (rows []string) {
	w.t.Helper()
	w.nowMS = waitingEpoch + nowMS
	for range 4 { // until nothing moves
		if err := w.r.advance(w.nowMS, w.limit); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, row := range w.r.out.rows {
		rows = append(rows, string(w.r.out.buf[row.row:row.to]))
	}
	w.r.out.reset()
	l := w.r.task.Ledger(0)
	if err := l.Check(); err != nil || int(l.Impressions.Parked) != w.r.parked.len() || int(l.Remembered) != w.r.amends.len() {
		w.t.Fatalf("at %d: %+v, %d rows wait, %d may be corrected: %v", nowMS, l, w.r.parked.len(), w.r.amends.len(), err)
	}
	return rows
}

// ids are the instances of rows, with what is degraded in them.
func ids(rows []string) (all []string) {
	for _, row := range rows {
		_, rest, _ := strings.Cut(row, `"instance_id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		_, degraded, _ := strings.Cut(row, `"degraded":`)
		all = append(all, id+strings.TrimSuffix(degraded, "}"))
	}
	slices.Sort(all)
	return all
}

func (w *waitingTask) expect(nowMS int64, want ...string) {
	w.t.Helper()
	if got := ids(w.at(nowMS)); !slices.Equal(got, want) {
		w.t.Errorf("at %d: %q, want %q", nowMS, got, want)
	}
}

// TestWaitingTakesItsTime: rows that wait hold up no others, are looked after when it
// is time, and are written with what they waited for, or when their time is over.
func TestWaitingTakesItsTime(t *testing.T) {
	w := newWaitingTask(t)
	w.rows.there["a"], w.rows.there["north"] = true, true
	for _, of := range [][2]string{{"a", "north"}, {"b", "north"}, {"c", "south"}, {"a", "south"}, {"a", "north"}} {
		w.impression(of[0], of[1])
	}
	for range 12 { // so that all of these are closed
		w.impression("a", "north")
	}
	w.expect(1000, "m0[]", "m4[]", "m5[]", "m6[]")
	w.rows.there["b"] = true
	read := w.rows.keys
	w.expect(10_999)
	if w.rows.keys != read {
		t.Errorf("%d keys are read before it is time", w.rows.keys-read)
	}
	w.expect(11_000, "m1[]")
	w.rows.there["c"] = true // m2 still lacks its shop
	w.expect(21_000)
	w.expect(30_999)
	w.expect(31_000, `m3["shop:missing"]`) // that shop was waited for half a minute
	w.rows.there["south"] = true
	w.expect(41_000, "m2[]")
	if s := w.r.parked.stats; s.Found != 2 || s.InVain != 1 || s.Refused != 0 || s.Waited.Count() != 2 || len(w.r.parked.rows) != 0 || w.r.parked.bytes != 0 {
		t.Errorf("%+v", s)
	}
	read = w.rows.keys
	if w.expect(1_000_000); w.rows.keys != read {
		t.Errorf("%d keys are read, and nothing waits", w.rows.keys-read)
	}
}

// TestWaitingEndsOnTime: a row whose time is over does not wait for the next time
// that all are read.
func TestWaitingEndsOnTime(t *testing.T) {
	w := newWaitingTask(t)
	for range 11 {
		w.impression("a", "north")
	}
	w.expect(7000)
	w.impression("a", "north")
	w.expect(15_500)
	w.expect(66_999)
	w.expect(67_000, `m0["item:missing","shop:missing"]`)
	w.expect(75_499)
	w.expect(75_500, `m1["item:missing","shop:missing"]`)
}

// TestTooManyWait: beyond a bound the oldest are written as they are.
func TestTooManyWait(t *testing.T) {
	w := newWaitingTask(t, "ROWS", "3")
	for i := range 16 {
		w.impression(fmt.Sprint("item-", i), "north")
	}
	w.rows.there["north"] = true
	w.expect(1000, `m0["item:missing"]`, `m1["item:missing"]`, `m2["item:missing"]`)
	if s := w.r.parked.stats; s.Refused != 3 {
		t.Errorf("%+v", s)
	}
	w.rows.there["item-4"] = true
	w.expect(11_000, "m4[]")

	w = newWaitingTask(t, "SIZE", "1KB")
	for i := range 16 {
		w.impression(fmt.Sprint("item-", i), "north")
	}
	if w.at(1000); w.r.parked.bytes > 1000 || w.r.parked.stats.Refused == 0 {
		t.Errorf("%d bytes wait", w.r.parked.bytes)
	}
}

// TestRowsAreCorrected: a row without its dimensions is written, and again as a later
// revision whenever one has come, until its time is over.
func TestRowsAreCorrected(t *testing.T) {
	w := newWaitingTask(t, "missing: wait, wait: {for: 1m, every: 10s, rows: ROWS, size: SIZE}", "missing: default, correct: {for: 1m, every: 10s}",
		"missing: wait, wait: {for: 30s, rows: 1, size: 1}", "correct: {for: 1m, every: 20s}")
	w.rows.there["north"] = true
	for _, of := range [][2]string{{"a", "north"}, {"b", "south"}, {"c", "north"}} {
		w.impression(of[0], of[1])
	}
	for range 10 {
		w.impression("a", "north")
	}
	w.expect(1000, `m0["item:missing"]`, `m1["item:missing","shop:missing"]`, `m2["item:missing"]`)
	w.expect(10_999)
	w.rows.there["a"], w.rows.there["south"] = true, true
	rows := w.at(11_000)
	if got := ids(rows); !slices.Equal(got, []string{"m0[]", `m1["item:missing"]`}) || !strings.Contains(rows[0], `"revision":1`) || !strings.Contains(rows[0], `"final":true`) {
		t.Errorf("%q", rows)
	}
	w.rows.there["b"] = true
	rows = w.at(21_000)
	if got := ids(rows); !slices.Equal(got, []string{"m1[]"}) || !strings.Contains(rows[0], `"revision":2`) || !strings.Contains(rows[0], `"item_name":"of b"`) {
		t.Errorf("%q", rows)
	}
	w.expect(60_999)
	if l := w.r.task.Ledger(0); l.Corrected != 3 || l.Remembered != 1 || l.Instances != 3 || l.Impressions.Emitted != 3 {
		t.Errorf("%+v", l)
	}
	w.expect(61_000)
	w.rows.there["c"] = true
	w.expect(1_000_000)
	if l := w.r.task.Ledger(0); l.Corrected != 3 || l.Remembered != 0 || len(w.r.amends.rows) != 0 {
		t.Errorf("%+v", l)
	}
}

// TestWaitingEndsWithTheInput: at the end, what is waited for is read once more.
func TestWaitingEndsWithTheInput(t *testing.T) {
	w := newWaitingTask(t)
	for i := range 14 {
		w.impression([]string{"a", "b"}[i%2], "north")
	}
	w.rows.there["north"] = true
	w.expect(1000)
	w.rows.there["b"] = true
	w.r.setEnds([]int64{14, 14})
	got := ids(w.at(1001))
	if len(got) != 14 || !w.r.finished {
		t.Fatalf("%d rows, finished %v: %q", len(got), w.r.finished, got)
	}
	for i, id := range got {
		var n int
		if _, err := fmt.Sscanf(id, "m%d", &n); err != nil || strings.Contains(id, "missing") != (n%2 == 0) {
			t.Errorf("row %d: %s", i, id)
		}
	}
}

// TestParkedRowsComeBack: what the topic has makes the same rows again.
func TestParkedRowsComeBack(t *testing.T) {
	w := newWaitingTask(t)
	for i := range 13 {
		w.impression(fmt.Sprint("item-", i), "north")
	}
	w.rows.there["north"] = true
	w.nowMS = waitingEpoch + 1000
	for range 4 {
		if err := w.r.advance(w.nowMS, w.limit); err != nil {
			t.Fatal(err)
		}
	}
	kept := map[string][]byte{}
	for _, o := range w.r.out.waits {
		kept[string(w.r.out.buf[o.key:o.row])] = slices.Clone(w.r.out.buf[o.row:o.to])
	}
	if len(kept) != 3 {
		t.Fatalf("%d rows wait", len(kept))
	}
	for _, key := range sortedKeys(kept) {
		name, offset, ok := readParkedKey([]byte(key))
		p, err := w.r.parkedOf(0, kept[key])
		if !ok || name != "waiting" || err != nil || p.entry.Offset != offset || p.sinceMS != w.nowMS || p.untilMS != w.nowMS+60_000 {
			t.Fatalf("%s: %v, %v", key, p, err)
		}
		was := w.r.parked.rows[parkedKey{0, offset}]
		w.r.parked.remove(was)
		w.r.parked.add(p)
	}
	for i := range 3 {
		w.rows.there[fmt.Sprint("item-", i)] = true
	}
	for _, row := range w.at(61_000) {
		if !strings.Contains(row, `"label_click":1`) || !strings.Contains(row, `"item_name":"of item-`) || !strings.Contains(row, `"shop_town":"of north"`) {
			t.Error(row)
		}
	}
	if len(w.r.parked.rows) != 0 {
		t.Errorf("%d rows still wait", len(w.r.parked.rows))
	}
}

// randomParked draws a row.
func randomParked(r *rand.Rand) *parkedRow {
	text := func() []byte { return []byte(strings.Repeat("é|", r.IntN(9))) }
	value := func() mortise.Value {
		switch r.IntN(6) {
		case 0:
			return mortise.NullValue()
		case 1:
			return mortise.TextValue(text())
		case 2:
			return mortise.FloatValue(r.NormFloat64())
		case 3:
			return mortise.BoolValue(r.IntN(2) == 0)
		case 4:
			return mortise.ListValue([]mortise.Value{mortise.IntValue(r.Int64()), mortise.NullValue()})
		}
		return mortise.TimestampValue(r.Int64() - math.MaxInt64/2)
	}
	p := &parkedRow{revision: r.Int32N(3) - 1, sinceMS: r.Int64N(1 << 42), untilMS: r.Int64N(1 << 42), positive: r.IntN(2) == 0, late: r.IntN(2) == 0, weight: r.Float64(), id: text(),
		entry: joiner.Entry{TimeMS: r.Int64N(1<<42) - 1000, Partition: r.Int32N(100), Offset: r.Int64N(1 << 50), Value: text()}}
	for range r.IntN(4) {
		p.labels = append(p.labels, parkedLabel{text(), instances.LabelValue{Value: r.Float64(), FirstMS: r.Int64(), Count: r.Int64N(9)}})
	}
	for range r.IntN(4) {
		p.features = append(p.features, parkedFeature{text(), value()})
	}
	for range r.IntN(4) {
		d := parkedAnswer{id: text(), awaited: r.IntN(2) == 0, answer: dimjoin.Answer{AsOfMS: r.Int64(), Row: mortise.Row{value(), value()},
			Served: dimjoin.Served(r.IntN(5)), Absent: r.IntN(2) == 0}}
		if r.IntN(2) == 0 {
			d.answer.Key, d.answer.Values = text(), mortise.Row{value()}
		}
		p.dims = append(p.dims, d)
	}
	return p
}

// TestParkedRowCodec: what is written is read, and nothing less than all of it.
func TestParkedRowCodec(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 500 {
		p := randomParked(r)
		value := p.append(nil)
		got, err := readParkedRow(value)
		if err != nil {
			t.Fatalf("%v: %+v", err, p)
		}
		if again := got.append(nil); !slices.Equal(again, value) {
			t.Fatalf("%+v is read as %+v", p, got)
		}
		got.bytes = 0
		if got.String() != p.String() || got.weight != p.weight || got.revision != p.revision || got.positive != p.positive || !reflect.DeepEqual(got.labels, p.labels) {
			t.Fatalf("%+v is read as %+v", p, got)
		}
		for n := range value {
			if _, err := readParkedRow(value[:n:n]); err == nil {
				t.Fatalf("%d of %d bytes are taken for a row", n, len(value))
			}
		}
	}
}

func FuzzParkedRow(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		f.Add(randomParked(r).append(nil))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		p, err := readParkedRow(value)
		if err != nil {
			return
		}
		again, err := readParkedRow(p.append(nil))
		if err != nil || !slices.Equal(again.append(nil), p.append(nil)) {
			t.Fatalf("%+v is read as %+v: %v", p, again, err)
		}
	})
}

// BenchmarkParked is a row that is put aside, and written when its dimension is there.
func BenchmarkParked(b *testing.B) {
	w := newWaitingTask(b)
	w.limit.parked, w.limit.parkedBytes = 1<<30, 1<<50
	w.rows.there["north"] = true
	b.ReportAllocs()
	at := int64(1000)
	for range b.N {
		w.impression("item", "north")
		if w.next%1000 == 0 {
			w.rows.there["item"] = false
			w.at(at)
			w.rows.there["item"] = true
			at += 11_000
			w.at(at)
		}
	}
}
