package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// leaky has an item to itself for each impression, and features over the clicks on
// it in every way in which a click could be seen: as a number, by its id, by its
// time, per item, per user and item, per the impression itself.
const leaky = `
experiment: leaky
sources:
  impressions:
    topic: l.impressions
    event_time: {field: ts}
    out_of_orderness: 10s
    fields: {impression_id: string, ts: int, user: string, item_id: string}
  clicks:
    topic: l.clicks
    event_time: {field: ts}
    out_of_orderness: 10s
    fields: {click_id: string, impression_id: string, ts: int, user: string, item_id: string}
join:
  main: impressions
  key: impression_id
  dedup: false
  labels:
    click: {source: clicks, within: 10m}
features:
  n_1s: {source: clicks, entity: item_id, agg: count, window: 1m, tile: 1s}
  n_7s: {source: clicks, entity: item_id, agg: count, window: 7m, tile: 7s}
  n_1m: {source: clicks, entity: item_id, agg: count, window: 1h, tile: 1m}
  n_1d: {source: clicks, entity: item_id, agg: count, window: 7d, tile: 1m}
  pair: {source: clicks, entity: [user, item_id], agg: count, window: 1h, tile: 1s}
  own: {source: clicks, entity: impression_id, agg: count, window: 1h, tile: 1s}
  ids: {source: clicks, entity: item_id, agg: "last_n(click_id, 9)", window: 1d, tile: 1s}
  first: {source: clicks, entity: item_id, agg: first(click_id), window: 1d, tile: 1m}
  top: {source: clicks, entity: item_id, agg: "topk(click_id, 9)", window: 1d, tile: 1m}
  latest: {source: clicks, entity: item_id, agg: max(ts), window: 1d, tile: 1s}
  different: {source: clicks, entity: item_id, agg: "distinct(click_id, exact)", window: 1d, tile: 1m}
  decayed: {source: clicks, entity: item_id, agg: "decayed_sum(1.0, 1h)", window: 1d, tile: 1m}
  computed: {expr: "n_1d + n_1s + own"}
instance:
  select: [user, item_id, n_1s, n_7s, n_1m, n_1d, pair, own, ids, first, top, latest, different, decayed, computed]
output:
  topic: {name: l.instances}
`

var leakyFeatures = []string{"n_1s", "n_7s", "n_1m", "n_1d", "pair", "own", "ids", "first", "top", "latest", "different", "decayed", "computed"}

// leakCase is one impression and the clicks that are its own.
type leakCase struct {
	name   string
	timeMS int64
	clicks []int64 // their times
	last   bool    // they arrive after everything else, long after the row
	before bool    // another's click on the item lies two minutes back: that one is seen
}

// leakCases tries each way for a click to get into a tile that its impression reads.
func leakCases(rng *rand.Rand) (all []leakCase) {
	for n := range 480 {
		t := t0 + int64(n)*3000 + rng.Int64N(3000)
		c := leakCase{timeMS: t}
		switch n % 12 {
		case 0:
			c.name, c.clicks = "at the impression's own millisecond", []int64{t}
		case 1:
			c.name, c.clicks = "a millisecond later", []int64{t + 1}
		case 2:
			c.timeMS = t / 1000 * 1000
			c.name, c.clicks = "both at a tile's first millisecond", []int64{c.timeMS}
		case 3:
			c.timeMS = t/60_000*60_000 - 1
			c.name, c.clicks = "over the edge of a tile", []int64{c.timeMS + 1}
		case 4:
			c.timeMS = t/60_000*60_000 - 1
			c.name, c.clicks = "both at a tile's last millisecond", []int64{c.timeMS}
		case 5:
			c.name, c.clicks = "at the window's last millisecond", []int64{t + 599_999}
		case 6:
			c.name, c.clicks = "many, some the same", []int64{t, t, t + 1, t + 500, t + 60_000, t + 60_000}
		case 7:
			c.name, c.clicks, c.last = "arriving when all is over", []int64{t + 500}, true
		case 8:
			c.name, c.clicks, c.before = "behind one of another impression", []int64{t}, true
		case 9:
			c.timeMS = t / 1000 * 1000
			c.name, c.clicks = "before the impression by a clock that is fast, over a tile's edge", []int64{c.timeMS - 1}
		case 10:
			c.name, c.clicks = "before the impression by a clock that is fast", []int64{t - 40}
		case 11:
			c.name = "none"
		}
		all = append(all, c)
	}
	return all
}

