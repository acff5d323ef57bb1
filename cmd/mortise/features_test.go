package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/experiments/broker"
	"github.com/mortise-dev/mortise/internal/redistest"
)

// featured is an experiment over generated traffic with features of every kind of
// entity: the item, the segment, both; over the main stream, a label's, and one
// that nobody joins.
const featured = `
experiment: featured
sources:
  impressions:
    topic: f.impressions
    event_time: {field: ts}
    fields: {impression_id: string, request_id: string, ts: int, user_segment: string, item_id: string, position: int, propensity: float}
  clicks:
    topic: f.clicks
    event_time: {field: ts}
    fields: {click_id: string, impression_id: string, ts: int, item_id: string, user_segment: string, dwell: float?}
  queries:
    topic: f.queries
    event_time: {field: ts}
    fields: {query_id: string, request_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  labels:
    click: {source: clicks, within: 10m}
features:
  clicks_10m: {source: clicks, entity: item_id, agg: count, window: 10m, tile: 10s}
  imps_1h: {source: impressions, entity: item_id, agg: count, window: 1h, tile: 1m}
  ctr: {expr: "imps_1h == 0 ? 0.0 : clicks_10m / imps_1h"}
  last: {source: clicks, entity: user_segment, agg: "last_n(item_id, 3)", window: 1h, tile: 10s}
  dwell: {source: clicks, entity: [user_segment, item_id], agg: avg(dwell), window: 2h, tile: 1m}
  spread: {source: impressions, entity: user_segment, agg: stddev(propensity), window: 30m, tile: 10s, where: position <= 3}
  decayed: {source: impressions, entity: item_id, agg: "decayed_sum(propensity, 5m)", window: 1h, tile: 10s}
  items: {source: impressions, entity: user_segment, agg: distinct(item_id), window: 1h, tile: 1m}
  asked: {source: queries, entity: request_id, agg: count, window: 1h, tile: 10s}
instance:
  select: [user_segment, item_id, position, clicks_10m, imps_1h, ctr, last, dwell, spread, decayed, items, asked]
output:
  topic: {name: f.instances}
`

// featuredTraffic generates the inputs of featured.
func featuredTraffic(t *testing.T, dir string, impressions int) (inputs []string) {
	t.Helper()
	succeed(t, "generate", "--out", filepath.Join(dir, "traffic"), "--impressions", fmt.Sprint(impressions), "--items", "60", "--rate", "4", "--seed", "5")
	for _, name := range []string{"impressions", "clicks", "queries"} {
		inputs = append(inputs, "--input", name+"="+filepath.Join(dir, "traffic", name+".jsonl"))
	}
	return inputs
}

