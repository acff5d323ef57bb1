package changes

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

var rounds = flag.Int("rounds", 400, "how many random histories are merged")

// table is a table with history, as a store keeps it.
type table map[string]map[int64]mortise.Row

func (h table) write(records []dimjoin.Record) {
	for _, r := range records {
		if h[string(r.Key)] == nil {
			h[string(r.Key)] = map[int64]mortise.Row{}
		}
		h[string(r.Key)][r.FromMS] = r.Row
	}
}

func (h table) lookup(key string, atMS int64) (l dimjoin.Lookup) {
	l.Key, l.AsOfMS, l.FromMS, l.ToMS = []byte(key), atMS, math.MinInt64, math.MaxInt64
	for from, row := range h[key] {
		if from <= atMS && from >= l.FromMS {
			l.FromMS, l.Row = from, row
		}
		if from > atMS {
			l.ToMS = min(l.ToMS, from)
		}
	}
	return l
}

// oracle is the row at a time, of changes in the order in which they arrived: put
// in order of time and taken one after another.
func oracle(fields mortise.Schema, arrived []Change, atMS int64) mortise.Row {
	cs := slices.Clone(arrived)
	slices.SortStableFunc(cs, func(a, b Change) int { return compare(a.AtMS, b.AtMS) })
	var now map[int]mortise.Value
	for _, c := range cs {
		switch {
		case c.AtMS > atMS:
		case c.Row == nil:
			now = nil
		default:
			if now == nil {
				now = map[int]mortise.Value{}
			}
			for i, v := range c.Row {
				if v.Kind != mortise.Invalid {
					now[i] = v
				}
			}
		}
	}
	if now == nil {
		return nil
	}
	row := make(mortise.Row, len(fields))
	for i, f := range fields {
		v, ok := now[i]
		switch {
		case ok:
			row[i] = v
		case !f.Type.Nullable:
			return nil
		default:
			row[i] = mortise.NullValue()
		}
	}
	return row
}

func randomChange(rnd *rand.Rand, spanMS int) Change {
	c := Change{Key: fmt.Append(nil, "k", rnd.IntN(3)), AtMS: int64(rnd.IntN(spanMS))}
	if rnd.IntN(6) == 0 {
		return c
	}
	c.Row = make(mortise.Row, 3)
	whole := rnd.IntN(3) == 0
	for i := range c.Row {
		if whole || rnd.IntN(2) == 0 {
			c.Row[i] = mortise.IntValue(int64(rnd.IntN(3)))
		}
	}
	if c.Row[2].Kind == mortise.Int && rnd.IntN(4) == 0 {
		c.Row[2] = mortise.NullValue()
	}
	return c
}

// TestHistoryEqualsOracle merges changes in random order, with commits, forgotten
// logs and crashes in between, and reads the table as of every time.
func TestHistoryEqualsOracle(t *testing.T) {
	fields := schema(t, "a int", "b int", "c int?")
	for seed := range uint64(*rounds) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		spanMS := 1 + rnd.IntN(30)
		h, notes := table{}, map[string][]byte{}
		m := NewMerger(fields, false)
		var arrived []Change
		same := 0
		for range rnd.IntN(60) {
			c := randomChange(rnd, spanMS)
			if !m.Has(c.Key) {
				found := h.lookup(string(c.Key), dimjoin.Latest)
				if err := m.Open(c.Key, nil, notes[string(c.Key)], &found); err != nil {
					t.Fatal(err)
				}
			}
			arrived = append(arrived, c)
			if m.Take(&c) == Same {
				same++
			}
			if rnd.IntN(3) == 0 {
				records, kept := m.Drain(math.MinInt64)
				h.write(records)
				for _, n := range kept {
					notes[string(n.Key)] = n.Value
				}
				if rnd.IntN(2) == 0 {
					m = NewMerger(fields, false) // as after a crash
				}
			}
		}
		records, _ := m.Drain(math.MinInt64)
		h.write(records)
		for _, key := range []string{"k0", "k1", "k2"} {
			own := slices.DeleteFunc(slices.Clone(arrived), func(c Change) bool { return string(c.Key) != key })
			for at := int64(-1); at <= int64(spanMS); at++ {
				got, want := h.lookup(key, at).Row, oracle(fields, own, at)
				if !EqualRows(got, want) {
					t.Fatalf("seed %d: %s at %d is %v, want %v, after %s", seed, key, at, got, want, show(fields, own))
				}
			}
		}
	}
}

