package dimjoin_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/cache"
)

// rawStore holds rows as nobody has declared them.
type rawStore struct {
	sparse bool // a row is there if a column is that is asked for
	rows   map[string]map[string]mortise.Value
	down   bool
	asked  map[string]int // lookups, by how many fields were asked for
}

type rawTable struct {
	s   *rawStore
	def *dimjoin.Definition
}

func (t *rawTable) Read(_ context.Context, lookups []dimjoin.Lookup) error {
	if t.s.down {
		return errors.New("down")
	}
	t.s.asked[fmt.Sprint(len(t.def.Fields))] += len(lookups)
	for i := range lookups {
		l := &lookups[i]
		raw, ok := t.s.rows[string(l.Key)]
		row, some := mortise.Row{}, false
		for _, f := range t.def.Fields {
			v, ok := raw[f.Name]
			if some = some || ok; !ok {
				v = mortise.NullValue()
			}
			row = append(row, v)
		}
		if !ok || t.s.sparse && !some {
			continue
		}
		if l.Err = dimjoin.FitRow(t.def.Fields, row); l.Err == nil {
			l.Row = row
		}
	}
	return nil
}

func (t *rawTable) Close() error { return nil }

// draw draws a store and definitions of some of its columns.
func draw(rng *rand.Rand) (*rawStore, []*dimjoin.Definition) {
	s := &rawStore{sparse: rng.IntN(2) == 0, rows: map[string]map[string]mortise.Value{}, asked: map[string]int{}}
	kind := map[bool]string{true: "hbase", false: "redis"}[s.sparse]
	for k := range 30 {
		row := map[string]mortise.Value{}
		for c := range 5 {
			switch rng.IntN(8) {
			case 0: // no such column
			case 1:
				row[fmt.Sprint("c", c)] = mortise.StringValue("no number")
			default:
				row[fmt.Sprint("c", c)] = mortise.IntValue(rng.Int64N(100))
			}
		}
		if rng.IntN(6) > 0 {
			s.rows[fmt.Sprint("k", k)] = row
		}
	}
	missing := []string{dimjoin.MissingNull, dimjoin.MissingDefault, dimjoin.MissingDeadLetter}[rng.IntN(3)]
	var defs []*dimjoin.Definition
	for d := range 2 + rng.IntN(3) {
		def := &dimjoin.Definition{Name: fmt.Sprint("d", d), Key: []string{"id"}, Missing: missing, Store: dimjoin.Store{Kind: kind}}
		for _, c := range rng.Perm(5)[:1+rng.IntN(3)] {
			def.Fields = append(def.Fields, mortise.Field{Name: fmt.Sprint("c", c), Type: mortise.Type{Kind: mortise.Int, Nullable: rng.IntN(2) == 0}})
		}
		defs = append(defs, def)
	}
	return s, defs
}

func answersOf(n int) (answers []dimjoin.Answer) {
	for k := range n {
		answers = append(answers, dimjoin.Answer{Key: fmt.Append(nil, "k", k), AsOfMS: dimjoin.Latest})
	}
	return append(answers, dimjoin.Answer{AsOfMS: dimjoin.Latest}) // a part of whose key is null
}

func showAnswer(a *dimjoin.Answer) string {
	text := fmt.Sprint(a.Served, " ", a.Absent, " ", a.Reject != nil)
	for _, v := range a.Row {
		text += fmt.Sprint(" ", v.Kind)
		if v.Kind == mortise.Int {
			text += fmt.Sprint(" ", v.Int())
		}
	}
	return text
}

