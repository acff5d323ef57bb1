package featurestest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
)

// hotRun is one writing and reading of entities, of which some may be hot.
type hotRun struct {
	perEvent time.Duration // of processor time, to add and commit an event
	perRow   time.Duration // to read a cold entity
	values   []string      // of the cold entities
	reads    features.ReaderStats
	writes   features.WriterStats
}

const (
	hotCold    = 2000 // entities with half of the events
	hotHot     = 20   // 1 % of them, with the other half
	hotEvents  = 12_000
	hotCommits = 6
)

// TestHot has one entity in a hundred take half of the events, and compares what
// the others cost, and are, with what they do where there are none such. store
// opens an empty one.
func TestHot(t *testing.T, store func(t testing.TB) features.Store) {
	var plain, hot hotRun
	for round := range 4 { // the least of each: other programs take time too
		for _, c := range []struct {
			hot bool
			out *hotRun
		}{{false, &plain}, {true, &hot}} {
			r := runHot(t, store(t), c.hot)
			if round > 0 {
				r.perEvent, r.perRow = min(r.perEvent, c.out.perEvent), min(r.perRow, c.out.perRow)
			}
			*c.out = r
		}
	}
	t.Logf("an event %v, with hot entities %v; a row %v, with hot entities %v", plain.perEvent, hot.perEvent, plain.perRow, hot.perRow)
	if !slices.Equal(plain.values, hot.values) {
		t.Error("hot entities change the values of others")
	}
	if plain.reads.Rows != hotCold || plain.reads != hot.reads {
		t.Errorf("reading the others took %+v, with hot entities %+v", plain.reads, hot.reads)
	}
	// Each of them is one chunk more for each level and commit, however many events it has.
	if more, most := hot.writes.Chunks-plain.writes.Chunks, int64(hotHot*hotCommits*8); more <= 0 || more > most {
		t.Errorf("hot entities took %d chunks more, of %d events; at most %d are due", more, hotEvents, most)
	}
	if hot.perEvent > plain.perEvent*3/2 {
		t.Errorf("an event takes %v of the processor, with hot entities %v", plain.perEvent, hot.perEvent)
	}
	if hot.perRow > plain.perRow*3/2 {
		t.Errorf("reading another entity takes %v of the processor, with hot ones %v", plain.perRow, hot.perRow)
	}
}

func runHot(t testing.TB, store features.Store, hot bool) (out hotRun) {
	l := NewLoad(Mixed(), hotCold, 1, false)
	w, err := features.OpenWriter(context.Background(), l.Set, store, features.WriterOptions{Task: "t", Slot: Slot, SinceMS: math.MinInt64})
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string, n int, timeMS int64) {
		row := slices.Clone(l.rows[n%len(l.rows)])
		row[0] = mortise.StringValue(name)
		if err := w.Add(0, row, timeMS); err != nil {
			t.Fatal(err)
		}
	}
	cold := func(n int) string { return fmt.Sprintf("cold-%d", n*7919%hotCold) }
	end, count := Base, 0
	start := ProcessorTime()
	for n := 1; n <= hotEvents; n++ {
		end = Base + int64(n)*100 // twenty minutes in all
		add(cold(n), n, end)
		count++
		if hot {
			add(fmt.Sprintf("hot-%d", n*31%hotHot), n, end)
			count++
		}
		if n%(hotEvents/hotCommits) == 0 {
			if err := w.Commit(context.Background(), nil, end); err != nil {
				t.Fatal(err)
			}
		}
	}
	out.perEvent = (ProcessorTime() - start) / time.Duration(count)
	out.writes = w.Stats()
	r, err := features.OpenReader(context.Background(), l.Set, store, features.ReaderOptions{Tasks: [][]string{{"t"}, {"t"}}, Unfinished: true})
	if err == nil {
		err = r.Refresh(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}
	lookups := make([]features.Lookup, hotCold)
	for i := range lookups {
		lookups[i] = features.Lookup{Entity: []byte(fmt.Sprintf("cold-%d", i)), AsOfMS: end + 60_000}
	}
	start = ProcessorTime()
	if err := r.Read(context.Background(), lookups); err != nil {
		t.Fatal(err)
	}
	out.perRow = (ProcessorTime() - start) / hotCold
	out.reads = r.Stats()
	for i := range lookups {
		out.values = append(out.values, fmt.Sprint(lookups[i].Values))
	}
	return out
}
