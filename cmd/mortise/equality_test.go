package main

import (
	"flag"
	"fmt"
	"math/rand"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/loadtest/traffic"
)

// The rows that a stream, its replay and a backfill make of the same events are
// the same bytes, once they are sorted: whatever the partitions, the workers, the
// format of the input and the order of its files.

var (
	equalitySeeds = flag.Int("equality-seeds", 2, "how many random experiments TestEqualityOfRandomExperiments compares")
	equalitySeed  = flag.Int64("equality-seed", 0, "compare the experiment of this seed alone")
	equalityRows  = flag.Int64("equality-rows", 4000, "impressions of each")
)

// everyLabel has what an experiment can say about labels: several, of one stream
// and of others, sums, conditions, a context, another key; and sampling, cleaning
// and derived fields.
const everyLabel = `experiment: equal
version: 2
sources:
  impressions:
    topic: e.impressions
    format: json
    event_time: {field: ts, unit: ms}
    out_of_orderness: OUT_OF_ORDER
    fields: {impression_id: string, request_id: string, ts: int, user_segment: string, item_id: string, position: int, propensity: float}
    where: position >= 1
    derive: {is_top: position == 1, odds: propensity / (1 - propensity)}
  clicks:
    topic: e.clicks
    format: json
    event_time: {field: ts, unit: ms}
    out_of_orderness: OUT_OF_ORDER
    fields: {click_id: string, impression_id: string, request_id: string, ts: int, dwell: float?}
  orders:
    topic: e.orders
    format: json
    event_time: {field: ts, unit: ms}
    out_of_orderness: OUT_OF_ORDER
    fields: {order_id: string, impression_id: string, request_id: string, ts: int, amount: float}
  queries:
    topic: e.queries
    format: json
    event_time: {field: ts, unit: ms}
    out_of_orderness: OUT_OF_ORDER
    fields: {query_id: string, request_id: string, ts: int, query: string}
join:
  main: impressions
  key: [request_id, impression_id]
  partition_by: request_id
  dedup: DEDUP
  delay: DELAY
  labels:
    click: {source: clicks, within: WITHIN}
    long_click: {source: clicks, within: WITHIN, where: dwell >= 20}
    order: {source: orders, within: WITHIN, value: amount}
    query: {source: queries, before: 10m, on: request_id}
instance:
  select: [user_segment, item_id, position, is_top, odds, propensity]
  sample: {negatives: NEGATIVES, by: request_id}
  emit: at_close
output:
  topic: {name: e.instances, format: json}
  parquet: {path: not-set}
`

// experimentOf fills in an experiment's choices.
func experimentOf(t *testing.T, choices ...string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "equal.yaml"), strings.NewReplacer(choices...).Replace(everyLabel))
}

var usualChoices = []string{"OUT_OF_ORDER", "30s", "DEDUP", "true", "DELAY", "1h", "WITHIN", "1h", "NEGATIVES", "0.5"}

// recordTraffic writes generated events and returns their files by source.
func recordTraffic(t *testing.T, o traffic.Options) map[string]string {
	t.Helper()
	g, err := traffic.New(o)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := g.WriteFiles(dir, "jsonl", nil); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for s := traffic.Impressions; s <= traffic.Queries; s++ {
		files[s.String()] = filepath.Join(dir, s.String()+".jsonl")
	}
	return files
}

// usualTraffic is whatever a site's logs have, none of it late.
func usualTraffic(seed uint64) traffic.Options {
	o := traffic.Realistic()
	o.Seed, o.Impressions, o.CTR, o.OrderShare, o.OddIDShare = seed, *equalityRows, .15, .3, .02
	o.DuplicateImpressions, o.DuplicateClicks, o.OrphanShare, o.JunkShare = .02, .1, .02, .01
	return o
}

func inputFlags(files map[string]string) (args []string) {
	for _, name := range []string{"impressions", "clicks", "orders", "queries"} {
		if files[name] != "" {
			args = append(args, "--input", name+"="+files[name])
		}
	}
	return args
}

