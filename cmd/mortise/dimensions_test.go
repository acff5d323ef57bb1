package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dimensioned is an experiment whose rows have dimensions of every as_of and
// missing, out of files, and features computed from them.
const dimensioned = `
experiment: dimensioned
sources:
  impressions:
    topic: d.impressions
    event_time: {field: ts}
    fields: {impression_id: string, ts: int, user_segment: string, item_id: string, position: int}
  clicks:
    topic: d.clicks
    event_time: {field: ts}
    fields: {click_id: string, impression_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  labels:
    click: {source: clicks, within: 10m}
features:
  imps_1h: {source: impressions, entity: item_id, agg: count, window: 1h, tile: 1m}
  value: {expr: "item.price == nil ? -1.0 : item.price * position + imps_1h"}
dimensions:
  item: {key: item_id, store: {file: {path: ITEMS}}, fields: {category: string, price: float?}}
  latest: {key: item_id, store: {file: {path: ITEMS}}, as_of: emission, missing: default, fields: {brand: string}}
  segment: {key: user_segment, store: {file: {path: SEGMENTS}}, as_of: event_time, history: {from: since, to: until}, fields: {size: int}}
  both: {key: [user_segment, position], store: {file: {path: BOTH}}, missing: dead_letter, fields: {boost: float}}
instance:
  select: [user_segment, item_id, position, item.category, latest.brand, segment.size, both.boost, imps_1h, value]
output:
  topic: {name: d.instances}
`

// sizedAt are the times at which the segments seg-0 on change their size.
type sizedAt [40]int64

// dimensionFiles writes the tables of dimensioned, for items item-0 to item-59 and
// segments seg-0 on, and returns the experiment's file.
func dimensionFiles(t *testing.T, dir string, sized *sizedAt) string {
	t.Helper()
	var items, segments, both strings.Builder
	items.WriteString("item_id,category,price,brand\n")
	for i := range 60 {
		if i%7 == 3 {
			continue // has no row
		}
		price := fmt.Sprint(float64(i) / 4)
		if i%5 == 0 {
			price = ""
		}
		fmt.Fprintf(&items, "item-%d,cat-%d,%s,brand-%d\n", i, i%8, price, i%3)
	}
	segments.WriteString("user_segment,since,until,size\n")
	for i, at := range sized {
		fmt.Fprintf(&segments, "seg-%d,,%d,%d\nseg-%d,%d,,%d\n", i, at, i, i, at, 1000+i)
	}
	both.WriteString("user_segment,position,boost\n")
	for i := range 40 {
		for position := 1; position <= 30; position++ {
			if (i+position)%6 != 0 {
				fmt.Fprintf(&both, "seg-%d,%d,%g\n", i, position, float64(i*position)/8)
			}
		}
	}
	text := dimensioned
	for name, content := range map[string]string{"ITEMS": items.String(), "SEGMENTS": segments.String(), "BOTH": both.String()} {
		text = strings.ReplaceAll(text, name, write(t, filepath.Join(dir, strings.ToLower(name)+".csv"), content))
	}
	return write(t, filepath.Join(dir, "dimensioned.yaml"), text)
}

type dimensionedRow struct {
	ID       string   `json:"instance_id"`
	TimeMS   int64    `json:"event_time"`
	Segment  string   `json:"user_segment"`
	Item     string   `json:"item_id"`
	Position int      `json:"position"`
	Category *string  `json:"item_category"`
	Brand    *string  `json:"latest_brand"`
	Size     *int     `json:"segment_size"`
	Boost    *float64 `json:"both_boost"`
	Imps     int      `json:"imps_1h"`
	Value    float64  `json:"value"`
	Degraded []string `json:"degraded"`
}

// check holds a row against the tables that dimensionFiles writes.
func (r *dimensionedRow) check(t *testing.T, sized *sizedAt) {
	t.Helper()
	var item, segment int
	if _, err := fmt.Sscanf(r.Item+" "+r.Segment, "item-%d seg-%d", &item, &segment); err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	var degraded []string
	category, brand, value := fmt.Sprintf("cat-%d", item%8), fmt.Sprintf("brand-%d", item%3), -1.0
	if item%7 == 3 {
		category, brand, degraded = "", "", []string{"item:missing", "latest:default"}
	} else if item%5 != 0 {
		value = float64(item)/4*float64(r.Position) + float64(r.Imps)
	}
	size := segment
	if r.TimeMS >= sized[segment] {
		size += 1000
	}
	if (category == "") != (r.Category == nil) || r.Category != nil && *r.Category != category || r.Brand == nil || *r.Brand != brand || r.Value != value ||
		r.Size == nil || *r.Size != size || r.Boost == nil || *r.Boost != float64(segment*r.Position)/8 || fmt.Sprint(r.Degraded) != fmt.Sprint(degraded) {
		t.Errorf("row %s: category %q, brand %q, value %v, size %d, degraded %v were to be expected in %+v", r.ID, category, brand, value, size, degraded, r)
	}
}