// TestWhatIsRememberedIsBounded merges changes that come at most so late, while
// what is older is forgotten.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	fields := schema(t, "a int", "b int", "c int?")
	for seed := range uint64(*rounds) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		h, m := table{}, NewMerger(fields, false)
		var arrived []Change
		for i := range 40 {
			const lateMS = 5
			c := randomChange(rnd, 1)
			c.AtMS = int64(i - rnd.IntN(lateMS))
			if !m.Has(c.Key) {
				if err := m.Open(c.Key, nil, nil, &dimjoin.Lookup{}); err != nil {
					t.Fatal(err)
				}
			}
			arrived = append(arrived, c)
			if m.Take(&c) == Late {
				t.Fatalf("seed %d: %d at %d is late", seed, c.AtMS, i)
			}
			records, notes := m.Drain(int64(i - lateMS))
			h.write(records)
			for _, n := range notes {
				if l, err := ParseLog(fields, n.Value); err != nil || len(l.said) > 2*lateMS {
					t.Fatalf("seed %d: %d are remembered, %v", seed, len(l.said), err)
				}
			}
		}
		for _, key := range []string{"k0", "k1", "k2"} {
			own := slices.DeleteFunc(slices.Clone(arrived), func(c Change) bool { return string(c.Key) != key })
			for at := int64(-6); at <= 41; at++ {
				if got, want := h.lookup(key, at).Row, oracle(fields, own, at); !EqualRows(got, want) {
					t.Fatalf("seed %d: %s at %d is %v, want %v, after %s", seed, key, at, got, want, show(fields, own))
				}
			}
		}
	}
}

func ints(values ...int64) (row mortise.Row) {
	for _, v := range values {
		if v < 0 {
			row = append(row, mortise.Value{})
			continue
		}
		row = append(row, mortise.IntValue(v))
	}
	return row
}

func TestLateBeyondWhatIsRemembered(t *testing.T) {
	fields := schema(t, "a int", "b int")
	h, m := table{}, NewMerger(fields, false)
	if err := m.Open([]byte("k"), nil, nil, &dimjoin.Lookup{}); err != nil {
		t.Fatal(err)
	}
	take := func(at int64, row mortise.Row) Outcome {
		c := Change{Key: []byte("k"), AtMS: at, Row: row}
		out := m.Take(&c)
		if out == Late {
			found := h.lookup("k", at)
			out = m.TakeLate(&c, &found)
			if out == Applied {
				out = Late
			}
		}
		records, _ := m.Drain(at - 10)
		h.write(records)
		return out
	}
	take(100, ints(1, 1))
	take(200, ints(1, 1)) // changes nothing: no version begins there
	take(300, ints(2, 1))
	take(400, ints(3, 1)) // what is remembered begins at 300
	if got := take(150, ints(-1, 7)); got != Late {
		t.Errorf("a change far behind is %d", got)
	}
	if got := take(150, ints(-1, 7)); got != Same {
		t.Errorf("told again it is %d", got)
	}
	for at, want := range map[int64]mortise.Row{99: nil, 100: ints(1, 1), 149: ints(1, 1), 150: ints(1, 7), 299: ints(1, 7), 300: ints(2, 1), 400: ints(3, 1)} {
		if got := h.lookup("k", at).Row; !EqualRows(got, want) {
			t.Errorf("at %d: %v, want %v", at, got, want)
		}
	}
	// Where no version begins at what is remembered, one is made to.
	h, m = table{}, NewMerger(fields, false)
	if err := m.Open([]byte("k"), nil, nil, &dimjoin.Lookup{}); err != nil {
		t.Fatal(err)
	}
	take(100, ints(1, 1))
	take(200, ints(1, 1))
	take(400, ints(1, 1))
	take(150, ints(5, 5))
	for at, want := range map[int64]mortise.Row{150: ints(5, 5), 199: ints(5, 5), 200: ints(1, 1), 500: ints(1, 1)} {
		if got := h.lookup("k", at).Row; !EqualRows(got, want) {
			t.Errorf("at %d: %v, want %v", at, got, want)
		}
	}
}

