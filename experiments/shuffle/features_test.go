package shuffle_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/shuffle"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/memory"
)

// counted has features of a stream by three lists of fields, one of which its topic
// is keyed by.
const counted = `
experiment: counted
sources:
  imps:
    topic: imps
    event_time: {field: ts}
    fields: {id: string, ts: int, user: string, item: string}
  plays:
    topic: plays
    partition_by: user
    event_time: {field: ts}
    out_of_orderness: 20s
    idle_after: 2s
    fields: {ts: int, user: string?, item: string, n: int, take: bool}
    where: n >= 0
join:
  main: imps
  key: id
  labels: {play: {source: others, within: 1h}}
features:
  by_user: {source: plays, entity: user, agg: count, window: 10m, tile: 1m}
  by_item: {source: plays, entity: item, agg: sum(n), window: 20m, tile: 1m, where: take}
  last: {source: plays, entity: item, agg: "last_n(n, 3)", window: 10m, tile: 30s}
  by_both: {source: plays, entity: [user, item], agg: max(n), window: 1h, tile: 5m}
instance:
  select: [by_user, by_item, last, by_both]
output:
  topic: {name: out}
`

const others = `
  others:
    topic: others
    event_time: {field: ts}
    fields: {id: string, ts: int}
join:
`

// play is one event of plays.
type play struct {
	timeMS     int64
	user, item string // a user may be null: empty
	n          int64
	take       bool
}

func (p *play) line() []byte {
	user := "null"
	if p.user != "" {
		user = fmt.Sprintf("%q", p.user)
	}
	return fmt.Appendf(nil, `{"ts":%d,"user":%s,"item":%q,"n":%d,"take":%v}`, p.timeMS, user, p.item, p.n, p.take)
}

// plays is a world of them: what has been published so far is in order of event time
// but for out_of_orderness, in each partition by itself.
type plays struct {
	*broker
	t       *testing.T
	rng     *rand.Rand
	sched   *scheduler
	plan    *experiments.Plan
	store   features.Store
	width   int
	all     []play // that count and will ever be
	pending [][]mortise.Record
	ways    []*tiling.Way
	done    chan struct{} // closed when all is published
	arrived chan struct{} // closed when all is shuffled
}

const playsFromMS = int64(1_700_000_000_000)