// TestDimensions runs dimensions as a stream, killed again and again, and as a
// backfill: every row is as the tables say, both have the same, and what has no row
// where it must have one is in the dead letters and on the account.
func TestDimensions(t *testing.T) {
	t.Parallel()
	rng := random(t)
	dir := t.TempDir()
	succeed(t, "generate", "--out", filepath.Join(dir, "traffic"), "--impressions", "4000", "--items", "60", "--rate", "4", "--seed", "5")
	var inputs []string
	for _, name := range []string{"impressions", "clicks"} {
		inputs = append(inputs, "--input", name+"="+filepath.Join(dir, "traffic", name+".jsonl"))
	}
	sized := aroundImpressions(t, filepath.Join(dir, "traffic", "impressions.jsonl"))
	file := dimensionFiles(t, dir, sized)
	data, out := filepath.Join(dir, "data"), filepath.Join(dir, "out")
	args := toEnd(append(inputs, file, "--embedded", data, "--partitions", "3", "--commit-every", "20ms", "--close-rows", "300")...)
	for range 5 {
		p := start(t, args...)
		at := rng.Int64N(2 << 20)
		await(t, "the moment to kill", func() bool { return p.ended() || sizeOf(filepath.Join(data, "log")) >= at })
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
		if rng.IntN(4) == 0 {
			if err := os.RemoveAll(filepath.Join(data, "state")); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := runToEnd(t, append(inputs, file, "--embedded", data, "--partitions", "3")...)
	rejected := r.Impressions.Dropped["dimension"]
	if r.Instances+rejected != 4000 || r.Instances < 2500 || rejected < 100 {
		t.Fatalf("%+v", r)
	}
	rows := tailed(t, "d.instances", "--embedded", data)
	if int64(len(rows)) != r.Instances {
		t.Errorf("%d rows of %d", len(rows), r.Instances)
	}
	for _, text := range rows {
		var row dimensionedRow
		if err := json.Unmarshal([]byte(text), &row); err != nil {
			t.Fatal(err)
		}
		row.check(t, sized)
	}
	letters := tailed(t, "dead-letters.dimensioned", "--embedded", data)
	for _, text := range letters {
		if !strings.Contains(text, `"reason":"dimension"`) || !strings.Contains(text, `no row of key \"seg-`) || !strings.Contains(text, `impression_id`) {
			t.Errorf("dead letter %s", text)
		}
	}
	if int64(len(letters)) != rejected {
		t.Errorf("%d dead letters of %d", len(letters), rejected)
	}
	succeed(t, append([]string{"backfill", file, "--out", out, "--scratch", filepath.Join(dir, "scratch"), "--splits", "3", "--workers", "2"}, inputs...)...)
	if r := execute(t, "diff", "topic:d.instances", out, "--embedded", data); r.code != exitDone {
		t.Errorf("stream and backfill differ:\n%s%s", r.out, r.errOut)
	}
	if back, err := os.ReadDir(filepath.Join(out, "_mortise", "backfill", "letters")); err != nil || len(back) == 0 {
		t.Errorf("the backfill's dead letters: %v, %v", back, err)
	}
}

// aroundImpressions has each segment's size change at an impression of it, one
// somewhere in the middle that gets a row, or a millisecond before or after.
func aroundImpressions(t *testing.T, path string) *sizedAt {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var times [len(sizedAt{})][]int64
	for line := range bytes.Lines(text) {
		var im struct {
			TS       int64
			Segment  string `json:"user_segment"`
			Position int
		}
		var segment int
		if json.Unmarshal(line, &im) != nil || im.Position < 1 {
			continue // there is junk
		}
		if _, err := fmt.Sscanf(im.Segment, "seg-%d", &segment); err == nil && segment < len(times) && (segment+im.Position)%6 != 0 {
			times[segment] = append(times[segment], im.TS)
		}
	}
	sized, around := &sizedAt{}, 0
	for i, all := range &times {
		sized[i] = 1_767_225_600_000
		if len(all) > 0 {
			sized[i] = all[len(all)/2] + int64(i%3) - 1
			around++
		}
	}
	if around < 20 {
		t.Fatalf("only %d segments have impressions", around)
	}
	return sized
}

// TestDebugShowsDimensions: debug tells how each dimension of a row was looked up and
// from when its row is valid, and of one without a row why it came to nothing.
func TestDebugShowsDimensions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const at = 1_767_225_720_000 // two minutes after the first
	imps := fmt.Sprintf(`{"impression_id":"i1","ts":%d,"user_segment":"seg-1","item_id":"item-3","position":2}
{"impression_id":"i2","ts":%d,"user_segment":"seg-2","item_id":"item-4","position":4}
{"impression_id":"i3","ts":%d,"user_segment":"seg-1","item_id":"item-4","position":2}
`, at, at, at+1)
	input := write(t, filepath.Join(dir, "imps.jsonl"), imps)
	sized := &sizedAt{}
	for i := range sized {
		sized[i] = at - 120_000 + int64(i%9)*60_000
	}
	file := dimensionFiles(t, dir, sized)
	out := succeed(t, "debug", file, "--input", "impressions="+input, "--key", "i1")
	for _, want := range []string{
		`→ emitted`, `item: key "item-3" in file, as of arrival: missing, there is no such row {"category":null,"price":null}`,
		`latest: key "item-3" in file, as of emission: default, there is no such row {"brand":""}`,
		`segment: key "seg-1" in file, as of event_time: store {"size":1001}, valid in [2026-01-01T00:01:00Z, …)`, `both: key "seg-1|2" in file`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("debug does not tell %s:\n%s", want, out)
		}
	}
	out = succeed(t, "debug", file, "--input", "impressions="+input, "--key", "i2")
	if !strings.Contains(out, "→ dropped [dimensioned]: dimension") || strings.Contains(out, "→ emitted") || !strings.Contains(out, `both: key "seg-2|4" in file, as of arrival: missing`) {
		t.Errorf("debug of an impression without a row:\n%s", out)
	}
	if out = succeed(t, "debug", file, "--input", "impressions="+input, "--key", "i3"); !strings.Contains(out, `"instance_id":"i3"`) {
		t.Errorf("the row of the impression after it:\n%s", out)
	}
	if out = succeed(t, "explain", file); !strings.Contains(out, "both by user_segment, position, as of arrival: boost float") {
		t.Errorf("explain:\n%s", out)
	}
}