func leakItem(n int) string { return fmt.Sprint("item", n) }

// leakFiles writes the cases, in an order that lies within what is allowed to be
// out of order.
func leakFiles(t *testing.T, dir string, rng *rand.Rand, cases []leakCase) []string {
	t.Helper()
	type line struct {
		at   int64 // of arrival
		text string
	}
	var imps, clicks []line
	late := int64(0)
	for n, c := range cases {
		item := leakItem(n)
		imps = append(imps, line{c.timeMS + rng.Int64N(8000), fmt.Sprintf(`{"impression_id":"imp%d","ts":%d,"user":"u%d","item_id":"%s"}`, n, c.timeMS, n, item)})
		for i, at := range c.clicks {
			arrives := at + rng.Int64N(8000)
			if c.last {
				late++
				arrives = t0 + 100_000_000 + late
			}
			clicks = append(clicks, line{arrives, fmt.Sprintf(`{"click_id":"own%d-%d","impression_id":"imp%d","ts":%d,"user":"u%d","item_id":"%s"}`, n, i/2, n, at, n, item)})
		}
		if c.before {
			at := c.timeMS - 120_000
			clicks = append(clicks, line{at, fmt.Sprintf(`{"click_id":"other%d","impression_id":"none","ts":%d,"user":"u%d","item_id":"%s"}`, n, at, n, item)})
		}
	}
	var names []string
	for i, lines := range [][]line{imps, clicks} {
		slices.SortStableFunc(lines, func(a, b line) int { return int(max(min(a.at-b.at, 1), -1)) })
		var text strings.Builder
		for _, l := range lines {
			text.WriteString(l.text + "\n")
		}
		name := []string{"impressions", "clicks"}[i]
		names = append(names, "--input", name+"="+write(t, filepath.Join(dir, name+".jsonl"), text.String()))
	}
	return names
}

// check tells whether the features of a case are what was there before its
// impression. labelled says that a click is the row's label.
func (c *leakCase) check(n int, row map[string]any, labelled bool) error {
	text := func(v any) string { b, _ := json.Marshal(v); return string(b) }
	all := ""
	for _, f := range leakyFeatures {
		all += f + " " + text(row[f]) + "\n"
	}
	sees := strings.Contains(all, fmt.Sprintf(`own%d-`, n))
	switch {
	case strings.HasPrefix(c.name, "before the impression"):
		// It is nobody's label, and an event like any other before the impression.
		if labelled {
			return fmt.Errorf("a click before the impression is its label")
		}
		return nil
	case sees:
		return fmt.Errorf("it sees its own click")
	}
	want := map[string]string{"n_1s": "0", "n_7s": "0", "n_1m": "0", "n_1d": "0", "pair": "0", "own": "0", "ids": "[]", "first": "null", "top": "null", "latest": "null", "different": "0", "decayed": "null", "computed": "0"}
	if c.before {
		other := fmt.Sprintf(`"other%d"`, n)
		want = map[string]string{"n_1s": "0", "n_7s": "1", "n_1m": "1", "n_1d": "1", "pair": "1", "own": "0", "ids": "[" + other + "]", "first": other, "top": "[" + other + "]",
			"latest": fmt.Sprint(c.timeMS - 120_000), "different": "1", "computed": "1"}
	}
	for _, f := range leakyFeatures {
		if got := text(row[f]); want[f] != "" && got != want[f] {
			return fmt.Errorf("%s is %s, want %s", f, got, want[f])
		}
	}
	return nil
}

// checkLeaks checks rows as JSON.
func checkLeaks(t *testing.T, where string, cases []leakCase, rows []string) {
	t.Helper()
	if len(rows) != len(cases) {
		t.Fatalf("%s: %d rows, want %d", where, len(rows), len(cases))
	}
	labels := 0
	for _, text := range rows {
		row := map[string]any{}
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&row); err != nil {
			t.Fatal(err)
		}
		var n int
		if _, err := fmt.Sscanf(row["instance_id"].(string), "imp%d", &n); err != nil {
			t.Fatal(err)
		}
		labelled := fmt.Sprint(row["label_click"]) == "1"
		if labelled {
			labels++
		}
		if err := cases[n].check(n, row, labelled); err != nil {
			t.Errorf("%s: impression %d, click %s: %v\n%s", where, n, cases[n].name, err, text)
		}
	}
	if labels < len(cases)/2 {
		t.Errorf("%s: only %d of %d rows are labelled", where, labels, len(cases))
	}
}

