package tiling_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/memory"
	"github.com/mortise-dev/mortise/joiner"
)

// sharedOf makes the generations of experiment as workers share them, over topics of
// so many partitions.
func sharedOf(t testing.TB, store features.Store, text string, partitions int32) []*tiling.Generation {
	t.Helper()
	gens, err := sharedWith(store, plan(t, text), partitions)
	if err != nil {
		t.Fatal(err)
	}
	return gens
}

func sharedWith(store features.Store, p *experiments.Plan, partitions int32) ([]*tiling.Generation, error) {
	gens, err := tiling.SharedGenerations(context.Background(), store, p.Features(), "base")
	if err != nil {
		return nil, err
	}
	counts := map[string]int32{}
	for _, topic := range tiling.TaskTopics(gens) {
		counts[topic] = partitions
	}
	for _, g := range gens {
		if err := g.SpreadOver(context.Background(), store, counts); err != nil {
			return nil, err
		}
	}
	return gens, nil
}

func wayBy(t testing.TB, gens []*tiling.Generation, by ...string) *tiling.Way {
	t.Helper()
	for _, g := range gens {
		for _, w := range g.Ways() {
			if strings.Join(w.By, ",") == strings.Join(by, ",") && w.Origin == "c" {
				return w
			}
		}
	}
	t.Fatalf("nothing is shuffled by %v", by)
	return nil
}

// TestCarry has records carried, or not.
func TestCarry(t *testing.T) {
	const atMS = startMS
	way := wayBy(t, sharedOf(t, memory.New(), experiment, 3), "user", "item_id")
	var letters []*mortise.DeadLetter
	c := way.NewCarrier(func(l *mortise.DeadLetter) error { letters = append(letters, l); return nil })
	for _, tt := range []struct {
		name, value string
		want        experiments.Carried
		key         string
		letters     int
	}{
		{name: "taken", value: `{"id":"a","ts":%d,"user":"u","item_id":"i|1","price":3}`, want: experiments.Carried{TimeMS: atMS, Send: true}, key: `u|i\|1`},
		{name: "an empty text is an entity", value: `{"id":"a","ts":%d,"user":"","item_id":"","price":3}`, want: experiments.Carried{TimeMS: atMS, Send: true}, key: `|`},
		{name: "no feature takes it", value: `{"id":"a","ts":%d,"user":"u","item_id":"i","price":1}`, want: experiments.Carried{TimeMS: atMS}},
		{name: "nothing to aggregate", value: `{"id":"a","ts":%d,"user":"u","item_id":"i"}`, want: experiments.Carried{TimeMS: atMS}},
		{name: "unreadable", value: `{"id":"a","ts":%d,"user":7,"item_id":"i","price":3}`, want: experiments.Carried{TimeMS: joiner.NoTimeMS, Unreadable: true}, letters: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			letters = nil
			rec := mortise.Record{Topic: "c", Partition: 2, Offset: 5, Value: fmt.Appendf(nil, tt.value, atMS)}
			var o experiments.Output
			got, err := c.Carry(&rec, nowMS, &o)
			if err != nil || got != tt.want || len(letters) != tt.letters {
				t.Fatalf("%+v, %v, %d letters, want %+v and %d", got, err, len(letters), tt.want, tt.letters)
			}
			if got.Send && string(o.Key) != tt.key {
				t.Errorf("key %q, want %q", o.Key, tt.key)
			}
			for _, l := range letters {
				if l.Topic != "c" || l.Partition != 2 || l.Offset != 5 || string(l.Raw) != string(rec.Value) {
					t.Errorf("letter %+v", l)
				}
			}
		})
	}
	if _, err := c.Carry(&mortise.Record{Topic: "c", Value: fmt.Appendf(nil, `{"id":"a","ts":%d,"user":"u","item_id":"i","price":3}`, nowMS+1000*3600_000)}, nowMS, &experiments.Output{}); err != nil || len(letters) != 2 {
		t.Errorf("an event of the far future: %v, %d letters", err, len(letters))
	}
}

// TestLayouts starts workers over a store whose tasks were laid out otherwise.
func TestLayouts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	keyed := strings.Replace(experiment, "    topic: c\n", "    topic: c\n    repartition: true\n    partition_by: item_id\n", 1)
	for _, tt := range []struct {
		name, first, then string
		from, to          int32
		refused           string
	}{
		{name: "the same", first: experiment, then: experiment, from: 3, to: 3},
		{name: "an internal topic of another width", first: experiment, then: experiment, from: 3, to: 4, refused: "has 4 partitions, and features were shuffled into 3"},
		{name: "now it is declared how the topic is keyed", first: experiment, then: keyed, from: 3, to: 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			store := memory.New()
			gens := sharedOf(t, store, tt.first, tt.from)
			w, err := features.OpenWriter(context.Background(), gens[0].Set, store, features.WriterOptions{Task: gens[0].Tasks()[0][0], Slot: func(int, string) int { return 0 }})
			if err != nil {
				t.Fatal(err)
			}
			meta := fmt.Sprintf(`{"generation":0,"source":%q,"features":[%q],"topic":"x","width":%d}`, strings.TrimPrefix(gens[0].Tasks()[0][0], "tiles/0/"), gens[0].Features[0].ID, tt.from)
			if err := w.Commit(context.Background(), []byte(meta), rnd.Int64N(1000)); err != nil {
				t.Fatal(err)
			}
			gens, err = sharedWith(store, plan(t, tt.then), tt.to)
			if tt.refused == "" {
				if err != nil || len(gens) == 0 {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%v, want %q", err, tt.refused)
			}
		})
	}
}