// scattered deals the lines of every file out to several ones of random names,
// some of them compressed, in random order, as no stream could take them.
func scattered(t *testing.T, rnd *rand.Rand, files map[string]string) map[string]string {
	t.Helper()
	globs := map[string]string{}
	for _, name := range []string{"impressions", "clicks", "orders", "queries"} {
		all := lines(read(t, files[name]))
		rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		dir := t.TempDir()
		for len(all) > 0 {
			n := min(1+rnd.Intn(1+len(all)/2), len(all))
			text := strings.Join(all[:n], "\n") + "\n"
			file := filepath.Join(dir, fmt.Sprintf("%s-%08x.jsonl", name, rnd.Uint32()))
			if rnd.Intn(2) == 0 {
				file, text = file+".gz", gzipped(t, text)
			}
			write(t, file, text)
			all = all[n:]
		}
		globs[name] = filepath.Join(dir, name+"-*")
	}
	return globs
}

// streamed runs the experiment over a fresh embedded broker and returns its rows,
// sorted, which are those of its dataset too, and the broker's directory.
func streamed(t *testing.T, file string, partitions int, args ...string) (rows []string, dir string) {
	t.Helper()
	dir = t.TempDir()
	out := filepath.Join(dir, "out")
	args = append([]string{file, "--embedded", dir, "--partitions", fmt.Sprint(partitions), "--set", "output.parquet.path=" + out}, args...)
	atEnd(t, tool(t, released(t), toEnd(args...)...))
	rows = topicRows(t, dir)
	same(t, "the stream's dataset", parquetIn(t, out).rows, rows)
	return rows, dir
}

func topicRows(t *testing.T, dir string) []string {
	t.Helper()
	rows := lines(tool(t, released(t), "tail", "e.instances", "--until-end", "--embedded", dir))
	slices.Sort(rows)
	return rows
}

// replayed publishes the files with replay, then runs on what is there.
func replayed(t *testing.T, file string, partitions int, inputs []string) []string {
	t.Helper()
	dir := t.TempDir()
	tool(t, released(t), append([]string{"replay", file, "--embedded", dir, "--listen", "127.0.0.1:0", "--partitions", fmt.Sprint(partitions)}, inputs...)...)
	atEnd(t, tool(t, released(t), toEnd(file, "--embedded", dir, "--set", "output.parquet.path="+filepath.Join(dir, "out"))...))
	return topicRows(t, dir)
}

// batchRows runs the batch and returns its rows, sorted, and the dataset.
func batchRows(t *testing.T, file string, args ...string) (rows []string, out string) {
	t.Helper()
	out = t.TempDir()
	tool(t, released(t), append([]string{"backfill", file, "--out", out, "--scratch", t.TempDir()}, args...)...)
	return parquetIn(t, out).rows, out
}

// TestEquality compares a stream over 1, 3 and 8 partitions, a replay, and
// backfills with one and four workers of files in order and scattered, with each
// other and by diff.
func TestEquality(t *testing.T) {
	t.Parallel()
	file := experimentOf(t, usualChoices...)
	files := recordTraffic(t, usualTraffic(7))
	inputs := inputFlags(files)
	want, stream := streamed(t, file, 1, inputs...)
	if len(want) < int(*equalityRows)/3 || !strings.Contains(strings.Join(want, ""), `"label_click_count":2`) {
		t.Fatalf("%d rows, or none with two clicks: too little to compare", len(want))
	}
	rnd := rand.New(rand.NewSource(1))
	mixed := inputFlags(scattered(t, rnd, files))
	for _, way := range []struct {
		name string
		rows func(t *testing.T) []string
	}{
		{"stream over 3 partitions", func(t *testing.T) []string { rows, _ := streamed(t, file, 3, inputs...); return rows }},
		{"stream over 8 partitions", func(t *testing.T) []string { rows, _ := streamed(t, file, 8, inputs...); return rows }},
		{"replay over 3 partitions", func(t *testing.T) []string { return replayed(t, file, 3, inputs) }},
		{"backfill by 1 worker", func(t *testing.T) []string { return backfilledAs(t, stream, file, append(inputs, "--workers", "1")...) }},
		{"backfill by 4 workers in 5 splits", func(t *testing.T) []string {
			return backfilledAs(t, stream, file, append(inputs, "--workers", "4", "--splits", "5")...)
		}},
		{"backfill of scattered files by 4 workers", func(t *testing.T) []string {
			return backfilledAs(t, stream, file, append(mixed, "--workers", "4", "--splits", "3", "--memory", "64MB")...)
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			same(t, way.name, way.rows(t), want)
		})
	}
}