// TestFeatures runs features as a stream, killed again and again, and as a
// backfill, and has diff compare every column; then it asks a server for what the
// rows had, as of their time.
func TestFeatures(t *testing.T) {
	t.Parallel()
	rng := random(t)
	dir := t.TempDir()
	file, inputs := write(t, filepath.Join(dir, "featured.yaml"), featured), featuredTraffic(t, dir, 4000)
	data, out := filepath.Join(dir, "data"), filepath.Join(dir, "out")
	args := toEnd(append(inputs, file, "--embedded", data, "--partitions", "3", "--commit-every", "20ms", "--close-rows", "300")...)
	for range 5 {
		p := start(t, args...)
		at := rng.Int64N(3 << 20)
		await(t, "the moment to kill", func() bool { return p.ended() || sizeOf(filepath.Join(data, "log")) >= at })
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
		if rng.IntN(4) == 0 {
			if err := os.RemoveAll(filepath.Join(data, "state")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if r := runToEnd(t, append(inputs, file, "--embedded", data, "--partitions", "3")...); r.Instances != 4000 {
		t.Fatalf("%+v", r)
	}
	succeed(t, append([]string{"backfill", file, "--out", out, "--scratch", filepath.Join(dir, "scratch"), "--splits", "3", "--workers", "2"}, inputs...)...)
	if r := execute(t, "diff", "topic:f.instances", out, "--embedded", data); r.code != exitDone {
		t.Errorf("stream and backfill differ:\n%s%s", r.out, r.errOut)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "scratch", "*")); err != nil || len(left) > 0 {
		t.Errorf("the backfill leaves %v behind", left)
	}
	rows := tailed(t, "f.instances", "--embedded", data)
	checkOnline(t, rng, file, data, rows)
}

var servedOn = regexp.MustCompile(`features on (http://\S+)`)

// checkOnline compares rows with what a server answers as of their time.
func checkOnline(t *testing.T, rng *rand.Rand, file, data string, rows []string) {
	t.Helper()
	p := start(t, "serve", file, "--embedded", data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--drain", "10ms")
	await(t, "the server", func() bool { return servedOn.MatchString(p.errOut.String()) }, p)
	url := servedOn.FindStringSubmatch(p.errOut.String())[1]
	compared := 0
	for range 40 {
		text := rows[rng.IntN(len(rows))]
		var row map[string]any
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&row); err != nil {
			t.Fatal(err)
		}
		names := []string{"clicks_10m", "imps_1h", "ctr", "last", "dwell", "spread", "decayed", "items"}
		want := make([]any, len(names))
		for i, name := range names {
			want[i] = row[name]
		}
		body := fmt.Sprintf(`{"features":["%s"],"entities":[{"item_id":%q,"user_segment":%q}],"as_of":%s}`,
			strings.Join(names, `","`), row["item_id"], row["user_segment"], row["event_time"])
		var got string
		await(t, "the server to have read up to "+fmt.Sprint(row["event_time"]), func() bool {
			var a struct {
				Rows     [][]any
				Features []struct{ Final *bool }
			}
			answer := post(t, url, body)
			d := json.NewDecoder(strings.NewReader(answer))
			d.UseNumber()
			if err := d.Decode(&a); err != nil || len(a.Rows) != 1 {
				t.Fatalf("%v: %s", err, answer)
			}
			got = fmt.Sprint(a.Rows[0])
			for _, f := range a.Features {
				if f.Final != nil && !*f.Final {
					return got == fmt.Sprint(want) // near the end of the log, which wall time alone makes final
				}
			}
			return true
		}, p)
		if got != fmt.Sprint(want) {
			t.Errorf("online %s\nrow    %s\nof %s", got, want, text)
		}
		compared++
	}
	if code, metrics := get(t, strings.TrimSuffix(url, "/v1/features")+"/metrics"); code != http.StatusOK || !strings.Contains(metrics, `mortise_online_requests_total{code="200"}`) {
		t.Errorf("metrics: %d", code)
	}
	out := succeed(t, "status", "--embedded", data, "--http", strings.TrimSuffix(url, "/v1/features"))
	for _, source := range []string{"impressions", "clicks", "queries"} {
		if !regexp.MustCompile(`(?m)^  ` + source + ` +0  +2026-01-01 \d\d:\d\d:\d\d +0 +[1-9][\d,]* +0 +0 +the first row$`).MatchString(out) {
			t.Errorf("status --http does not show the features of %s:\n%s", source, out)
		}
	}
	p.stop()
}

func post(t *testing.T, url, body string) string {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestFeatureAddedToARun adds a feature to an experiment that has been running: it
// is read from the beginning of the topics, and the rows that follow have it whole.
func TestFeatureAddedToARun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inputs := featuredTraffic(t, dir, 1500)
	data := filepath.Join(dir, "data")
	little := strings.NewReplacer("  items: {source: impressions, entity: user_segment, agg: distinct(item_id), window: 1h, tile: 1m}\n", "", "decayed, items, asked", "decayed, asked").Replace(featured)
	file := write(t, filepath.Join(dir, "featured.yaml"), little)
	if r := runToEnd(t, append(inputs, file, "--embedded", data)...); r.Instances != 1500 {
		t.Fatalf("%+v", r)
	}
	// The same group goes on with the feature; nothing new comes in, so another
	// group reads everything again to show the values.
	file = write(t, filepath.Join(dir, "more.yaml"), strings.Replace(featured, "f.instances", "f.more", 1))
	if r := runToEnd(t, file, "--embedded", data, "--group", "again"); r.Instances != 1500 {
		t.Fatalf("%+v", r)
	}
	out := filepath.Join(dir, "out")
	succeed(t, append([]string{"backfill", file, "--out", out, "--scratch", filepath.Join(dir, "scratch")}, inputs...)...)
	if r := execute(t, "diff", "topic:f.more", out, "--embedded", data); r.code != exitDone {
		t.Errorf("stream and backfill differ:\n%s%s", r.out, r.errOut)
	}
}

// TestFeaturesShared has two workers share a run and, in Redis, its features; one
// of them is killed and comes back. Rows are those of a backfill.
func TestFeaturesShared(t *testing.T) {
	t.Parallel()
	rng := random(t)
	server := redistest.Shared(t)
	dir := t.TempDir()
	text := strings.Replace(featured, "instance:", fmt.Sprintf("feature_store: {redis: {addrs: %q, prefix: shared-%d}}\ninstance:", server.Addr, rng.Int64()), 1)
	file, inputs := write(t, filepath.Join(dir, "featured.yaml"), text), featuredTraffic(t, dir, 3000)
	data, out := filepath.Join(dir, "data"), filepath.Join(dir, "out")
	first := start(t, toEnd(append(inputs, file, "--embedded", data, "--partitions", "4", "--commit-every", "20ms", "--close-rows", "200")...)...)
	await(t, "the broker", func() bool { _, running := broker.Attach(data); return running }, first)
	second := func() *process {
		return start(t, toEnd(file, "--embedded", data, "--state", filepath.Join(dir, "second"), "--commit-every", "20ms", "--close-rows", "200")...)
	}
	other := second()
	at := rng.Int64N(2 << 20)
	await(t, "the moment to kill", func() bool { return first.ended() || other.ended() || sizeOf(filepath.Join(data, "log")) >= at })
	_ = other.cmd.Process.Kill() // it may have ended
	<-other.done
	other = second()
	// The first may have come to the end by itself meanwhile, and its broker with it.
	if code := other.wait(); code != exitDone && !strings.Contains(other.errOut.String(), "connecting to Kafka") {
		t.Errorf("the second worker ended with %d\n%s", code, other.errOut.String())
	}
	if code := first.wait(); code != exitDone {
		t.Fatalf("the first worker ended with %d\n%s", code, first.errOut.String())
	}
	succeed(t, append([]string{"backfill", file, "--out", out, "--scratch", filepath.Join(dir, "scratch")}, inputs...)...)
	if r := execute(t, "diff", "topic:f.instances", out, "--embedded", data); r.code != exitDone {
		t.Errorf("stream and backfill differ:\n%s%s", r.out, r.errOut)
	}
}
