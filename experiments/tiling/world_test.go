package tiling_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/offline"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
)

const experiment = `
experiment: featured
sources:
  imps:
    topic: i
    event_time: {field: ts}
    out_of_orderness: 10s
    fields: {id: string, ts: int, user: string, item_id: string, position: int}
    where: position >= 1
  clicks:
    topic: c
    event_time: {field: ts}
    out_of_orderness: 10s
    fields: {id: string, ts: int, user: string, item_id: string, price: float?}
    derive: {dear: price >= 2}
join:
  main: imps
  key: id
  labels: {click: {source: clicks, within: 10m}}
features:
  item_clicks: {source: clicks, entity: item_id, agg: count, window: 1h, tile: 1m}
  item_imps: {source: imps, entity: item_id, agg: count, window: 1h, tile: 1m}
  user_last: {source: clicks, entity: user, agg: "last_n(item_id, 3)", window: 1d, tile: 1m}
  pair_spend: {source: clicks, entity: [user, item_id], agg: sum(price), where: dear, window: 2h, tile: 5m}
  ctr: {expr: "item_imps == 0 ? 0.0 : item_clicks / item_imps"}
instance:
  select: [user, item_id, position, item_clicks, item_imps, user_last, pair_spend, ctr]
output:
  topic: {name: o}
  dead_letters: {topic: d}
`

