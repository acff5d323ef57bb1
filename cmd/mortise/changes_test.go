package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const changed = `
experiment: changed
sources:
  impressions:
    topic: ch.impressions
    event_time: {field: ts}
    fields: {impression_id: string, ts: int, item_id: string}
  clicks:
    topic: ch.clicks
    event_time: {field: ts}
    fields: {click_id: string, impression_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  labels:
    click: {source: clicks, within: 10m}
dimensions:
  item:
    key: item_id
    store: {pebble: {path: TABLE}}
    as_of: event_time
    fields: {category: string, price: float?}
    timeout: 30s
    changes: {topic: shop.items, format: debezium, key: id, out_of_orderness: 1m}
  copy:
    key: item_id
    store: {pebble: {path: TABLE}}
    as_of: emission
    fields: {category: string, price: float?}
    timeout: 30s
    changes: {topic: shop.items, format: debezium, key: id, out_of_orderness: 1m}
instance:
  select: [item_id, item.category, item.price]
output:
  topic: {name: ch.instances}
`

// itemChange is what a message says of an item.
type itemChange struct {
	atMS     int64
	deleted  bool
	category string // empty: not said
	price    *float64
}

// changeTraffic writes impressions of 40 items and their changes, which come up to
// 20 seconds out of order; some name one column alone, some are broken.
func changeTraffic(t *testing.T, dir string, rng *rand.Rand, n int) (impressions map[string]int64, said map[string][]itemChange, broken int) {
	t.Helper()
	const firstMS = int64(1_700_000_000_000)
	impressions, said = map[string]int64{}, map[string][]itemChange{}
	var imps, clicks, lines strings.Builder
	for i := range n {
		at := firstMS + int64(i)*500
		item := fmt.Sprintf("item|%d", rng.IntN(40))
		id := fmt.Sprintf("%s#%d", item, i)
		impressions[id] = at
		fmt.Fprintf(&imps, `{"impression_id":%q,"ts":%d,"item_id":%q}`+"\n", id, at, item)
		if rng.IntN(8) == 0 {
			fmt.Fprintf(&clicks, `{"click_id":"c%d","impression_id":%q,"ts":%d}`+"\n", i, id, at+rng.Int64N(500_000))
		}
	}
	for i := range n {
		item := fmt.Sprintf("item|%d", rng.IntN(40))
		c := itemChange{atMS: firstMS + int64(i)*500 - rng.Int64N(20_000)}
		if rng.IntN(4) == 0 {
			c.atMS = impressions[item+"#"+fmt.Sprint(i)]
			if c.atMS == 0 {
				c.atMS = firstMS + int64(i)*500 + rng.Int64N(3) - 1
			}
		}
		row := fmt.Sprintf(`"id":%q`, item)
		switch rng.IntN(8) {
		case 0:
			c.deleted = true
			fmt.Fprintf(&lines, `{"op":"d","before":{%s},"after":null,"source":{"ts_ms":%d,"db":"shop","table":"items"}}`+"\n", row, c.atMS)
			said[item] = append(said[item], c)
			continue
		case 1:
			broken++
			fmt.Fprintf(&lines, `{"op":"u","after":{%s,"category":7},"source":{"ts_ms":%d}}`+"\n", row, c.atMS)
			continue
		}
		if rng.IntN(3) > 0 {
			c.category = fmt.Sprintf("cat-%d", rng.IntN(5))
			row += fmt.Sprintf(`,"category":%q`, c.category)
		}
		if rng.IntN(3) > 0 {
			price := float64(rng.IntN(100)) / 4
			c.price = &price
			row += fmt.Sprintf(`,"price":%g`, price)
		}
		fmt.Fprintf(&lines, `{"op":"u","after":{%s},"source":{"ts_ms":%d,"db":"shop","table":"items"}}`+"\n", row, c.atMS)
		said[item] = append(said[item], c)
	}
	for name, text := range map[string]string{"impressions": imps.String(), "clicks": clicks.String(), "items": lines.String()} {
		write(t, filepath.Join(dir, name+".jsonl"), text)
	}
	return impressions, said, broken
}

// asOf is an item's row at a time: what its changes say by then, in order of time.
func asOf(all []itemChange, ms int64) (category string, price *float64) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b itemChange) int { return int(a.atMS - b.atMS) })
	for _, c := range all {
		switch {
		case c.atMS > ms:
		case c.deleted:
			category, price = "", nil
		default:
			if c.category != "" {
				category = c.category
			}
			if c.price != nil {
				price = c.price
			}
		}
	}
	if category == "" { // it may not be null: the row is not there yet
		return "", nil
	}
	return category, price
}

