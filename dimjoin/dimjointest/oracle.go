package dimjointest

import (
	"context"
	"maps"
	"slices"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// oracle is a table as a map: of each key its rows by the time from which they
// hold, nil for none.
type oracle struct {
	history bool
	rows    map[string]map[int64]mortise.Row
}

func newOracle(def *dimjoin.Definition, records []dimjoin.Record) *oracle {
	o := &oracle{def.History.Kept(), map[string]map[int64]mortise.Row{}}
	o.write(records)
	return o
}

func (o *oracle) write(records []dimjoin.Record) {
	for _, r := range records {
		from := r.FromMS
		if !o.history {
			from = dimjoin.Always
		}
		if o.rows[string(r.Key)] == nil {
			o.rows[string(r.Key)] = map[int64]mortise.Row{}
		}
		o.rows[string(r.Key)][from] = r.Row
	}
}

// at is the row of a key at a time, and the bounds within which it is the same.
func (o *oracle) at(key []byte, asOfMS int64) (row mortise.Row, fromMS, toMS int64) {
	fromMS, toMS = dimjoin.Always, dimjoin.Latest
	for _, from := range slices.Sorted(maps.Keys(o.rows[string(key)])) {
		if from > asOfMS && (row != nil || o.rows[string(key)][from] != nil) {
			return row, fromMS, from
		}
		if next := o.rows[string(key)][from]; next != nil || row != nil {
			row, fromMS = next, from
		}
	}
	return row, fromMS, toMS
}

// check reads lookups and holds the answers against the oracle.
func (o *oracle) check(t testing.TB, table dimjoin.Table, lookups []dimjoin.Lookup) {
	t.Helper()
	if err := table.Read(context.Background(), lookups); err != nil {
		t.Errorf("reading %d keys: %v", len(lookups), err)
		return
	}
	bad := 0
	for i := range lookups {
		if !o.checkAnswer(t, &lookups[i]) {
			if bad++; bad > 5 {
				t.Fatal("and so on")
			}
		}
	}
}

func (o *oracle) checkAnswer(t testing.TB, l *dimjoin.Lookup) bool {
	t.Helper()
	want, fromMS, toMS := o.at(l.Key, l.AsOfMS)
	switch {
	case l.Err != nil:
		t.Errorf("key %q at %d: %v", l.Key, l.AsOfMS, l.Err)
	case !equalRows(l.Row, want):
		t.Errorf("key %q at %d: %s\nwant %s", l.Key, l.AsOfMS, show(l.Row), show(want))
	case !o.history && (l.FromMS != 0 || l.ToMS != 0):
		t.Errorf("key %q: [%d, %d) without history", l.Key, l.FromMS, l.ToMS)
	case o.history && (l.FromMS < fromMS || l.ToMS > toMS || l.FromMS > l.AsOfMS || l.ToMS <= l.AsOfMS && l.AsOfMS != dimjoin.Latest):
		t.Errorf("key %q at %d: the same in [%d, %d), it says; it is in [%d, %d)", l.Key, l.AsOfMS, l.FromMS, l.ToMS, fromMS, toMS)
	default:
		return true
	}
	return false
}

func equalRows(a, b mortise.Row) bool {
	return (a == nil) == (b == nil) && slices.EqualFunc(a, b, equal)
}

func equal(a, b mortise.Value) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case mortise.String:
		return string(a.Text()) == string(b.Text())
	case mortise.List:
		return slices.EqualFunc(a.List(), b.List(), equal)
	case mortise.Float:
		return a.Float() == b.Float()
	}
	return a.Int() == b.Int()
}
