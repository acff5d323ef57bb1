package backfill_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

func timeOf(t testing.TB, row string) int64 {
	t.Helper()
	var r struct {
		MS int64 `json:"event_time"`
	}
	if err := json.Unmarshal([]byte(row), &r); err != nil {
		t.Fatal(err)
	}
	return r.MS
}

// TestRanges backfills ranges of event time, and expects of each exactly the rows
// of the whole that lie in it, and an account that holds every record.
func TestRanges(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 9))
			opts := traffic.Hostile()
			opts.Seed, opts.Impressions, opts.Rate, opts.LateShare = seed, 2000, 0.1, 0 // five and a half hours
			opts.JitterMS = min(opts.JitterMS, 1_800_000)
			w := generate(t, rng, opts)
			p := pipeline(t, hostile)
			all, letters, _ := w.streamed(t, p)
			start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
			hour := func(n int64) int64 { return start + n*3_600_000 }
			told := 0
			for _, r := range []backfill.Range{{FromMS: math.MinInt64, ToMS: hour(1)}, {FromMS: hour(1), ToMS: hour(2)}, {FromMS: hour(2), ToMS: hour(4)}, {FromMS: hour(4), ToMS: math.MaxInt64}} {
				var want []string
				for _, row := range all {
					if ms := timeOf(t, row); ms >= r.FromMS && ms < r.ToMS {
						want = append(want, row)
					}
				}
				dir := filepath.Join(t.TempDir(), "out")
				report, err := backfill.Run(t.Context(), backfill.Job{Pipeline: p, Inputs: w.inputs(t), Out: bucket(t, dir), Scratch: scratch(t), Range: r, Splits: 3, Workers: 2, Now: now})
				if err != nil {
					t.Fatal(err)
				}
				if got := rowsOf(t, p, bucket(t, dir)); !slices.Equal(got, want) {
					t.Errorf("%+v: %d rows, want %d; first difference: %s", r, len(got), len(want), firstDifference(got, want))
				}
				l := &report.Ledger
				if labels := len(w.lines["clicks"]) + len(w.lines["orders"]) + len(w.lines["queries"]); l.Labels.In < int64(labels) || l.Impressions.In < int64(len(w.lines["impressions"])) {
					t.Errorf("%+v: %d impressions and %d labels are on the account", r, l.Impressions.In, l.Labels.In)
				}
				if l.Impressions.Dropped[mortise.ReasonOutOfRange] == 0 || l.Instances != int64(len(want)) {
					t.Errorf("%+v: ledger %+v", r, l)
				}
				told += len(lettersOf(t, dir))
			}
			if told < len(letters) {
				t.Errorf("%d dead letters in all ranges together, of %d", told, len(letters))
			}
		})
	}
}

// TestReach gives inputs that end too early, and ranges that no folder fits.
func TestReach(t *testing.T) {
	w := &world{dir: t.TempDir(), files: map[string][]string{}}
	at := func(clock string) int64 {
		ms, err := time.Parse("15:04", clock)
		if err != nil {
			t.Fatal(err)
		}
		return time.Date(2026, 1, 1, ms.Hour(), ms.Minute(), 0, 0, time.UTC).UnixMilli()
	}
	imps := func(clocks ...string) (lines []string) {
		for i, clock := range clocks {
			lines = append(lines, fmt.Sprintf(`{"impression_id":"i%d","ts":%d,"user_segment":"s","item_id":"a","position":1,"propensity":0.5}`, i, at(clock)))
		}
		return lines
	}
	clicks := func(clocks ...string) (lines []string) {
		for i, clock := range clocks {
			lines = append(lines, fmt.Sprintf(`{"click_id":"c%d","impression_id":"i%d","ts":%d}`, i, i, at(clock)))
		}
		return lines
	}
	for _, c := range []struct {
		name         string
		imps, clicks []string
		from, to     string
		accept       bool
		want         string // of the error, or of the warnings
		fails        bool
	}{
		{"reaches", imps("10:01", "11:59"), clicks("10:02", "12:30"), "10:00", "12:00", false, "", false},
		{"labels end with the range", imps("10:01", "11:59"), clicks("10:02", "11:58"), "10:00", "12:00", false, "clicks end at 2026-01-01T11:58:00Z, and impressions up to 2026-01-01T12:00:00Z have labels for another 1h", true},
		{"accepted", imps("10:01", "11:59"), clicks("10:02", "11:58"), "10:00", "12:00", true, "clicks end at 2026-01-01T11:58:00Z, before the windows", false},
		{"nothing there", imps("08:00", "09:00"), clicks("08:00", "12:10"), "10:00", "12:00", false, "impressions: none lies in the range; they are from 2026-01-01T08:00:00Z to 2026-01-01T09:00:00Z", false},
		{"begins late", imps("10:30", "11:59"), clicks("10:05", "12:10"), "10:00", "12:00", false, "impressions begin at 2026-01-01T10:30:00Z, after the range does", false},
		{"ends early", imps("10:01", "11:30"), clicks("10:05", "12:10"), "10:00", "12:00", false, "impressions end at 2026-01-01T11:30:00Z, before the range does", false},
		{"labels begin late", imps("10:01", "11:59"), clicks("11:05", "12:10"), "10:00", "12:00", false, "clicks begin at 2026-01-01T11:05:00Z, after the range does", false},
		{"no labels", imps("10:01", "11:59"), []string{"{}"}, "10:00", "12:00", false, "clicks: there are no events with a readable time", false},
		{"within an hour", imps("10:01"), clicks("10:05"), "10:30", "12:00", false, "the range begins at 2026-01-01T10:30:00Z, within a folder of the dataset: it would never be complete; take 2026-01-01T10:00:00Z or 2026-01-01T11:00:00Z", true},
		{"to within an hour", imps("10:01"), clicks("10:05"), "10:00", "11:59", false, "the range ends at 2026-01-01T11:59:00Z, within a folder", true},
		{"empty", imps("10:01"), clicks("10:05"), "12:00", "12:00", false, "the range from 2026-01-01T12:00:00Z to 2026-01-01T12:00:00Z is empty", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.files = map[string][]string{}
			w.write(t, "impressions", "imps.jsonl", c.imps)
			w.write(t, "clicks", "clicks.jsonl", c.clicks)
			dir := filepath.Join(t.TempDir(), "out")
			p := pipeline(t, feed)
			report, err := backfill.Run(t.Context(), backfill.Job{Pipeline: p, Inputs: w.inputs(t), Out: bucket(t, dir), Scratch: scratch(t),
				Range: backfill.Range{FromMS: at(c.from), ToMS: at(c.to)}, AcceptGap: c.accept})
			switch {
			case c.fails != (err != nil) || c.fails && !strings.Contains(err.Error(), c.want):
				t.Errorf("got error %v, want %q", err, c.want)
			case !c.fails && !strings.Contains(strings.Join(report.Warnings, "\n"), c.want), !c.fails && c.want == "" && len(report.Warnings) > 0:
				t.Errorf("got warnings %q, want %q", report.Warnings, c.want)
			case c.fails && len(outcome(t, mustDir(t, dir))) > 0:
				t.Errorf("something was written: %v", outcome(t, dir))
			}
		})
	}
}

func mustDir(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}
