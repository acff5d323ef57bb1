package backfill_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

var impressionsFlag = flag.Int64("impressions", 200_000, "impressions of BenchmarkBackfill")

// feed is the experiment of the benchmark, that of docs/backfill.md.
const feed = `
experiment: feed-ctr
sources:
  impressions:
    topic: feed.impressions
    event_time: {field: ts, unit: ms}
    fields: {impression_id: string, ts: int, user_segment: string, item_id: string, position: int, propensity: float}
    where: position >= 1
  clicks:
    topic: feed.clicks
    event_time: {field: ts, unit: ms}
    fields: {click_id: string, impression_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  dedup: true
  labels: {click: {source: clicks, within: 1h}}
instance:
  select: [user_segment, item_id, position, propensity]
output:
  topic: {name: out}
`

// BenchmarkBackfill takes 200-byte impressions, one in twenty clicked, from files
// to Parquet.
func BenchmarkBackfill(b *testing.B) {
	n := *impressionsFlag
	if testing.Short() {
		n = 20_000
	}
	opts := traffic.Realistic()
	opts.Seed, opts.Impressions, opts.Rate, opts.PayloadBytes, opts.CTR = 7, n, 1157, 200, 0.05
	g, err := traffic.New(opts)
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	if _, err := g.WriteFiles(dir, "jsonl", nil); err != nil {
		b.Fatal(err)
	}
	w := &world{files: map[string][]string{}}
	size := int64(0)
	for _, name := range []string{"impressions", "clicks"} {
		w.files[name] = []string{filepath.Join(dir, name+".jsonl")}
		info, err := os.Stat(w.files[name][0])
		if err != nil {
			b.Fatal(err)
		}
		size += info.Size()
	}
	b.SetBytes(size)
	b.ReportAllocs()
	began := processorTime(b)
	runs := 0
	for b.Loop() {
		runs++
		out := filepath.Join(dir, fmt.Sprint("out", runs))
		report, err := backfill.Run(b.Context(), backfill.Job{Pipeline: pipeline(b, feed), Inputs: w.inputs(b), Out: bucket(b, out), Scratch: scratch(b), Workers: 2})
		if err != nil {
			b.Fatal(err)
		}
		if report.Rows != n {
			b.Fatalf("%d rows", report.Rows)
		}
		if err := os.RemoveAll(out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*int64(runs))/(processorTime(b)-began).Seconds(), "rows/s/core")
}

// processorTime is what this process has used; the clock says little where others
// work too.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
