package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

const loadedItems = `
experiment: loaded
sources:
  impressions:
    topic: lo.impressions
    event_time: {field: ts}
    fields: {impression_id: string, ts: int, item_id: string}
  clicks:
    topic: lo.clicks
    event_time: {field: ts}
    fields: {click_id: string, impression_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  labels:
    click: {source: clicks, within: 10m}
dimensions:
  item: {key: item_id, store: STORE1, timeout: 30s, as_of: event_time, history: {from: since, to: until}, fields: {brand: string, price: float?}}
  latest: {key: item_id, store: STORE2, timeout: 30s, as_of: emission, fields: {brand: string, price: float?}}
  priced: {key: item_id, store: STORE2, timeout: 30s, as_of: emission, fields: {price: float?}}
instance:
  select: [item_id, item.brand, item.price, latest.brand, priced.price]
output:
  topic: {name: lo.instances}
`

// loadedRow is a row as it must be: of an item n of 3,000, whose brand and price
// changed at loadedMS; of the items that end, a second later there is nothing.
type loadedRow struct {
	ID          string   `json:"instance_id"`
	TimeMS      int64    `json:"event_time"`
	Item        string   `json:"item_id"`
	Brand       *string  `json:"item_brand"`
	Price       *float64 `json:"item_price"`
	LatestBrand *string  `json:"latest_brand"`
	PricedPrice *float64 `json:"priced_price"`
	Degraded    []string `json:"degraded"`
}

const (
	loadedCount = 3000
	loadedMS    = 1_700_000_100_000
)

func endsAt(n int) (ms int64, ends bool) { return loadedMS + 1000, n%5 == 4 }

// loadedFiles writes the rows of a version, with their history and the latest alone.
func loadedFiles(t *testing.T, dir, version string) (history, latest string) {
	t.Helper()
	var all, last strings.Builder
	all.WriteString("item_id,brand,price,since,until\n")
	last.WriteString("item_id,brand,price\n")
	for i := range loadedCount {
		end := ""
		if ms, ends := endsAt(i); ends {
			end = fmt.Sprint(ms)
		}
		fmt.Fprintf(&all, "i%d,%s-before,%d.5,,%d\ni%d,%s-after,,%d,%s\n", i, version, i, loadedMS, i, version, loadedMS, end)
		fmt.Fprintf(&last, "i%d,%s-latest,%d\n", i, version, i)
	}
	return write(t, filepath.Join(dir, version+"-history.csv"), all.String()), write(t, filepath.Join(dir, version+"-latest.csv"), last.String())
}

func (r *loadedRow) check(t *testing.T, version string) {
	t.Helper()
	var n int
	if _, err := fmt.Sscanf(r.Item, "i%d", &n); err != nil {
		t.Fatalf("%+v: %v", r, err)
	}
	brand, latest, price, degraded := version+"-before", version+"-latest", true, []string(nil)
	if r.TimeMS >= loadedMS {
		brand, price = version+"-after", false
	}
	if end, ends := endsAt(n); ends && r.TimeMS >= end {
		brand, price, degraded = "", false, append(degraded, "item:missing")
	}
	if n >= loadedCount {
		brand, latest, price, degraded = "", "", false, []string{"item:missing", "latest:missing", "priced:missing"}
	}
	if (r.Brand == nil) != (brand == "") || r.Brand != nil && *r.Brand != brand || (r.Price != nil) != price || price && *r.Price != float64(n)+.5 ||
		(r.LatestBrand == nil) != (latest == "") || r.LatestBrand != nil && *r.LatestBrand != latest || (r.PricedPrice == nil) != (latest == "") || latest != "" && *r.PricedPrice != float64(n) || fmt.Sprint(r.Degraded) != fmt.Sprint(degraded) {
		t.Fatalf("row %+v: %q, a price %t, %q, degraded %v were to be expected", *r, brand, price, latest, degraded)
	}
}

// TestLoadIntoServers fills tables of real databases, killed at work and gone on
// with: readers see the old rows until the load is over, then the new ones, and
// rows of a run are those of a backfill over the file that was loaded.
func TestLoadIntoServers(t *testing.T) {
	t.Parallel()
	for _, s := range tableServers {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			loadInto(t, s.open(t))
		})
	}
}