func TestTombstoneCountsWhereTheDeletionIsGone(t *testing.T) {
	l := NewLog(schema(t, "a int"), ints(1), 10)
	if got, out := l.Apply(nil, &Change{AtMS: 5, Tombstone: true}); out != Applied || len(got) != 1 || got[0].Row != nil || got[0].FromMS != 10 {
		t.Errorf("%v, %v", got, out)
	}
	if got, out := l.Apply(nil, &Change{AtMS: 50, Tombstone: true}); out != Same || len(got) != 0 {
		t.Errorf("a second one: %v, %v", got, out)
	}
	if got, out := l.Apply(nil, &Change{AtMS: 40, Row: ints(2)}); out != Applied || len(got) != 1 {
		t.Errorf("the row that comes back: %v, %v", got, out)
	}
}

func TestTableOfLatestRows(t *testing.T) {
	fields := schema(t, "a int", "b int?")
	m := NewMerger(fields, true)
	if err := m.Open([]byte("k"), nil, nil, &dimjoin.Lookup{Row: ints(1, 1)}); err != nil {
		t.Fatal(err)
	}
	take := func(at int64, row mortise.Row) []dimjoin.Record {
		m.Take(&Change{Key: []byte("k"), AtMS: at, Row: row})
		records, _ := m.Drain(math.MinInt64)
		return records
	}
	if got := take(10, ints(-1, 1)); len(got) != 0 {
		t.Errorf("nothing changed, and %v was written", got)
	}
	if got := take(20, ints(2, -1)); len(got) != 1 || !EqualRows(got[0].Row, ints(2, 1)) {
		t.Errorf("%v", got)
	}
	if got := take(15, ints(9, -1)); len(got) != 0 {
		t.Errorf("a row that is no more was written: %v", got)
	}
	if got := take(15, ints(-1, 5)); len(got) != 1 || !EqualRows(got[0].Row, ints(2, 5)) {
		t.Errorf("what came late and still holds: %v", got)
	}
	if got := take(30, nil); len(got) != 1 || got[0].Row != nil {
		t.Errorf("%v", got)
	}
}

func TestNotesOfOtherFieldsDoNotVerify(t *testing.T) {
	l := NewLog(schema(t, "a int"), ints(1), 10)
	if _, err := ParseLog(schema(t, "a string"), l.Append(nil)); err == nil {
		t.Error("an int was read as a text")
	}
	if _, err := ParseLog(schema(t, "a int", "b int"), l.Append(nil)); err == nil {
		t.Error("a row of one field was read as two")
	}
}

func FuzzNote(f *testing.F) {
	fields := schema(f, "a int", "s string?", "l [string]?", "f float?", "t timestamp?", "b bool?")
	l := NewLog(fields, mortise.Row{mortise.IntValue(1), mortise.StringValue("x"), mortise.ListValue([]mortise.Value{mortise.StringValue("y")}),
		mortise.FloatValue(0.5), mortise.TimestampValue(9), mortise.BoolValue(true)}, 10)
	f.Add(l.Append(nil))
	l.Apply(nil, &Change{AtMS: 20, Row: make(mortise.Row, 6)})
	l.Apply(nil, &Change{AtMS: 30})
	f.Add(l.Append(nil))
	f.Fuzz(func(t *testing.T, note []byte) {
		l, err := ParseLog(fields, note)
		if err != nil {
			return
		}
		again, err := ParseLog(fields, l.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		want, _ := l.Latest()
		if got, _ := again.Latest(); !EqualRows(got, want) {
			t.Fatalf("%v, then %v", want, got)
		}
	})
}

func BenchmarkMerge(b *testing.B) {
	fields := schema(b, "a int", "b int", "c int?")
	m := NewMerger(fields, false)
	rnd := rand.New(rand.NewPCG(1, 2))
	const keys = 1000
	for k := range keys {
		if err := m.Open(fmt.Append(nil, "k", k), nil, nil, &dimjoin.Lookup{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	at := int64(0)
	for b.Loop() {
		at++
		m.Take(&Change{Key: fmt.Append(nil, "k", rnd.IntN(keys)), AtMS: at, Row: ints(at, 1, 2)})
		if at%5000 == 0 {
			m.Drain(at - 10_000)
		}
	}
}
