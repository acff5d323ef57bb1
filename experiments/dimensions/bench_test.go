package dimensions_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/dimensions"
	"github.com/mortise-dev/mortise/experiments/offline"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

const benched = `
experiment: benched
sources:
  impressions:
    topic: imps
    event_time: {field: ts, unit: ms}
    fields: {impression_id: string, ts: int, user_segment: string, item_id: string, position: int, propensity: float}
  clicks:
    topic: clicks
    event_time: {field: ts, unit: ms}
    fields: {click_id: string, impression_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  labels: {click: {source: clicks, within: 1h}}
DIMENSIONS
instance:
  select: [user_segment, item_id, position, propensity COLUMNS]
output:
  topic: {name: out}
  dead_letters: {file: none}
`

// farTable is a store behind a network: a request takes a millisecond.
type farTable struct{ countingTable }

func (f *farTable) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	<-time.After(time.Millisecond)
	f.requests.Add(1)
	f.lookups.Add(int64(len(lookups)))
	for i := range lookups {
		lookups[i].Row = mortise.Row{mortise.StringValue("of " + string(lookups[i].Key)), mortise.FloatValue(float64(len(lookups[i].Key)))}
	}
	return nil
}

// BenchmarkRows is whole rows through a worker, of impressions with 10,000 items in
// zipf's shares, one in twenty clicked: raw lines in, cleaned, held in memory,
// labelled, closed, with the columns of a dimension, JSON out. The store takes a
// millisecond a request; the cache holds all items, and begins empty.
func BenchmarkRows(b *testing.B) {
	n := int64(200_000)
	if testing.Short() {
		n = 5_000
	}
	dir := b.TempDir()
	opts := traffic.Realistic()
	opts.Seed, opts.Impressions, opts.Rate, opts.PayloadBytes, opts.CTR, opts.Items = 7, n, 300, 200, 0.05, 10_000
	g, err := traffic.New(opts)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := g.WriteFiles(dir, "jsonl", nil); err != nil {
		b.Fatal(err)
	}
	inputs := map[string][]string{}
	size := int64(0)
	for _, name := range []string{"impressions", "clicks"} {
		inputs[name] = []string{filepath.Join(dir, name+".jsonl")}
		info, err := os.Stat(inputs[name][0])
		if err != nil {
			b.Fatal(err)
		}
		size += info.Size()
	}
	for _, asOf := range []string{"none", "arrival", "emission", "event_time"} {
		b.Run("as_of="+asOf, func(b *testing.B) {
			b.SetBytes(size)
			var used time.Duration
			var mallocs uint64
			var asked int64
			for range b.N {
				table := &farTable{}
				rows, cpu, allocated := benchRows(b, asOf, table, inputs)
				if rows != n || asOf != "none" && table.lookups.Load() == 0 {
					b.Fatalf("%d rows, %d lookups", rows, table.lookups.Load())
				}
				used, mallocs, asked = used+cpu, mallocs+allocated, asked+table.requests.Load()
			}
			all := float64(n) * float64(b.N)
			b.ReportMetric(all/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(all/used.Seconds(), "rows/cpu-s")
			b.ReportMetric(float64(mallocs)/all, "mallocs/row")
			b.ReportMetric(float64(asked)/all*1000, "requests/1000-rows")
		})
	}
}

// benchRows runs them once, and returns how many rows there were and what it took.
func benchRows(b *testing.B, asOf string, table dimjoin.Table, inputs map[string][]string) (rows int64, cpu time.Duration, mallocs uint64) {
	b.StopTimer()
	defer b.StartTimer()
	dims, columns := "", ""
	if asOf != "none" {
		dims = fmt.Sprintf("dimensions:\n  item: {key: item_id, store: {hbase: {zk: 'h:1', table: t}}, as_of: %s, fields: {category: string, price: float}, cache: {ttl: 1h}}", asOf)
		columns = ", item.category, item.price"
	}
	e, diags := spec.Parse("benched.yaml", []byte(strings.NewReplacer("DIMENSIONS", dims, "COLUMNS", columns).Replace(benched)), spec.LoadOptions{})
	if e == nil {
		b.Fatal(diags)
	}
	plan, err := experiments.NewPlan([]*spec.Experiment{e})
	if err != nil {
		b.Fatal(err)
	}
	set, err := dimensions.Open(b.Context(), plan, dimensions.Options{Open: func(context.Context, *dimjoin.Definition) (dimjoin.Table, error) { return table, nil }})
	if err != nil {
		b.Fatal(err)
	}
	defer set.Close()
	job := offline.Job{Inputs: inputs, Output: func(o *experiments.Output) error {
		if o.Topic == "out" {
			rows++
		}
		return nil
	}}
	job.Worker.Letters = func(string, []byte) error { return nil }
	if asOf != "none" {
		job.Worker.Dimensions = set.For(plan.Pipelines[0])
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := processorTime(b)
	b.StartTimer()
	_, err = offline.Run(b.Context(), plan.Pipelines[0], job)
	b.StopTimer()
	if err != nil {
		b.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	return rows, processorTime(b) - began, after.Mallocs - before.Mallocs
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