func loadInto(t *testing.T, to tables) {
	rng, dir := random(t), t.TempDir()
	withHistory, latest := newTable(), newTable()
	to.create(t, withHistory, true)
	to.create(t, latest, false)
	file := servedBy(t, filepath.Join(dir, "loaded.yaml"), loadedItems, to.store(withHistory), to.store(latest))
	var imps strings.Builder
	for i := range 1500 {
		at := loadedMS + []int64{-1, 0, 1, 999, 1000, 1001, rng.Int64N(4000) - 2000}[rng.IntN(7)]
		fmt.Fprintf(&imps, `{"impression_id":"m%d","ts":%d,"item_id":"i%d"}`+"\n", i, at, rng.IntN(loadedCount+200))
	}
	inputs := []string{"--input", "impressions=" + write(t, filepath.Join(dir, "imps.jsonl"), imps.String()), "--input", "clicks=" + write(t, filepath.Join(dir, "clicks.jsonl"), "")}
	backfill := func(file, out string) string {
		succeed(t, append([]string{"backfill", file, "--out", filepath.Join(dir, out), "--scratch", filepath.Join(dir, "scratch")}, inputs...)...)
		return filepath.Join(dir, out)
	}

	history1, latest1 := loadedFiles(t, dir, "first")
	load := []string{"load", file, "item", "--json", "--state", filepath.Join(dir, "state"), "--input"}
	begun := []string{history1, "--version", killAtWork(t, dir, append(load, history1), "first")}
	resumed := loadJSON(t, append(load, begun...)...)
	if again := loadJSON(t, append(load, begun...)...); again != (filledStore{AlreadyIn: true, Switched: again.Switched}) || resumed.Resumed == 0 || !resumed.Switched {
		t.Errorf("resumed: %+v; loaded again: %+v", resumed, again)
	}
	loadJSON(t, "load", file, "latest", "--json", "--input", latest1)
	data := filepath.Join(dir, "data")
	if r := runToEnd(t, append(inputs, file, "--embedded", data, "--partitions", "2")...); r.Instances != 1500 {
		t.Errorf("%+v", *r)
	}
	for _, text := range tailed(t, "lo.instances", "--embedded", data) {
		row := decode[loadedRow](t, text)
		row.check(t, "first")
	}
	of := func(history, latest string) string {
		return servedBy(t, filepath.Join(dir, "files.yaml"), loadedItems, fmt.Sprintf("{file: {path: %s}}", history), fmt.Sprintf("{file: {path: %s}}", latest))
	}
	equal := func(a, b string) {
		t.Helper()
		if r := execute(t, "diff", a, b, "--embedded", data); r.code != exitDone {
			t.Errorf("%s and %s differ:\n%s%s", a, b, r.out, r.errOut)
		}
	}
	first := backfill(of(history1, latest1), "first")
	equal("topic:lo.instances", first)

	history2, latest2 := loadedFiles(t, dir, "second")
	begun = []string{history2, "--version", killAtWork(t, dir, append(load, history2), "second")}
	before := first
	if begun[2] != "second0" { // others were over before they were killed
		before = backfill(of(history2, latest1), "between")
	}
	equal(before, backfill(file, "meanwhile"))
	loadJSON(t, append(load, begun...)...)
	loadJSON(t, "load", file, "latest", "--json", "--input", latest2)
	equal(backfill(of(history2, latest2), "second"), backfill(file, "anew"))
}

// filledStore is what a load tells of its store.
type filledStore struct {
	Rows, Resumed int
	Switched      bool
	AlreadyIn     bool `json:"already_in"`
}

func loadJSON(t *testing.T, args ...string) filledStore {
	t.Helper()
	var report struct{ Written []filledStore }
	if err := json.Unmarshal([]byte(succeed(t, args...)), &report); err != nil || len(report.Written) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	report.Written[0].Rows = 0
	return report.Written[0]
}

// killAtWork kills a load that has written some rows and not all, and returns the
// version that it was to become. One that was over too soon is loaded anew, as
// another.
func killAtWork(t *testing.T, dir string, args []string, name string) (version string) {
	t.Helper()
	for n := 0; ; n++ {
		version = fmt.Sprint(name, n)
		marks := filepath.Join(dir, "state", "loads", "item-"+version+"-*.json")
		written := func() bool { found, _ := filepath.Glob(marks); return len(found) > 0 }
		p := start(t, append(args, "--version", version)...)
		await(t, "the first rows to be written", func() bool { return p.ended() || written() })
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
		found, _ := filepath.Glob(marks) // what is over leaves none
		if len(found) > 0 && !strings.Contains(read(t, found[0]), fmt.Sprintf(`"pass":1,"lines":%d}`, 2*loadedCount)) {
			return version
		}
	}
}
