package features

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/internal/expression"
)

func define(name, agg, where string, window, tile time.Duration, entity ...string) Definition {
	a, err := ParseAggregate(agg, row)
	if err != nil {
		panic(err)
	}
	if len(entity) == 0 {
		entity = []string{"item_id"}
	}
	d := Definition{Name: name, Type: a.Type, Source: "s", Entity: entity, Aggregate: a, Window: window, Tile: tile}
	if where != "" {
		if d.Where, err = expression.Compile(where, row); err != nil {
			panic(err)
		}
	}
	return d
}

func compile(t testing.TB, defs ...Definition) *Set {
	t.Helper()
	set, err := Compile(defs, []Source{{"s", "the topic s"}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestFeaturesShareWhatTheyCan(t *testing.T) {
	day := 24 * time.Hour
	set := compile(t,
		define("count1h", "count", "", time.Hour, time.Minute),
		define("count1d", "count", "", day, time.Minute),
		define("count30d", " count( )", "", 30*day, time.Minute),
		define("cheap", "count", "price < 5.0", time.Hour, time.Minute),
		define("sum", "sum(price)", "", day, time.Minute),
		define("avg", "avg( price )", "", time.Hour, time.Minute),
		define("last", "last(price)", "", time.Hour, time.Minute),
		define("last_1", "last_n(price, 1)", "", time.Hour, time.Minute),
		define("top2", "topk(item_id, 2)", "", time.Hour, time.Minute),
		define("top9", "topk(item_id, 9)", "", time.Hour, time.Minute),
		define("coarse", "count", "", day, time.Hour),
		define("by_qty", "count", "", day, time.Minute, "qty"),
	)
	got := ""
	for i := range set.Groups {
		g := &set.Groups[i]
		got += fmt.Sprintf("%s every %dms, %d levels:", strings.Join(g.Entity, "|"), g.TileMS, len(g.Levels))
		for _, c := range g.columns {
			var names []string
			for _, f := range c.users {
				names = append(names, set.Features[f].Definition.Name)
			}
			got += fmt.Sprintf(" %s(to level %d)", strings.Join(names, "+"), c.top)
		}
		got += "\n"
	}
	want := `item_id every 60000ms, 3 levels: count1h+count1d+count30d(to level 2) cheap(to level 0) sum+avg(to level 1) last+last_1(to level 0) top2+top9(to level 0)
item_id every 3600000ms, 1 levels: coarse(to level 0)
qty every 60000ms, 2 levels: by_qty(to level 1)
`
	if got != want {
		t.Errorf("%swant\n%s", got, want)
	}
	if got := set.Reads(0); !slices.Equal(got, []string{"item_id", "price", "qty"}) {
		t.Errorf("reads %v", got)
	}
	if f := set.Fields(); len(f) != 12 || f[4].Name != "sum" || f[4].Type.Kind != mortise.Float {
		t.Errorf("fields %v", f)
	}
}

func TestCompileRefuses(t *testing.T) {
	bad := []Definition{
		define("unaligned", "count", "", 90*time.Second, time.Minute),
		define("quick", "decayed_sum(price, 10s)", "", time.Hour, time.Minute),
		define("elsewhere", "count", "", time.Hour, time.Minute),
		define("of nobody", "count", "", time.Hour, time.Minute),
		{Name: "computed", Expr: &expression.Program{}},
	}
	bad[2].Source, bad[3].Entity = "other", nil
	_, err := Compile(bad, []Source{{"s", ""}})
	if err == nil {
		t.Fatal("no error")
	}
	want := `feature unaligned: the window 1m30s is not a multiple of its tile, 1m: 1m or 2m would be
feature quick: the half-life 10s is shorter than the tile, 1m
feature elsewhere: its source other is not among those given
feature of nobody: it has no entity`
	if err.Error() != want {
		t.Errorf("%s", err)
	}
}

func TestNamesOfListsDiffer(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{{"a", "b"}, {"a|b"}, {"a", "", "b"}, {"", "a", "b"}, {"a\x00b"}, {`a\|b`}, {`a\`, "b"}, {`a\\`, "b"}} {
		name := nameOf(slices.Clone(parts)...)
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q are both %s", parts, other, name)
		}
		seen[name] = parts
	}
}

func TestEntityKey(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		values []mortise.Value
		want   string
	}{
		{[]mortise.Value{mortise.StringValue("a|b"), mortise.IntValue(-5)}, `a\|b|-5`},
		{[]mortise.Value{mortise.StringValue("")}, ""},
		{[]mortise.Value{mortise.BoolValue(true), mortise.FloatValue(0.5)}, "true|0.5"},
	} {
		if got, ok := EntityKey(nil, c.values...); !ok || got == nil || string(got) != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if _, ok := EntityKey(nil, mortise.IntValue(1), mortise.NullValue()); ok {
		t.Error("null has a key")
	}
	a, _ := EntityKey([]byte("before"), mortise.StringValue(long+"a"))
	b, _ := EntityKey([]byte("before"), mortise.StringValue(long+"b"))
	if len(a) != 6+maxEntityBytes || string(a) == string(b) || string(a[:6]) != "before" {
		t.Errorf("long keys: %d bytes, %q and %q", len(a), a, b)
	}
}
