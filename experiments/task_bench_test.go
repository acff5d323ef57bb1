package experiments

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

const benchExperiment = `
experiment: bench
version: 1
sources:
  impressions:
    topic: imps
    format: json
    event_time: {field: ts, unit: ms}
    fields: {impression_id: string, ts: int, user_segment: string, item_id: string, position: int, propensity: float}
    where: position >= 1
  clicks:
    topic: clicks
    format: json
    event_time: {field: ts, unit: ms}
    fields: {click_id: string, impression_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  dedup: DEDUP
  labels:
    click: {source: clicks, within: 1h}
instance:
  select: [user_segment, item_id, position, propensity]
output:
  topic: {name: out, format: json}
`

// BenchmarkTask runs the whole of one task on disk state, without a network:
// raw record in, cleaned, held, labelled, closed, encoded out. Every iteration
// takes one impression in and closes one, with the named number pending; the
// labels come along. -short runs the smallest only.
func BenchmarkTask(b *testing.B) {
	for _, size := range []struct{ millions, payload int }{{1, 1000}, {4, 1000}, {16, 1000}, {1, 200}} {
		for _, dedup := range []bool{true, false} {
			if testing.Short() && size.millions > 1 || !dedup && size.millions != 1 {
				continue
			}
			b.Run(fmt.Sprintf("pending=%dM/bytes=%d/dedup=%v", size.millions, size.payload, dedup), func(b *testing.B) {
				benchmarkTask(b, int64(size.millions)*1_000_000, size.payload, dedup)
			})
		}
	}
}

func benchmarkTask(b *testing.B, pending int64, payload int, dedup bool) {
	if testing.Short() {
		pending = 50_000
	}
	e, diags := spec.Parse("bench.yaml", []byte(strings.Replace(benchExperiment, "DEDUP", strconv.FormatBool(dedup), 1)), spec.LoadOptions{})
	if diags.HasErrors() {
		b.Fatal(diags.String())
	}
	plan, err := NewPlan([]*spec.Experiment{e})
	if err != nil {
		b.Fatal(err)
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("mortise-bench-%d", os.Getpid()))
	defer os.RemoveAll(dir)
	db, err := disk.OpenDB(dir, disk.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	store, err := db.OpenStore("bench", plan.Pipelines[0].Join.StoreOptions())
	if err != nil {
		b.Fatal(err)
	}
	cleaners, err := plan.Pipelines[0].cleaners()
	if err != nil {
		b.Fatal(err)
	}
	r, err := newRunner(plan.Pipelines[0], 0, 1, cleaners, store, 0, nil)
	if err != nil {
		b.Fatal(err)
	}
	feed := newFeed(b, pending, payload)
	for range pending {
		feed.impression(b, r)
	}
	feed.mark()
	before := diskCounters(b)
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	mallocs := mem.Mallocs
	b.ResetTimer()
	for range b.N {
		feed.impression(b, r)
	}
	b.StopTimer()
	feed.report(b, r, before, mallocs)
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}

// feed is the input: generated traffic, cleaned and closed in steps as a worker does.
type feed struct {
	gen      *traffic.Generator
	event    traffic.Event
	next     [2]int64
	batch    [2][]mortise.Record
	bufs     [2][]byte
	rows     int64
	outBytes int64
	inBytes  int64
	busy     time.Duration // in the task, the generator not counted
	cpu      time.Duration // of the process meanwhile: what counts on a busy machine
	worst    time.Duration
	commits  int
	taken    int
}

func newFeed(b *testing.B, pending int64, payload int) *feed {
	opts := traffic.Realistic()
	opts.Impressions, opts.Rate, opts.PayloadBytes, opts.CTR = 1<<40, float64(pending)/3600, payload, 0.13
	opts.Impressions = int64(opts.Rate * 86400 * 365)
	opts.OrderShare, opts.QueryShare, opts.JunkShare = 0, 0, 0
	gen, err := traffic.New(opts)
	if err != nil {
		b.Fatal(err)
	}
	return &feed{gen: gen}
}

const benchBatch = 5000

// impression feeds records until one impression more has been gathered; full
// batches go to the task.
func (f *feed) impression(b *testing.B, r *runner) {
	for f.gen.Next(&f.event) {
		in := 0
		if f.event.Stream == traffic.Clicks {
			in = 1
		} else if f.event.Stream != traffic.Impressions {
			continue
		}
		from := len(f.bufs[in])
		f.bufs[in] = append(f.bufs[in], f.event.Line...)
		f.batch[in] = append(f.batch[in], mortise.Record{Topic: "t", Offset: f.next[in], Value: f.bufs[in][from:len(f.bufs[in]):len(f.bufs[in])]})
		f.next[in]++
		f.inBytes += int64(len(f.event.Line))
		if in == 0 {
			break
		}
	}
	if f.taken++; f.taken%benchBatch == 0 {
		f.flush(b, r)
	}
}

func (f *feed) flush(b *testing.B, r *runner) {
	start, cpu := time.Now(), cpuTime()
	for in := range f.batch {
		if err := r.take(in, f.batch[in], f.next[in], 0); err != nil {
			b.Fatal(err)
		}
		f.batch[in], f.bufs[in] = f.batch[in][:0], f.bufs[in][:0]
	}
	if err := r.advance(0, share{rows: 1 << 20}); err != nil {
		b.Fatal(err)
	}
	f.rows += int64(len(r.out.rows))
	f.outBytes += int64(len(r.out.buf))
	r.out.reset()
	if f.commits++; f.commits%100 == 0 {
		if err := r.task.Commit(r.task.Snapshot(1, r.next)); err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(start)
	f.busy += took
	f.cpu += cpuTime() - cpu
	f.worst = max(f.worst, took)
}

func (f *feed) mark() { f.rows, f.outBytes, f.inBytes, f.worst, f.busy, f.cpu = 0, 0, 0, 0, 0, 0 }

func (f *feed) report(b *testing.B, r *runner, before, mallocs uint64) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	n := float64(b.N)
	var bytes, entries int64
	for kind := joiner.LogKind(0); kind < joiner.NumLogs; kind++ {
		s := r.store.Log(kind).Stats()
		bytes += s.Bytes
		if kind == joiner.Impressions {
			entries = s.Entries
		}
	}
	written := float64(diskCounters(b) - before)
	b.ReportMetric(n/f.busy.Seconds(), "imps/s")
	b.ReportMetric(n/f.cpu.Seconds(), "imps/cpu-s")
	b.ReportMetric(float64(mem.Mallocs-mallocs)/n, "mallocs/imp")
	b.ReportMetric(written/n, "written-B/imp")
	b.ReportMetric(float64(bytes)/float64(max(entries, 1)), "disk-B/pending")
	b.ReportMetric(written/n/(float64(bytes)/float64(max(entries, 1))), "write-amp")
	b.ReportMetric(float64(f.rows)/n, "rows/imp")
	b.ReportMetric(float64(f.worst.Microseconds())/1000, "worst-batch-ms")
	b.ReportMetric(float64(mem.HeapInuse)/float64(max(entries, 1)), "heap-B/pending")
	if l := r.task.Ledger(0); l.Check() != nil {
		b.Fatal(l.Check())
	}
}

// cpuTime returns the processor time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// diskCounters returns the bytes that this process has handed to write calls.
func diskCounters(b *testing.B) uint64 {
	raw, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if v, ok := strings.CutPrefix(line, "wchar: "); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(v), 10, 64)
			return n
		}
	}
	b.Fatal("no wchar in /proc/self/io")
	return 0
}