func plan(t testing.TB, text string) *experiments.Plan {
	t.Helper()
	e, found := spec.Parse("featured.yaml", []byte(text), spec.LoadOptions{})
	if e == nil {
		t.Fatal(found.String())
	}
	p, err := experiments.NewPlan([]*spec.Experiment{e})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// line is one event, with what the oracle needs of it.
type line struct {
	ID, User, Item string
	TimeMS         int64
	Position       int
	Price          *float64
	text           string
}

const (
	startMS = int64(1_700_000_000_000)
	spanMS  = int64(6 * 3_600_000)
	nowMS   = startMS + 2*spanMS
)

func now() int64 { return nowMS }

// world is impressions and clicks in order of event time.
type world struct{ imps, clicks []line }

func newWorld(seed uint64, n int) *world {
	rnd := rand.New(rand.NewPCG(seed, 3))
	w := &world{}
	for i := range n {
		l := line{ID: fmt.Sprint("i", i), User: fmt.Sprint("u", rnd.IntN(12)), Item: fmt.Sprint("item|", rnd.IntN(20)), TimeMS: startMS + rnd.Int64N(spanMS), Position: rnd.IntN(4)}
		if rnd.IntN(4) == 0 {
			l.TimeMS -= l.TimeMS % 60_000 // on the edge of a tile
		}
		l.text = fmt.Sprintf(`{"id":%q,"ts":%d,"user":%q,"item_id":%q,"position":%d}`, l.ID, l.TimeMS, l.User, l.Item, l.Position)
		w.imps = append(w.imps, l)
		for range rnd.IntN(3) {
			c := line{ID: l.ID, User: l.User, Item: l.Item, TimeMS: l.TimeMS + rnd.Int64N(900_000)}
			price := "null"
			if rnd.IntN(5) > 0 {
				p := float64(rnd.IntN(500)) / 100
				c.Price, price = &p, fmt.Sprint(p)
			}
			c.text = fmt.Sprintf(`{"id":%q,"ts":%d,"user":%q,"item_id":%q,"price":%s}`, c.ID, c.TimeMS, c.User, c.Item, price)
			w.clicks = append(w.clicks, c)
		}
	}
	byTime := func(a, b line) int { return cmp.Or(cmp.Compare(a.TimeMS, b.TimeMS), cmp.Compare(a.Item, b.Item)) } // as last_n orders equal times
	slices.SortStableFunc(w.imps, byTime)
	slices.SortStableFunc(w.clicks, byTime)
	return w
}

// row is what the oracle says of an instance.
type row struct {
	Clicks int64    `json:"item_clicks"`
	Imps   int64    `json:"item_imps"`
	Last   []string `json:"user_last"`
	Spend  float64  `json:"pair_spend"`
	CTR    float64  `json:"ctr"`
}

// want computes an instance's features from all events, in the plainest way.
func (w *world) want(i *line) row {
	within := func(at, window, tile int64) bool {
		to := i.TimeMS - i.TimeMS%tile
		return at >= to-window && at < to
	}
	r := row{Last: []string{}}
	for k := range w.imps {
		o := &w.imps[k]
		if o.Position >= 1 && o.Item == i.Item && within(o.TimeMS, 3_600_000, 60_000) {
			r.Imps++
		}
	}
	for k := range w.clicks {
		c := &w.clicks[k]
		if c.Item == i.Item && within(c.TimeMS, 3_600_000, 60_000) {
			r.Clicks++
		}
		if c.User == i.User && within(c.TimeMS, 86_400_000, 60_000) {
			r.Last = append(r.Last, c.Item)
		}
		if c.User == i.User && c.Item == i.Item && c.Price != nil && *c.Price >= 2 && within(c.TimeMS, 7_200_000, 300_000) {
			r.Spend += *c.Price // in cents: sums up exactly enough to be rounded alike
		}
	}
	if r.Imps > 0 {
		r.CTR = float64(r.Clicks) / float64(r.Imps)
	}
	slices.Reverse(r.Last) // the newest first
	r.Last = r.Last[:min(len(r.Last), 3)]
	return r
}

func text(lines []line) string {
	var b strings.Builder
	for i := range lines {
		b.WriteString(lines[i].text + "\n")
	}
	return b.String()
}

// run joins the world with the features that a store holds, and checks every row.
func (w *world) run(t *testing.T, p *experiments.Plan, store features.Store, gens []*tiling.Generation) (out []string) {
	t.Helper()
	enrichment, err := tiling.NewEnrichment(context.Background(), store, gens, p.Pipelines[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	inputs := map[string][]string{}
	for name, lines := range map[string][]line{"imps": w.imps, "clicks": w.clicks} {
		path := filepath.Join(dir, name+".jsonl")
		if err := os.WriteFile(path, []byte(text(lines)), 0o666); err != nil {
			t.Fatal(err)
		}
		inputs[name] = []string{path}
	}
	byID := map[string]*line{}
	for i := range w.imps {
		byID[w.imps[i].ID] = &w.imps[i]
	}
	st, err := offline.Run(context.Background(), p.Pipelines[0], offline.Job{Inputs: inputs, Worker: experiments.WorkerOptions{Enrichment: enrichment, CloseRows: 100},
		Output: func(o *experiments.Output) error {
			out = append(out, string(o.Value))
			if o.Topic != "o" {
				t.Errorf("a dead letter: %s", o.Value)
			}
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	if l := st.Experiments[0].Ledger; l.Check() != nil || l.Instances != int64(len(out)) {
		t.Errorf("%d rows, ledger %+v", len(out), l)
	}
	for _, text := range out {
		var got struct {
			ID string `json:"instance_id"`
			row
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		want := w.want(byID[got.ID])
		if got.Clicks != want.Clicks || got.Imps != want.Imps || !slices.Equal(got.Last, want.Last) || got.CTR != want.CTR ||
			fmt.Sprintf("%.6f", got.Spend) != fmt.Sprintf("%.6f", want.Spend) {
			t.Fatalf("instance %s\n got %+v\nwant %+v", got.ID, got.row, want)
		}
	}
	slices.Sort(out)
	return out
}

func generations(t testing.TB, store features.Store, p *experiments.Plan) []*tiling.Generation {
	t.Helper()
	gens, err := tiling.Generations(context.Background(), store, p.Features())
	if err != nil {
		t.Fatal(err)
	}
	return gens
}
