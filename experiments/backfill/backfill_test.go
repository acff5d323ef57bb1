package backfill_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/experiments/offline"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/joiner/recorded"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

// hostile is an experiment over all four streams of the generated traffic.
const hostile = `
experiment: hostile
version: 1
sources:
  impressions:
    topic: imps
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1h
    fields: {impression_id: string, request_id: string, ts: int, user_segment: string, item_id: string, position: int, propensity: float}
    where: position >= 1
  clicks:
    topic: clicks
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1h
    fields: {click_id: string, impression_id: string, request_id: string, ts: int, dwell: int?}
  orders:
    topic: orders
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1h
    fields: {order_id: string, impression_id: string, request_id: string, ts: int, amount: float}
  queries:
    topic: queries
    event_time: {field: ts, unit: ms}
    out_of_orderness: 1h
    fields: {query_id: string, request_id: string, ts: int}
join:
  main: impressions
  key: [request_id, impression_id]
  partition_by: request_id
  dedup: true
  labels:
    click: {source: clicks, within: 30m}
    order: {source: orders, within: 1h, value: amount}
    query: {source: queries, within: 1m, before: 10m, on: request_id}
instance:
  select: [user_segment, item_id, position, propensity]
output:
  topic: {name: out}
`

// now is the wall clock of every run: generated traffic is years from today.
func now() time.Time { return time.Now().AddDate(4, 0, 0) }

func pipeline(t testing.TB, text string) *experiments.Pipeline {
	t.Helper()
	e, diags := spec.Parse("test.yaml", []byte(text), spec.LoadOptions{})
	if diags.HasErrors() {
		t.Fatal(diags.String())
	}
	plan, err := experiments.NewPlan([]*spec.Experiment{e})
	if err != nil {
		t.Fatal(err)
	}
	return plan.Pipelines[0]
}

// world is generated files, a few a stream, cut so that files overlap in time and
// hold disorder.
type world struct {
	dir   string
	files map[string][]string // per source
	lines map[string][]string
}

var streamNames = [traffic.NumStreams]string{"impressions", "clicks", "orders", "queries"}

func generate(t testing.TB, rng *rand.Rand, opts traffic.Options) *world {
	t.Helper()
	g, err := traffic.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: t.TempDir(), files: map[string][]string{}, lines: map[string][]string{}}
	var ev traffic.Event
	for g.Next(&ev) {
		name := streamNames[ev.Stream]
		w.lines[name] = append(w.lines[name], strings.ReplaceAll(string(ev.Line), "\n", " "))
	}
	for name, lines := range w.lines {
		files := make([][]string, 1+rng.IntN(4))
		for i, line := range lines {
			at := i * len(files) / len(lines)
			if rng.IntN(3) == 0 {
				at = rng.IntN(len(files))
			}
			files[at] = append(files[at], line)
			if rng.IntN(20) == 0 { // the same event again, elsewhere and with other content: which one counts is up to the order
				at = rng.IntN(len(files))
				other := strings.NewReplacer(`"user_segment":"`, `"user_segment":"again`, `"amount":`, `"amount":0.1`).Replace(line)
				files[at] = slices.Insert(files[at], rng.IntN(len(files[at])+1), other)
			}
		}
		for i, lines := range files {
			w.write(t, name, fmt.Sprintf("%s-%d.jsonl", name, i), lines)
		}
	}
	return w
}

func (w *world) write(t testing.TB, source, name string, lines []string) {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	w.files[source] = append(w.files[source], path)
}

func (w *world) inputs(t testing.TB) map[string]backfill.Input {
	t.Helper()
	all := map[string]backfill.Input{}
	for name, paths := range w.files {
		files, err := recorded.Open(t.Context(), recorded.Options{}, paths...)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = backfill.Files{Files: files}
	}
	return all
}