type changedRow struct {
	TimeMS   int64    `json:"event_time"`
	Item     string   `json:"item_id"`
	Category *string  `json:"item_category"`
	Price    *float64 `json:"item_price"`
	Degraded []string `json:"degraded"`
}

// TestChangeStreams: rows have what was so at their impression's millisecond,
// whatever order changes came in, though the run is killed again and again; a
// backfill of files has the same, and one of the topics.
func TestChangeStreams(t *testing.T) {
	t.Parallel()
	rng := random(t)
	dir := t.TempDir()
	impressions, said, broken := changeTraffic(t, dir, rng, 3000)
	file := write(t, filepath.Join(dir, "changed.yaml"), strings.ReplaceAll(changed, "TABLE", filepath.Join(dir, "table")))
	var inputs []string
	for name, path := range map[string]string{"impressions": "impressions", "clicks": "clicks", "shop.items": "items"} {
		inputs = append(inputs, "--input", name+"="+filepath.Join(dir, path+".jsonl"))
	}
	data, out := filepath.Join(dir, "data"), filepath.Join(dir, "out")
	args := toEnd(append(inputs, file, "--embedded", data, "--partitions", "3", "--commit-every", "20ms", "--close-rows", "200")...)
	for range 4 {
		p := start(t, args...)
		at := rng.Int64N(1 << 20)
		await(t, "the moment to kill", func() bool { return p.ended() || sizeOf(filepath.Join(data, "log")) >= at })
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
		if rng.IntN(3) == 0 {
			if err := os.RemoveAll(filepath.Join(dir, "table")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r := runToEnd(t, append(inputs, file, "--embedded", data, "--partitions", "3")...); r.Instances != int64(len(impressions)) {
		t.Fatalf("%+v", r)
	}
	degraded := 0
	for _, text := range tailed(t, "ch.instances", "--embedded", data) {
		var row changedRow
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			t.Fatal(err)
		}
		category, price := asOf(said[row.Item], row.TimeMS)
		missing := category == ""
		if (row.Category == nil) != missing || !missing && *row.Category != category || (row.Price == nil) != (price == nil) || price != nil && *row.Price != *price || (len(row.Degraded) > 0) != missing {
			t.Fatalf("row %s: %q %v was to be expected", text, category, price)
		}
		degraded += len(row.Degraded)
	}
	if degraded == 0 || degraded == len(impressions) {
		t.Errorf("%d of %d rows without their item", degraded, len(impressions))
	}
	letters := map[string]bool{}
	for _, text := range tailed(t, "dead-letters.changed", "--embedded", data) {
		var dl struct {
			Source, Topic string
			Partition     int
			Offset        int64
		}
		if err := json.Unmarshal([]byte(text), &dl); err != nil || dl.Topic != "shop.items" || dl.Source != "item" {
			t.Errorf("dead letter %s: %v", text, err)
		}
		letters[fmt.Sprint(dl.Partition, " ", dl.Offset)] = true
	}
	if len(letters) != broken {
		t.Errorf("%d broken messages in the dead letters, of %d", len(letters), broken)
	}
	succeed(t, append([]string{"backfill", file, "--out", out, "--scratch", filepath.Join(dir, "scratch"), "--splits", "3"}, inputs...)...)
	succeed(t, "backfill", file, "--out", out+"2", "--scratch", filepath.Join(dir, "scratch"), "--embedded", data)
	for _, dataset := range []string{out, out + "2"} {
		if r := execute(t, "diff", "topic:ch.instances", dataset, "--embedded", data); r.code != exitDone {
			t.Errorf("stream and backfill differ:\n%s%s", r.out, r.errOut)
		}
	}
	more := write(t, filepath.Join(dir, "more.jsonl"), `{"op":"d","before":{"id":"item|1"},"source":{"ts_ms":1700000000000}}`)
	fails(t, exitFailed, []string{"holds another backfill: of shop.items without " + more},
		append([]string{"backfill", file, "--out", out, "--scratch", filepath.Join(dir, "scratch"), "--splits", "3", "--input", "shop.items=" + more}, inputs...)...)
	r := execute(t, append([]string{"debug", file, "--json"}, inputs...)...)
	if r.code != exitDone || !strings.Contains(r.out, `"item_category":"cat-`) {
		t.Errorf("debug: %d\n%.2000s%s", r.code, r.out, r.errOut)
	}
}