func newUnionReader(t *testing.T, def *dimjoin.Definition, table dimjoin.Table) *dimjoin.Reader {
	t.Helper()
	c, err := cache.New(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	r := dimjoin.NewReader(def, table, dimjoin.Options{Cache: c})
	t.Cleanup(r.Close)
	return r
}

// TestUnion: what a definition has out of a union is what it has alone, whatever
// others declare: out of the store, out of the cache, and while the store is down.
func TestUnion(t *testing.T) {
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 17))
		s, defs := draw(rng)
		u, ok := dimjoin.NewUnion(defs)
		if !ok {
			t.Fatal("no union")
		}
		open := func(_ context.Context, def *dimjoin.Definition) (dimjoin.Table, error) { return &rawTable{s, def}, nil }
		table := u.Table(&rawTable{s, u.Whole}, open)
		all := newUnionReader(t, u.Whole, table)
		readers := map[*dimjoin.Definition]*dimjoin.Reader{}
		for _, def := range defs {
			readers[def] = newUnionReader(t, def, &rawTable{s, def})
		}
		var sum dimjoin.Stats
		for round := range 3 {
			s.down = round == 2
			keys := 20 + 10*round // of the last ten nothing is cached when it is down
			for i, def := range defs {
				want, got := answersOf(keys), answersOf(keys)
				readers[def].Read(context.Background(), want)
				all.Read(context.Background(), got)
				u.Parts[i].Answer(all, got)
				for k := range want {
					w, g := showAnswer(&want[k]), showAnswer(&got[k])
					if want[k].Served <= dimjoin.ServedStore && got[k].Served <= dimjoin.ServedStore {
						want[k].Served, got[k].Served = 0, 0
						w, g = showAnswer(&want[k]), showAnswer(&got[k])
					}
					if w != g {
						t.Fatalf("seed %d, round %d, %s of %+v: %s, alone %s", seed, round, want[k].Key, def.Fields, g, w)
					}
				}
			}
		}
		for _, def := range defs {
			st := readers[def].Stats()
			sum.Absent += st.Absent
			sum.BadRows += st.BadRows
			sum.Unavailable += st.Unavailable
			sum.Rejected += st.Rejected
		}
		of := all.Stats()
		if of.Absent != sum.Absent || of.BadRows != sum.BadRows || of.Unavailable != sum.Unavailable || of.Rejected != sum.Rejected {
			t.Errorf("seed %d: counted %+v, alone %+v", seed, of, sum)
		}
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestUnionOfOtherTypes: a field of two types is no union.
func TestUnionOfOtherTypes(t *testing.T) {
	a := &dimjoin.Definition{Fields: mortise.Schema{{Name: "x", Type: mortise.Type{Kind: mortise.Int}}}}
	b := &dimjoin.Definition{Fields: mortise.Schema{{Name: "x", Type: mortise.Type{Kind: mortise.Float}}}}
	if _, ok := dimjoin.NewUnion([]*dimjoin.Definition{a, b}); ok {
		t.Error("an int and a float are one field")
	}
}

// TestUnionAsksOnce: where rows are as all declare them, nothing is asked twice.
func TestUnionAsksOnce(t *testing.T) {
	s, defs := draw(rand.New(rand.NewPCG(1, 1)))
	for k := range 30 {
		row := map[string]mortise.Value{}
		for c := range 5 {
			row[fmt.Sprint("c", c)] = mortise.IntValue(int64(k))
		}
		s.rows[fmt.Sprint("k", k)] = row
	}
	u, _ := dimjoin.NewUnion(defs)
	all := newUnionReader(t, u.Whole, u.Table(&rawTable{s, u.Whole}, nil))
	for i := range defs {
		got := answersOf(30)
		all.Read(context.Background(), got)
		u.Parts[i].Answer(all, got)
	}
	if asked := all.Stats().Keys; asked != 30 || len(s.asked) != 1 {
		t.Errorf("asked %d keys, %v", asked, s.asked)
	}
	l := []dimjoin.Lookup{{Key: []byte("k7"), AsOfMS: dimjoin.Latest}}
	if err := u.Table(&rawTable{s, u.Whole}, nil).Read(context.Background(), l); err != nil {
		t.Fatal(err)
	}
	if u.Parts[0].Lookup(&l[0]); len(l[0].Row) != len(defs[0].Fields) || l[0].Row[0].Int() != 7 {
		t.Errorf("%+v", l[0])
	}
}