// TestNoInstanceSeesItsOwnClick tries to leak labels into features: clicks at the
// impression's millisecond, at the edges of tiles, from clocks that are fast, late
// ones, in a stream, with features that are added while it runs, as a batch, and
// online.
func TestNoInstanceSeesItsOwnClick(t *testing.T) {
	t.Parallel()
	rng, dir := random(t), t.TempDir()
	cases := leakCases(rng)
	file, inputs := write(t, filepath.Join(dir, "leaky.yaml"), leaky), leakFiles(t, dir, rng, cases)
	data, out := filepath.Join(dir, "data"), filepath.Join(dir, "out")

	runToEnd(t, append(inputs, file, "--embedded", data, "--partitions", "2", "--close-rows", "50", "--commit-every", "20ms")...)
	checkLeaks(t, "stream", cases, tailed(t, "l.instances", "--embedded", data))

	// Another experiment brings features that the tiles do not have yet: those of
	// shorter tiles, which begin where the topics do, after every click is there.
	added := write(t, filepath.Join(dir, "added.yaml"), strings.NewReplacer("experiment: leaky", "experiment: added", "l.instances", "l.added", "tile: 1s", "tile: 2s", "tile: 1m", "tile: 30s", "tile: 7s", "tile: 5s").Replace(leaky))
	runToEnd(t, added, "--embedded", data, "--state", filepath.Join(data, "state"))
	checkLeaks(t, "added to a run", cases, tailed(t, "l.added", "--embedded", data))

	succeed(t, append([]string{"backfill", file, "--out", out, "--scratch", filepath.Join(dir, "scratch"), "--splits", "3"}, inputs...)...)
	checkLeaks(t, "batch", cases, parquetIn(t, out).rows)

	checkLeaksOnline(t, file, data, cases)
}

// checkLeaksOnline asks a server as of the impressions' times, after their clicks
// are in.
func checkLeaksOnline(t *testing.T, file, data string, cases []leakCase) {
	t.Helper()
	p := start(t, "serve", file, "--embedded", data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--drain", "10ms")
	await(t, "the server", func() bool { return servedOn.MatchString(p.errOut.String()) }, p)
	url := servedOn.FindStringSubmatch(p.errOut.String())[1]
	names := slices.DeleteFunc(slices.Clone(leakyFeatures), func(name string) bool { return name == "own" || name == "computed" }) // an online read knows no impression
	ask := func(n int, asOfMS int64) map[string]any {
		body := fmt.Sprintf(`{"features":["%s"],"entities":[{"item_id":%q,"user":"u%d"}],"as_of":%d}`, strings.Join(names, `","`), leakItem(n), n, asOfMS)
		var a struct{ Rows [][]any }
		d := json.NewDecoder(strings.NewReader(post(t, url, body)))
		d.UseNumber()
		if err := d.Decode(&a); err != nil || len(a.Rows) != 1 {
			t.Fatalf("%v, %d rows", err, len(a.Rows))
		}
		row := map[string]any{"own": 0, "computed": 0}
		for i, name := range names {
			row[name] = a.Rows[0][i]
		}
		return row
	}
	for n, c := range cases {
		if len(c.clicks) > 0 && !c.last { // an hour later they are seen, so that not seeing them says something
			await(t, "the server to have read the clicks of "+c.name, func() bool {
				return strings.Contains(fmt.Sprint(ask(n, c.timeMS+3_600_000)["ids"]), fmt.Sprintf("own%d-", n))
			}, p)
		}
		row := ask(n, c.timeMS)
		if c.before {
			row["computed"] = 1
		}
		if err := c.check(n, row, false); err != nil {
			t.Errorf("online: impression %d, click %s: %v\n%v", n, c.name, err, row)
		}
	}
	p.stop()
}
