package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// variant is feed under another name, edited.
func variant(t *testing.T, dir, name string, edits ...string) string {
	t.Helper()
	text := strings.NewReplacer("experiment: feed", "experiment: "+name, "f.instances", "f."+name).Replace(feed)
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("%s: no %q to edit", name, edits[i])
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	return write(t, filepath.Join(dir, name+".yaml"), text)
}

// TestTogetherEqualsApart runs four experiments, three of which share a
// pipeline, and each of them alone.
func TestTogetherEqualsApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := []string{
		variant(t, dir, "plain"),
		variant(t, dir, "filtered", "pos: int}", "pos: int}\n    where: pos >= 3\n    derive: {odd: pos % 2 == 1}", "select: [pos]", "select: [odd, pos]"),
		variant(t, dir, "sampled", "select: [pos]", "select: []\n  sample: {negatives: 0.25, by: id}"),
		variant(t, dir, "longer", "within: 2s", "within: 3s"),
	}
	inputs := record(t, dir, 700)
	together := filepath.Join(dir, "together")
	r := runToEnd(t, append(inputs, filepath.Join(dir, "*.yaml"), "--embedded", together)...)
	if len(r.Experiments) != 4 {
		t.Fatalf("%d experiments ran, want 4", len(r.Experiments))
	}
	groups := map[string]bool{}
	for _, e := range r.Experiments {
		groups[e.Group] = true
		var alone *report
		apart := filepath.Join(dir, "apart-"+e.Name)
		alone = runToEnd(t, append(inputs, filepath.Join(dir, e.Name+".yaml"), "--embedded", apart)...)
		if e.Ledger.Instances != alone.Instances || e.Ledger.Positives != alone.Positives || e.Ledger.Instances == 0 {
			t.Errorf("%s: %+v together, %d instances and %d positives alone", e.Name, e.Ledger, alone.Instances, alone.Positives)
		}
		same(t, e.Name, tailed(t, e.Topic, "--embedded", together), tailed(t, e.Topic, "--embedded", apart))
	}
	if len(groups) != 2 {
		t.Errorf("consumer groups %v, want one for three that share and one", groups)
	}
	checkWeights(t, tailed(t, "f.sampled", "--embedded", together))
	st := statusOf(t, append(files, "--embedded", together)...)
	instances := map[string]int64{}
	for _, p := range st.Pipelines {
		for _, e := range p.Experiments {
			if !e.AddsUp {
				t.Errorf("status: the ledger of %s does not add up", e.Name)
			}
			instances[e.Name] = e.Ledger.Instances
		}
	}
	if got, all := fmt.Sprint(instances), statusOf(t, "--embedded", together); len(st.Pipelines) != 2 || len(all.Pipelines) != 2 || instances["plain"] != 700 || instances["longer"] != 700 {
		t.Errorf("status: %s of %d pipelines, %d without files", got, len(st.Pipelines), len(all.Pipelines))
	}
}

// TestAnotherCompanyIsRefused: an experiment that has been running by itself is
// not begun anew by running it together with another, which would write all its
// rows again.
func TestAnotherCompanyIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := variant(t, dir, "first"), variant(t, dir, "second")
	args := append(record(t, dir, 30), "--embedded", filepath.Join(dir, "data"))
	runToEnd(t, append(args, first)...)
	both := append([]string{"run", first, second, "--until-end", "--listen", "127.0.0.1:0"}, args...)
	fails(t, exitFailed, []string{"experiment first", "mortise.first;", "mortise.first+second", "--group"}, both...)
	if rows := tailed(t, "f.first", "--embedded", filepath.Join(dir, "data")); len(rows) != 30 {
		t.Errorf("%d rows, want 30", len(rows))
	}
	runToEnd(t, append(args, second)...) // by a command of its own
	runToEnd(t, append(args, first, second, "--group", "anew")...)
	if rows := tailed(t, "f.second", "--embedded", filepath.Join(dir, "data")); len(rows) != 60 {
		t.Errorf("%d rows after beginning anew, want 60", len(rows))
	}
}

