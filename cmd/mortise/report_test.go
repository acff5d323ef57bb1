package main

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// pageNumbers is what tests look at in a report.
type pageNumbers struct {
	Experiments []struct {
		Ledger  struct{ Instances, Positives int64 }
		Notes   []string
		Profile struct {
			Rows, Positives int64
			Labels          []struct {
				Rows  int64
				Delay struct{ Min, Max float64 } `json:"delay_ms"`
			}
			Columns []struct {
				Name            string
				Nulls, Distinct int64
			}
		}
	}
}

func readPage(t *testing.T, path string) (string, pageNumbers) {
	t.Helper()
	text := read(t, path)
	_, data, ok := strings.Cut(text, `id="numbers">`)
	data, _, _ = strings.Cut(data, "</script>")
	if !ok {
		t.Fatalf("the page has no numbers: %.200s", text)
	}
	return text, decode[pageNumbers](t, data)
}

// TestReport looks into the page of a run: its numbers are those of the summary,
// and a second run says what the first one wrote. The page of a backfill of the
// same events has the same numbers, the second time too, when nothing is done.
func TestReport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	page := filepath.Join(dir, "page.html")
	inputs := record(t, dir, 500)
	args := append([]string{file, "--embedded", dir, "--report", page}, inputs...)
	sum := runToEnd(t, args...)
	text, n := readPage(t, page)
	if len(n.Experiments) != 1 || sum.Instances != 500 || sum.Positives != 50 {
		t.Fatalf("summary %+v, page %+v", sum, n)
	}
	e := n.Experiments[0]
	p := e.Profile
	if p.Rows != 500 || p.Positives != 50 || e.Ledger.Instances != 500 || e.Ledger.Positives != 50 || len(p.Labels) != 1 || p.Labels[0].Rows != 50 || p.Labels[0].Delay.Min != 500 || p.Labels[0].Delay.Max != 500 {
		t.Errorf("the page's numbers: %+v", e)
	}
	if len(p.Columns) != 1 || p.Columns[0].Name != "pos" || p.Columns[0].Distinct != 7 {
		t.Errorf("columns: %+v", p.Columns)
	}
	for _, want := range []string{"topic f.instances on the embedded broker in " + dir, "feed", "version 7"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	runToEnd(t, args...)
	if text, n = readPage(t, page); n.Experiments[0].Profile.Rows != 0 || n.Experiments[0].Ledger.Instances != 500 || !strings.Contains(text, "describes the 0 that this run wrote itself") {
		t.Errorf("after a second run: %+v", n.Experiments[0])
	}
	batch := append([]string{"backfill", file, "--out", filepath.Join(dir, "out"), "--scratch", filepath.Join(dir, "scratch"), "--splits", "3", "--report", page}, inputs...)
	for range 2 {
		succeed(t, batch...)
		if text, n = readPage(t, page); n.Experiments[0].Ledger.Instances != 500 || !reflect.DeepEqual(n.Experiments[0].Profile, p) || !strings.Contains(text, "500 rows, ") {
			t.Errorf("the page of a backfill: %+v, want %+v", n.Experiments[0].Profile, p)
		}
	}
	fails(t, exitUsage, []string{"this is a directory: name the file"}, "run", file, "--report", dir)
	fails(t, exitUsage, []string{"there is no directory"}, "run", file, "--report", filepath.Join(dir, "no", "page.html"))
}
