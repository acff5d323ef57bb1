package inputs_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/offline"
	"github.com/mortise-dev/mortise/experiments/spec"
)

const equalExperiment = `
experiment: equal
sources:
  imps:
    topic: i
    event_time: {field: at, unit: us}
    fields: {id: string, at: int, seen: timestamp?, user: int, score: float, weight32: float?, top: bool, page: string?, tags: [string], dt: string, hour: int}
    where: user >= 0
    derive: {double: score * 2}
  clicks:
    topic: c
    event_time: {field: ts}
    fields: {id: string, ts: int, dwell: float?}
join:
  main: imps
  key: id
  labels: {click: {source: clicks, within: 1m, value: "dwell == nil ? 1.0 : dwell"}}
instance:
  select: [user, score, double, weight32, top, page, tags, seen, dt, hour]
output:
  topic: {name: o}
  dead_letters: {topic: d}
`

type imp struct {
	ID     string   `parquet:"id"`
	At     int64    `parquet:"at,timestamp(microsecond)"`
	Seen   *int64   `parquet:"seen,optional,timestamp(nanosecond)"`
	User   int32    `parquet:"user"`
	Score  float64  `parquet:"score"`
	Weight *float32 `parquet:"weight32,optional"`
	Top    bool     `parquet:"top"`
	Page   *string  `parquet:"page,optional"`
	Tags   []string `parquet:"tags,list"`
	Extra  string   `parquet:"extra"`
}

type click struct {
	ID    string   `parquet:"id"`
	TS    int64    `parquet:"ts"`
	Dwell *float64 `parquet:"dwell,optional"`
}

// TestSameInstancesFromEveryFormat runs an experiment on the same events as JSON
// lines, CSV and Parquet, plain and compressed, in folders that give fields: the
// rows and the dead letters' reasons are the same, to the byte.
func TestSameInstancesFromEveryFormat(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var imps []imp
	var clicks []click
	pages := []string{"", "home", "a,b \"c\"", "日本"}
	const begin = 1_700_000_000_000_000
	for i := range 3000 {
		r := imp{ID: fmt.Sprintf("i%d", i), At: begin + int64(i)*20_011, User: rng.Int32N(100) - 2, Score: rng.NormFloat64() * 1e3, Top: rng.IntN(2) == 0, Extra: "x"}
		if rng.IntN(3) > 0 {
			seen := (r.At + 5) * 1000
			r.Seen = &seen
		}
		if rng.IntN(3) > 0 {
			w := rng.Float32()
			r.Weight = &w
		}
		if rng.IntN(3) > 0 {
			r.Page = &pages[rng.IntN(len(pages))]
		}
		for range rng.IntN(3) {
			r.Tags = append(r.Tags, pages[rng.IntN(len(pages))])
		}
		imps = append(imps, r)
		if rng.IntN(4) == 0 {
			c := click{ID: r.ID, TS: r.At/1000 + rng.Int64N(90_000)}
			if rng.IntN(2) == 0 {
				v := rng.Float64() * 100
				c.Dwell = &v
			}
			clicks = append(clicks, c)
		}
	}
	dir := t.TempDir()
	var first []string
	for _, format := range []string{"jsonl", "csv", "parquet"} {
		writeImps(t, filepath.Join(dir, format, "dt=2023-11-14", "hour=22"), format, imps)
		writeClicks(t, filepath.Join(dir, format), format, clicks)
		got := instances(t, filepath.Join(dir, format, "**", "imps."+format), filepath.Join(dir, format, "clicks."+format))
		if first == nil {
			first = got
		}
		if len(got) < 2000 || len(got) != len(first) {
			t.Fatalf("%s: %d rows, JSON lines gave %d", format, len(got), len(first))
		}
		for i := range got {
			if got[i] != first[i] {
				t.Fatalf("%s, row %d:\n%s, and from JSON lines\n%s", format, i, got[i], first[i])
			}
		}
	}
}

func instances(t *testing.T, imps, clicks string) (rows []string) {
	t.Helper()
	e, found := spec.Parse("equal.yaml", []byte(equalExperiment), spec.LoadOptions{})
	if found.HasErrors() {
		t.Fatal(found.String())
	}
	plan, err := experiments.NewPlan([]*spec.Experiment{e})
	if err != nil {
		t.Fatal(err)
	}
	_, err = offline.Run(t.Context(), plan.Pipelines[0], offline.Job{Inputs: map[string][]string{"imps": {imps}, "clicks": {clicks}},
		Output: func(o *experiments.Output) error {
			if o.Topic != "o" {
				t.Errorf("a dead letter: %s", o.Value)
			}
			rows = append(rows, string(o.Key)+" "+string(o.Value))
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// optional writes a value, or nothing for nil.
func optional[T any](v *T) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(*v)
}

func create(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func parquetOf[T any](t *testing.T, rows []T) []byte {
	t.Helper()
	var out bytes.Buffer
	w := parquet.NewGenericWriter[T](&out, parquet.MaxRowsPerRowGroup(700), parquet.Compression(&parquet.Zstd))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func linesOf[T any](t *testing.T, rows []T, object func(T) map[string]any) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, r := range rows {
		line, err := json.Marshal(object(r))
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
	return out.Bytes()
}

func writeImps(t *testing.T, dir, format string, rows []imp) {
	t.Helper()
	switch format {
	case "parquet":
		create(t, dir, "imps.parquet", parquetOf(t, rows))
	case "jsonl":
		create(t, dir, "imps.jsonl", linesOf(t, rows, func(r imp) map[string]any {
			o := map[string]any{"id": r.ID, "at": r.At, "user": r.User, "score": r.Score, "weight32": r.Weight, "top": r.Top, "page": r.Page, "tags": append([]string{}, r.Tags...), "extra": r.Extra}
			if r.Seen != nil {
				o["seen"] = *r.Seen / 1_000_000
			}
			return o
		}))
	case "csv":
		var out bytes.Buffer
		w := csv.NewWriter(&out)
		_ = w.Write([]string{"extra", "id", "at", "seen", "user", "score", "weight32", "top", "tags", "page"})
		for _, r := range rows {
			tags, err := json.Marshal(append([]string{}, r.Tags...))
			if err != nil {
				t.Fatal(err)
			}
			seen := ""
			if r.Seen != nil {
				seen = fmt.Sprint(*r.Seen / 1_000_000)
			}
			page := optional(r.Page)
			if r.Page != nil && page == "" {
				page = "\x00" // the empty text is written in quotes, which this writer never does
			}
			_ = w.Write([]string{r.Extra, r.ID, fmt.Sprint(r.At), seen, fmt.Sprint(r.User), fmt.Sprint(r.Score), optional(r.Weight), fmt.Sprint(r.Top), string(tags), page})
		}
		w.Flush()
		create(t, dir, "imps.csv", []byte(strings.ReplaceAll(out.String(), "\x00", `""`)))
	}
}

func writeClicks(t *testing.T, dir, format string, rows []click) {
	t.Helper()
	switch format {
	case "parquet":
		create(t, dir, "clicks.parquet", parquetOf(t, rows))
	case "jsonl":
		create(t, dir, "clicks.jsonl", linesOf(t, rows, func(r click) map[string]any {
			return map[string]any{"id": r.ID, "ts": r.TS, "dwell": r.Dwell}
		}))
	case "csv":
		out := []byte("dwell,ts,id\n")
		for _, r := range rows {
			out = fmt.Appendf(out, "%s,%d,%s\n", optional(r.Dwell), r.TS, r.ID)
		}
		create(t, dir, "clicks.csv", out)
	}
}
