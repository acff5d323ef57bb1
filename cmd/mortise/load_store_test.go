package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const loadable = `
experiment: loadable
sources:
  impressions:
    topic: l.impressions
    event_time: {field: ts}
    fields: {impression_id: string, ts: int, item_id: string}
  clicks:
    topic: l.clicks
    event_time: {field: ts}
    fields: {click_id: string, impression_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  labels:
    click: {source: clicks, within: 10m}
dimensions:
  item: {key: item_id, store: {pebble: {path: TABLE}}, timeout: 30s, as_of: event_time, history: {from: since, to: until}, fields: {brand: string, price: float?}}
  ready: {key: item_id, store: {file: {path: x.csv}}, fields: {brand: string}}
instance:
  select: [item_id, item.brand, item.price]
output:
  topic: {name: l.instances}
`

// TestLoad fills an embedded table, killed again and again, and then another into
// its place; rows of a backfill are as the files say.
func TestLoad(t *testing.T) {
	t.Parallel()
	rng, dir := random(t), t.TempDir()
	table := filepath.Join(dir, "table")
	file := write(t, filepath.Join(dir, "loadable.yaml"), strings.ReplaceAll(loadable, "TABLE", table))
	const items, changeMS = 30_000, 1_700_000_100_000
	contents := func(version string) string {
		var text strings.Builder
		text.WriteString("item_id,brand,price,since,until\n")
		for i := range items {
			fmt.Fprintf(&text, "i%d,%s-before,%d,,%d\ni%d,%s-after,,%d,\n", i, version, i, changeMS, i, version, changeMS)
		}
		return text.String()
	}
	first := write(t, filepath.Join(dir, "first.csv"), contents("first"))
	if r := execute(t, "load", file, "item", "--input", first, "--dry-run"); r.code != exitDone || !strings.Contains(r.out, "60,000 rows can be loaded, 0 cannot") {
		t.Errorf("dry run: %d %s%s", r.code, r.out, r.errOut)
	}
	if _, err := os.Stat(table); !os.IsNotExist(err) {
		t.Errorf("a dry run made the table: %v", err)
	}
	args := []string{"load", file, "item", "--input", first, "--state", filepath.Join(dir, "state"), "--json"}
	for range 3 {
		p := start(t, args...)
		pause := time.NewTimer(time.Duration(rng.IntN(600)) * time.Millisecond)
		select {
		case <-pause.C:
		case <-p.done:
		}
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
	}
	var report struct {
		Version string
		Rows    int
		Written []struct {
			Rows, Resumed int
			Switched      bool
			AlreadyIn     bool `json:"already_in"`
		}
	}
	loaded := func() {
		t.Helper()
		r := succeed(t, args...)
		if err := json.Unmarshal([]byte(r), &report); err != nil {
			t.Fatal(err)
		}
	}
	loaded()
	t.Logf("the last load: %+v", report)
	if w := report.Written[0]; !w.AlreadyIn && (!w.Switched || report.Rows != 2*items) {
		t.Errorf("%+v", report)
	}
	loaded()
	if !report.Written[0].AlreadyIn {
		t.Errorf("loaded again: %+v", report)
	}
	var imps strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&imps, `{"impression_id":"m%d","ts":%d,"item_id":"i%d"}`+"\n", i, changeMS-1000+int64(i), rng.IntN(items+100))
	}
	inputs := []string{"--input", "impressions=" + write(t, filepath.Join(dir, "imps.jsonl"), imps.String()), "--input", "clicks=" + write(t, filepath.Join(dir, "clicks.jsonl"), "")}
	check := func(version string) {
		t.Helper()
		out := succeed(t, append([]string{"debug", file, "--json", "--limit", "0"}, inputs...)...)
		rows := 0
		for line := range strings.Lines(out) {
			var story struct {
				Steps []struct {
					Row *struct {
						TimeMS   int64    `json:"event_time"`
						Item     string   `json:"item_id"`
						Brand    *string  `json:"item_brand"`
						Price    *float64 `json:"item_price"`
						Degraded []string `json:"degraded"`
					}
				}
			}
			if err := json.Unmarshal([]byte(line), &story); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			for _, in := range story.Steps {
				if in.Row == nil {
					continue
				}
				rows++
				var n int
				if _, err := fmt.Sscanf(in.Row.Item, "i%d", &n); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				want := version + "-before"
				if in.Row.TimeMS >= changeMS {
					want = version + "-after"
				}
				switch {
				case n >= items:
					if in.Row.Brand != nil || len(in.Row.Degraded) != 1 {
						t.Fatalf("an item that is not there: %s", line)
					}
				case in.Row.Brand == nil || *in.Row.Brand != want || (in.Row.Price != nil) != (in.Row.TimeMS < changeMS):
					t.Fatalf("%s: want %s", line, want)
				}
			}
		}
		if rows != 2000 {
			t.Errorf("%d rows of 2000\n%.500s", rows, out)
		}
	}
	check("first")
	second := write(t, filepath.Join(dir, "second.csv"), contents("second"))
	succeed(t, "load", file, "item", "--input", second)
	check("second")

	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"itme", "--input", first}, "it has item, ready"},
		{[]string{"item"}, "load needs --input"},
		{[]string{"ready", "--input", first}, "a file is filled by putting another in its place"},
		{[]string{"item", "--input", write(t, filepath.Join(dir, "bad.csv"), "item_id,brand\nx,a\n,b\n")}, "bad.csv:3: column item_id"},
		{[]string{"item", "--input", filepath.Join(dir, "none.csv")}, "none.csv"},
	} {
		r := execute(t, append([]string{"load", file}, c.args...)...)
		if r.code == exitDone || !strings.Contains(r.errOut, c.want) {
			t.Errorf("load %v: %d %s", c.args, r.code, r.errOut)
		}
	}
	check("second")
}