// TestKeyedTopicThatGrows has a topic that is keyed by the entity get partitions:
// events of one entity then lie in two tasks, and reads find both.
func TestKeyedTopicThatGrows(t *testing.T) {
	ctx := context.Background()
	keyed := strings.Replace(experiment, "    topic: c\n", "    topic: c\n    repartition: true\n    partition_by: item_id\n", 1)
	store, p := memory.New(), plan(t, keyed)
	topics := map[string][][]mortise.Record{"c": make([][]mortise.Record, 1)}
	publishTo := func(n int, partitions int) {
		for i := range n {
			key := fmt.Sprint("i", i%7)
			part := experiments.PartitionOf([]byte(key), partitions)
			log := &topics["c"][part]
			value := fmt.Appendf(nil, `{"id":"a","ts":%d,"user":"u","item_id":%q,"price":3}`, startMS+int64(i), key)
			*log = append(*log, mortise.Record{Topic: "c", Partition: int32(part), Offset: int64(len(*log)), Value: value})
		}
	}
	tile := func(partitions int) {
		gens, err := sharedWith(store, p, int32(partitions))
		if err != nil {
			t.Fatal(err)
		}
		running, stop := context.WithCancel(ctx)
		defer stop()
		g := &fakeGroup{fakeLog: newLog(topics, rand.New(rand.NewPCG(1, 1)), -1), topic: "c", mine: make([]int32, partitions)}
		for i := range g.mine {
			g.mine[i] = int32(i)
		}
		opts := options(rand.New(rand.NewPCG(1, 1)))
		opts.UntilEnd = true
		opts.Committed = func() {
			final := true
			for _, g := range gens {
				for i, src := range g.Set.Sources {
					r, err := features.OpenReader(ctx, g.Set, store, features.ReaderOptions{Tasks: g.Tasks()})
					if err == nil {
						err = r.Refresh(ctx)
					}
					if err != nil {
						t.Error(err)
					}
					final = final && (!strings.Contains(src.Name, "/keyed/item_id") || r.FinalMS(i) > nowMS)
				}
			}
			if final {
				stop()
			}
		}
		if err := tiling.NewShared(g, store, gens, "c", opts).Run(running); err != nil {
			t.Fatal(err)
		}
	}
	publishTo(700, 1)
	tile(1)
	topics["c"] = append(topics["c"], make([][]mortise.Record, 3)...)
	publishTo(700, 4)
	tile(4)
	gens, err := sharedWith(store, p, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gens {
		err := tiling.NewReaders(store, g, true).Use(ctx, 0, func(r *features.Reader) error {
			for group := range g.Set.Groups {
				if !strings.Contains(g.Set.Sources[g.Set.Groups[group].Source].Name, "/keyed/item_id") {
					continue
				}
				for i := range 7 {
					lookups := []features.Lookup{{Group: group, Entity: fmt.Append(nil, "i", i), AsOfMS: startMS + 600_000}}
					if err := r.Read(ctx, lookups); err != nil {
						return err
					}
					if got := lookups[0].Values[0].Int(); got != 200 {
						t.Errorf("i%d has %d events, want 200", i, got)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestMisplaced reads a topic that is not keyed by what its source declares.
func TestMisplaced(t *testing.T) {
	keyed := strings.Replace(experiment, "    topic: c\n", "    topic: c\n    repartition: true\n    partition_by: item_id\n", 1)
	rnd := rand.New(rand.NewPCG(5, 5))
	store := memory.New()
	g := &fakeGroup{fakeLog: newLog(publish(newWorld(5, 200), 3, rnd), rnd, -1), topic: "c", mine: []int32{0, 1, 2}}
	err := tiling.NewShared(g, store, sharedOf(t, store, keyed, 3), "c", options(rnd)).Run(context.Background())
	var misplaced *tiling.MisplacedError
	if !errors.As(err, &misplaced) || misplaced.Topic != "c" || misplaced.Shuffled {
		t.Errorf("%v", err)
	}
}

// BenchmarkCarry measures what it takes to send an event on, and how much of it goes.
func BenchmarkCarry(b *testing.B) {
	way := wayBy(b, sharedOf(b, memory.New(), experiment, 3), "user", "item_id")
	c := way.NewCarrier(nil)
	w := newWorld(7, 2000)
	var records []mortise.Record
	in, out, sent := 0, 0, 0
	var o experiments.Output
	for i := range w.clicks {
		records = append(records, mortise.Record{Topic: "c", Value: []byte(w.clicks[i].text)})
		got, err := c.Carry(&records[i], nowMS, &o)
		if err != nil {
			b.Fatal(err)
		}
		in += len(records[i].Value)
		if got.Send {
			out += len(o.Key) + len(o.Value)
			sent++
		}
	}
	b.SetBytes(int64(in / len(records)))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, err := c.Carry(&records[i%len(records)], nowMS, &o); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(out)/float64(sent), "B/sent")
	b.ReportMetric(float64(in)/float64(len(records)), "B/record")
}

// TestFieldsWithinOthers has an entity that lies within another field of the record.
func TestFieldsWithinOthers(t *testing.T) {
	nested := strings.Replace(experiment, "    fields: {id: string, ts: int, user: string, item_id: string, price: float?}", "    fields: {id: string, ts: int, user: string, item_id: {type: string, from: item.id}, price: float?}", 1)
	c := wayBy(t, sharedOf(t, memory.New(), nested, 3), "user", "item_id").NewCarrier(nil)
	var o experiments.Output
	got, err := c.Carry(&mortise.Record{Topic: "c", Value: fmt.Appendf(nil, `{"id":"a","ts":%d,"user":"u","item":{"id":"i"},"price":3}`, startMS)}, nowMS, &o)
	if err != nil || !got.Send || string(o.Key) != "u|i" {
		t.Errorf("%+v, key %q, %v", got, o.Key, err)
	}
}