// streamed is the rows of the same files run as a stream, as JSON, sorted, the
// dead letters, and the account.
func (w *world) streamed(t testing.TB, p *experiments.Pipeline) (rows, letters []string, st experiments.Status) {
	t.Helper()
	fixed := now()
	st, err := offline.Run(t.Context(), p, offline.Job{Inputs: w.files, Worker: experiments.WorkerOptions{Now: func() time.Time { return fixed }},
		Output: func(o *experiments.Output) error {
			if o.Topic == p.Experiments[0].Output.Topic {
				rows = append(rows, string(o.Value))
			} else {
				letters = append(letters, rawOf(t, string(o.Value)))
			}
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rows)
	slices.Sort(letters)
	return rows, letters, st
}

// rawOf is what a dead letter tells whatever the transport.
func rawOf(t testing.TB, letter string) string {
	t.Helper()
	var l map[string]any
	if err := json.Unmarshal([]byte(letter), &l); err != nil {
		t.Fatalf("%s: %v", letter, err)
	}
	return fmt.Sprint(l["source"], l["reason"], l["error"], l["raw"], l["raw_base64"])
}

func bucket(t testing.TB, dir string) *objectstore.Bucket {
	t.Helper()
	b, err := objectstore.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// scratch is a folder of scratch folders. Who opens one takes it from whoever had
// it, who is taken to be dead.
func scratch(t testing.TB) func(string) (backfill.FS, error) {
	dir := t.TempDir()
	open := map[string]*backfill.Directory{}
	t.Cleanup(func() {
		for _, d := range open {
			_ = d.Close()
		}
	})
	return func(name string) (_ backfill.FS, err error) {
		if d := open[name]; d != nil {
			_ = d.Close()
		}
		open[name], err = backfill.OpenDirectory(filepath.Join(dir, name))
		return open[name], err
	}
}

// rowsOf reads a dataset as JSON, sorted.
func rowsOf(t testing.TB, p *experiments.Pipeline, b dataset.Bucket) (rows []string) {
	t.Helper()
	enc := instances.NewJSONEncoder(p.Columns(0))
	err := dataset.Objects(t.Context(), b, func(o dataset.Object) error {
		f, err := dataset.OpenFile(t.Context(), b, o.Key, "")
		if err != nil {
			return err
		}
		page := make([]instances.Instance, 100)
		for err == nil {
			var n int
			n, err = f.Read(page)
			for i := range page[:n] {
				rows = append(rows, string(enc.Append(nil, &page[i])))
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return errors.Join(err, f.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rows)
	return rows
}

func lettersOf(t testing.TB, dir string) (letters []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "_mortise", "backfill", "letters", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			letters = append(letters, rawOf(t, line))
		}
	}
	slices.Sort(letters)
	return letters
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return "missing " + want[i]
		case i >= len(want):
			return "surplus " + got[i]
		case got[i] != want[i]:
			return "got\n" + got[i] + "\nwant\n" + want[i]
		}
	}
	return "none"
}

// TestBackfillEqualsStream backfills hostile traffic in files that overlap, and
// expects what the stream makes of the same files.
func TestBackfillEqualsStream(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			opts := traffic.Hostile()
			opts.Seed, opts.Impressions, opts.Rate, opts.LateShare = seed, 2000, 2, 0
			opts.JitterMS = min(opts.JitterMS, 1_800_000)
			w := generate(t, rng, opts)
			p := pipeline(t, hostile)
			rows, letters, st := w.streamed(t, p)
			dir := filepath.Join(t.TempDir(), "out")
			fixed := now()
			report, err := backfill.Run(context.Background(), backfill.Job{Pipeline: p, Inputs: w.inputs(t), Out: bucket(t, dir), Scratch: scratch(t),
				Splits: 1 + rng.IntN(5), Workers: 1 + rng.IntN(3), MemoryBytes: 1 << (16 + rng.IntN(10)), Now: func() time.Time { return fixed }, RollBytes: 16 << 10, CutBytes: 1 + rng.Int64N(100_000)})
			if err != nil {
				t.Fatal(err)
			}
			if got := rowsOf(t, p, bucket(t, dir)); !slices.Equal(got, rows) {
				t.Errorf("%d rows, want %d; first difference: %s", len(got), len(rows), firstDifference(got, rows))
			}
			if got := lettersOf(t, dir); !slices.Equal(got, letters) {
				t.Errorf("%d letters, want %d; first difference: %s", len(got), len(letters), firstDifference(got, letters))
			}
			if want := st.Experiments[0].Ledger; report.Ledger != want {
				t.Errorf("ledger %+v\nwant %+v", report.Ledger, want)
			}
			if !report.Complete || report.Rows != int64(len(rows)) || report.Letters != int64(len(letters)) {
				t.Errorf("report %+v", report)
			}
		})
	}
}