// backfilledAs is batchRows, which diff must find equal to the stream.
func backfilledAs(t *testing.T, stream, file string, args ...string) []string {
	t.Helper()
	rows, out := batchRows(t, file, args...)
	for _, side := range []string{"topic:e.instances", filepath.Join(stream, "out")} {
		tool(t, released(t), "diff", side, out, "--embedded", stream)
	}
	return rows
}

// TestEqualityOfRandomExperiments compares a stream with a backfill, all choices
// by a seed.
func TestEqualityOfRandomExperiments(t *testing.T) {
	t.Parallel()
	seeds := []int64{*equalitySeed}
	if *equalitySeed == 0 {
		for range *equalitySeeds {
			seeds = append(seeds, rand.Int63())
		}
		seeds = seeds[1:]
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewSource(seed))
			pick := func(of ...string) string { return of[rnd.Intn(len(of))] }
			within := pick("1m", "10m", "1h")
			choices := []string{"OUT_OF_ORDER", pick("30s", "2m"), "DEDUP", pick("true", "false"), "DELAY", pick(within, "2h"), "WITHIN", within, "NEGATIVES", pick("0.1", "0.5", "1")}
			o := usualTraffic(rnd.Uint64())
			o.JitterMS, o.Rate = int64(rnd.Intn(20_000)), 1+float64(rnd.Intn(50))
			o.DuplicateClicks, o.OddIDShare, o.JunkShare = rnd.Float64()/3, rnd.Float64()/3, rnd.Float64()/20
			if choices[3] == "false" {
				o.DuplicateImpressions = 0 // which of two equal rows stands for both is not said
			}
			partitions, splits, workers := 1+rnd.Intn(8), 1+rnd.Intn(9), 1+rnd.Intn(4)
			t.Logf("-equality-seed %d: %v, %d partitions, %d splits, %d workers, traffic %+v", seed, choices, partitions, splits, workers, o)
			file, files := experimentOf(t, choices...), recordTraffic(t, o)
			want, stream := streamed(t, file, partitions, inputFlags(files)...)
			mixed := inputFlags(scattered(t, rnd, files))
			same(t, "backfill", backfilledAs(t, stream, file, append(mixed, "--workers", fmt.Sprint(workers), "--splits", fmt.Sprint(splits))...), want)
		})
	}
}

// TestEqualityOfEarlyRows compares what rows that are written early come to in the
// end: how many come before, and what they know by then, is for the order of
// arrival to say.
func TestEqualityOfEarlyRows(t *testing.T) {
	t.Parallel()
	files := recordTraffic(t, usualTraffic(11))
	revision := regexp.MustCompile(`"revision":\d+,`)
	final := func(rows []string) (of []string) {
		for _, row := range rows {
			if strings.Contains(row, `"final":true`) {
				of = append(of, revision.ReplaceAllString(row, ""))
			}
		}
		slices.Sort(of)
		return of
	}
	for _, policy := range []string{"early_positive", "immediate_negative"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			file := experimentOf(t, append(usualChoices, "emit: at_close", "emit: "+policy)...)
			stream, _ := streamed(t, file, 3, inputFlags(files)...)
			batch, _ := batchRows(t, file, append(inputFlags(files), "--splits", "3")...)
			if n := len(final(stream)); n < int(*equalityRows)/3 || n > len(stream)*19/20 || n > len(batch)*19/20 {
				t.Fatalf("%d final rows, of %d streamed and %d by the batch: too few to compare", n, len(stream), len(batch))
			}
			same(t, "the final rows", final(batch), final(stream))
		})
	}
}