// checkWeights: positives are all kept, negatives by a quarter.
func checkWeights(t *testing.T, rows []string) {
	t.Helper()
	positives := 0
	for _, row := range rows {
		r := decode[struct {
			Click  float64 `json:"label_click"`
			Weight float64
		}](t, row)
		if want := map[bool]float64{true: 1, false: 4}[r.Click > 0]; r.Weight != want {
			t.Errorf("weight %g, want %g: %s", r.Weight, want, row)
		}
		if r.Click > 0 {
			positives++
		}
	}
	if negatives := len(rows) - positives; positives != 70 || negatives < 100 || negatives > 220 {
		t.Errorf("%d positives and %d negatives of 70 and 630", positives, negatives)
	}
}

func TestExplainShowsWhatIsShared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := []string{variant(t, dir, "first"), variant(t, dir, "second", "select: [pos]", "select: []\n  sample: {negatives: 0.25}"), variant(t, dir, "third", "within: 2s", "within: 90m")}
	text := succeed(t, append([]string{"explain"}, files...)...)
	for _, want := range []string{
		"pipeline 1 of 2: first, second\n", "shared by 2 experiments: one read, one state, one close", "pipeline 2 of 2: third\n",
		"not shared with first", "delay 1h30m, not 2s", "out of order ≤ 1s", "idle after 300ms", "key id, partitioned by id", "[t-0s, t+1h30m) on id",
		"instance second v7 → topic f.second (json) (at_close)", "negatives kept: 0.25 by id, weight 4", "label_click_time", "timestamp?",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("explain lacks %q:\n%s", want, text)
		}
	}
	plan := decode[struct {
		Pipelines []struct {
			Experiments []string
			Apart       []struct{ With, Why string }
			Instances   []struct{ Columns []struct{ Name, Type string } }
		}
	}](t, succeed(t, append([]string{"explain", "--json"}, files...)...))
	if len(plan.Pipelines) != 2 || fmt.Sprint(plan.Pipelines[0].Experiments) != "[first second]" || len(plan.Pipelines[1].Apart) != 1 {
		t.Errorf("explain --json: %+v", plan)
	}
	var columns []string
	for _, c := range plan.Pipelines[0].Instances[0].Columns {
		columns = append(columns, c.Name)
	}
	if got := strings.Join(columns, " "); got != "instance_id event_time label_click label_click_time label_click_count pos weight revision final late degraded" {
		t.Errorf("columns in the order %s", got)
	}
}

// TestDebugTellsStories follows one key through a sample.
func TestDebugTellsStories(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	inputs := record(t, dir, 100)
	text := succeed(t, append([]string{"debug", file, "--key", "k10"}, inputs...)...)
	for _, want := range []string{"impressions@10  key k10  2023-11-14T22:13:20.1Z", "held until 2023-11-14T22:13:22.1Z", "label click, 500ms after the impression", `{"instance_id":"k10",`, "clicks@1  key k10"} {
		if !strings.Contains(text, want) {
			t.Errorf("debug lacks %q:\n%s", want, text)
		}
	}
	stories := lines(succeed(t, append([]string{"debug", file, "--json", "--limit", "0"}, inputs...)...))
	if len(stories) != 110 {
		t.Errorf("debug --json tells of %d events, want 110", len(stories))
	}
	for _, line := range stories {
		s := decode[struct {
			Source, Key string
			Steps       []struct{ What string }
		}](t, line)
		if s.Source == "" || s.Key == "" || len(s.Steps) < 2 {
			t.Errorf("a story without an end: %s", line)
		}
	}
	if r := execute(t, append([]string{"debug", file, "-n", "3"}, inputs...)...); strings.Count(r.out, "@") < 3 || !strings.Contains(r.errOut, "107 more events") {
		t.Errorf("debug -n 3 tells %q and %q", r.out, r.errOut)
	}
}