func newPlays(t *testing.T, rng *rand.Rand, text string, n int) *plays {
	w := &plays{broker: newBroker(), t: t, rng: rng, sched: &scheduler{back: make(chan struct{}), now: time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)},
		plan: mustPlan(t, text), store: memory.New(), width: 1 + rng.IntN(4), done: make(chan struct{}), arrived: make(chan struct{})}
	w.create("plays", w.width)
	w.pending = make([][]mortise.Record, w.width)
	times := make([]int64, n)
	for i := range times {
		times[i] = playsFromMS + rng.Int64N(7_200_000)
	}
	slices.Sort(times)
	for _, ms := range times {
		p := play{timeMS: ms - rng.Int64N(20_000), user: fmt.Sprint(`u|\`, rng.IntN(9)), item: fmt.Sprint("i", rng.IntN(5)), n: rng.Int64N(100) - 5, take: rng.IntN(2) == 0}
		if rng.IntN(12) == 0 {
			p.user = ""
		}
		part, value := experiments.PartitionOf([]byte(p.user), w.width), p.line()
		switch rng.IntN(30) {
		case 0:
			value = []byte(`{"ts":"?"`)
		default:
			if p.n >= 0 {
				w.all = append(w.all, p)
			}
		}
		w.pending[part] = append(w.pending[part], mortise.Record{Value: value})
	}
	return w
}

func mustPlan(t *testing.T, text string) *experiments.Plan {
	t.Helper()
	e, diags := spec.Parse("counted.yaml", []byte(text), spec.LoadOptions{})
	if diags.HasErrors() {
		t.Fatal(diags.String())
	}
	plan, err := experiments.NewPlan([]*spec.Experiment{e})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// publish appends some of what is pending.
func (w *plays) publish() {
	left := 0
	for p := range w.pending {
		n := w.rng.IntN(min(len(w.pending[p]), 40) + 1)
		for _, rec := range w.pending[p][:n] {
			w.append("plays", p, rec)
		}
		w.pending[p] = w.pending[p][n:]
		left += len(w.pending[p])
	}
	if left == 0 && w.done != nil {
		close(w.done)
		w.done = nil
	}
}

// generations are what a worker that starts now makes of the store.
func (w *plays) generations() []*tiling.Generation {
	w.t.Helper()
	ctx := context.Background()
	gens, err := tiling.SharedGenerations(ctx, w.store, w.plan.Features(), "store")
	if err != nil {
		w.t.Fatal(err)
	}
	counts := map[string]int32{"plays": int32(w.width)}
	for _, g := range gens {
		for _, way := range g.Ways() {
			w.create(way.Topic, 1+w.rng.IntN(4))
			counts[way.Topic] = int32(len(w.logs[way.Topic]))
		}
		if err := g.SpreadOver(ctx, w.store, counts); err != nil {
			w.t.Fatal(err)
		}
	}
	return gens
}

// live runs members of one kind, killed again and again, until ctx ends.
func (w *plays) live(ctx context.Context, m *member, kills int, group, topic string, owns func(int32) bool, run func(*transport) error) error {
	for left := kills; ; left-- {
		tr := &transport{broker: w.broker, sched: w.sched, member: m, rng: w.rng, group: group, topics: []string{topic}, owns: owns, steps: -1, unsure: w.rng.IntN(2) == 0, lose: left > 0 && w.rng.IntN(2) == 0}
		if left > 0 {
			tr.steps = 1 + w.rng.IntN(60)
		}
		if err := run(tr); !errors.Is(err, errKilled) {
			return err
		} else if ctx.Err() != nil {
			return nil //nolint:nilerr // killed when all was done
		}
	}
}

func (w *plays) now() time.Time { return w.sched.now }

// members starts splits shufflers of each way and tilers of each topic.
func (w *plays) members(ctx context.Context, splits, kills int) (all []*member) {
	done, arrived := w.done, w.arrived
	gens := w.generations()
	for _, g := range gens {
		for _, way := range g.Ways() {
			w.ways = append(w.ways, way)
			for i := range splits {
				all = append(all, w.sched.start(func(m *member) error {
					return w.live(ctx, m, kills, way.Group, way.Origin, owner(i, splits), func(tr *transport) error {
						s, err := shuffle.New(tr, shuffle.Options{Way: way.Shuffle, Carrier: way.NewCarrier(nil), FromStart: true, Origins: w.width, Partitions: len(w.logs[way.Topic]), Now: w.now,
							PollRecords: 1 + w.rng.IntN(100), CommitEvery: w.every(), UntilEnd: true, InputDone: done})
						if err != nil {
							return err
						}
						return s.Run(ctx)
					})
				}))
			}
		}
	}
	for _, topic := range tiling.TaskTopics(gens) {
		ended := done
		if topic != "plays" {
			ended = arrived
		}
		for i := range splits {
			all = append(all, w.sched.start(func(m *member) error {
				return w.live(ctx, m, kills, "tiles "+topic, topic, owner(i, splits), func(tr *transport) error {
					return tiling.NewShared(tr, w.store, w.generations(), topic, tiling.Options{Now: w.now, PollRecords: 1 + w.rng.IntN(100), CommitEvery: w.every(), UntilEnd: true, InputDone: ended}).Run(ctx)
				})
			}))
		}
	}
	return all
}

func (w *plays) every() time.Duration { return time.Duration(1+w.rng.IntN(500)) * time.Millisecond }

// run runs them to the end, one at a time, reading what is final now and then.
func (w *plays) run(splits, kills int) {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	members := w.members(ctx, splits, kills)
	arrived := w.arrived
	for turn := 0; ; turn++ {
		if turn == 200_000 {
			w.t.Fatal("it does not come to an end")
		}
		if w.rng.IntN(10) == 0 {
			w.publish()
		}
		m := members[w.rng.IntN(len(members))]
		if w.sched.turn(m); m.ended {
			w.t.Fatalf("a member ended: %v", m.err)
		}
		if turn%40 == 0 {
			if done := !slices.ContainsFunc(w.ways, func(way *tiling.Way) bool { return !w.broker.done(way.Group, way.Origin) }); w.done == nil && done && arrived != nil {
				close(arrived)
				arrived = nil
			}
			if w.readAll(20) == math.MaxInt64 {
				break
			}
		}
	}
	w.readAll(500)
	stop()
	for _, m := range members {
		for !m.ended {
			w.sched.turn(m)
		}
		if m.err != nil {
			w.t.Fatal(m.err)
		}
	}
}

// readAll reads n entities of every group as of times that are final, and compares
// them with the oracle; it returns how far all are final.
func (w *plays) readAll(n int) (final int64) {
	w.t.Helper()
	final = math.MaxInt64
	for _, g := range w.generations() {
		readers := tiling.NewReaders(w.store, g, false)
		err := readers.Use(context.Background(), 0, func(r *features.Reader) error {
			for group := range g.Set.Groups {
				gr := &g.Set.Groups[group]
				to := r.FinalMS(gr.Source)
				if final = min(final, to); to < playsFromMS {
					continue
				}
				for range n {
					asOf := playsFromMS + w.rng.Int64N(min(to, playsFromMS+9_000_000)-playsFromMS+1)
					user, item := fmt.Sprint(`u|\`, w.rng.IntN(9)), fmt.Sprint("i", w.rng.IntN(5))
					values := map[string]mortise.Value{"user": mortise.StringValue(user), "item": mortise.StringValue(item)}
					var entity []mortise.Value
					for _, field := range gr.Entity {
						entity = append(entity, values[field])
					}
					key, _ := features.EntityKey(nil, entity...)
					lookups := []features.Lookup{{Group: group, Entity: key, AsOfMS: asOf}}
					if err := r.Read(context.Background(), lookups); err != nil {
						return err
					}
					for i, f := range gr.Features {
						d := g.Set.Features[f].Definition
						if got, want := text(lookups[0].Values[i]), w.oracle(d, user, item, asOf); got != want {
							w.t.Fatalf("%s of %s, %s as of %d: %s, want %s", d.Name, user, item, asOf, got, want)
						}
					}
				}
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return final
}

func text(v mortise.Value) string {
	switch v.Kind {
	case mortise.Int:
		return fmt.Sprint(v.Int())
	case mortise.List:
		var all []int64
		for _, e := range v.List() {
			all = append(all, e.Int())
		}
		return fmt.Sprint(all)
	}
	return "null"
}

// oracle computes a feature from all events.
func (w *plays) oracle(d *features.Definition, user, item string, asOfMS int64) string {
	tile := d.Tile.Milliseconds()
	to := asOfMS - asOfMS%tile
	var in []play
	for _, p := range w.all {
		if p.timeMS >= to-d.Window.Milliseconds() && p.timeMS < to && (d.Name == "by_item" || d.Name == "last" || p.user == user) && (d.Name == "by_user" || p.item == item) {
			in = append(in, p)
		}
	}
	switch d.Name {
	case "by_user":
		return fmt.Sprint(len(in))
	case "by_item":
		sum := int64(0)
		for _, p := range in {
			if p.take {
				sum += p.n
			}
		}
		return fmt.Sprint(sum)
	case "last":
		slices.SortFunc(in, func(a, b play) int { return cmpPlays(&b, &a) })
		all := []int64{}
		for _, p := range in[:min(3, len(in))] {
			all = append(all, p.n)
		}
		return fmt.Sprint(all)
	}
	if len(in) == 0 {
		return "null"
	}
	most := int64(math.MinInt64)
	for _, p := range in {
		most = max(most, p.n)
	}
	return fmt.Sprint(most)
}

// cmpPlays orders events by time, and of one time by value.
func cmpPlays(a, b *play) int {
	if a.timeMS != b.timeMS {
		return int(a.timeMS - b.timeMS)
	}
	return int(a.n - b.n)
}

// TestFeaturesAreShuffled runs features by user, by item and by both over a topic
// that is keyed by user: shufflers and tilers are killed and lose their assignments
// at random, while events still come in, in no order of time that is stricter than
// out_of_orderness. Whatever is said to be final at any moment is what the oracle
// finds in all events, those that have not come yet included.
func TestFeaturesAreShuffled(t *testing.T) {
	first, runs := uint64(1), uint64(30)
	if *seedFlag != 0 {
		first, runs = *seedFlag, 1
	}
	for seed := first; seed < first+runs; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 21))
			w := newPlays(t, rng, withOthers(counted), 600)
			w.run(1+rng.IntN(2), rng.IntN(6))
			if len(w.ways) != 2 {
				t.Errorf("%d ways, want those by item and by both", len(w.ways))
			}
		})
	}
}

func withOthers(text string) string { return strings.Replace(text, "\njoin:\n", others, 1) }
