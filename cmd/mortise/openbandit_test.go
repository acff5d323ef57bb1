package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/internal/provisioned"
)

const openbandit = `experiment: openbandit
version: 3
sources:
  impressions:
    topic: imps
    format: json
    event_time: {field: ts, unit: ms}
    fields: {impression_id: string, ts: int, user_segment: string, item_id: string, campaign: string, policy: string, position: int, propensity: float, age: string, gender: string}
  clicks:
    topic: clicks
    format: json
    event_time: {field: ts, unit: ms}
    fields: {click_id: string, impression_id: string, ts: int}
join:
  main: impressions
  key: impression_id
  labels:
    click: {source: clicks, within: 1h}
instance:
  select: [user_segment, item_id, campaign, policy, position, propensity, age, gender]
output:
  topic: {name: instances.openbandit, format: json}
`

// openBanditInputs names the recorded files.
func openBanditInputs(t *testing.T) []string {
	t.Helper()
	dir := provisioned.Data(t, "openbandit")
	return []string{"--input", "impressions=" + filepath.Join(dir, "impressions.jsonl.gz"), "--input", "clicks=" + filepath.Join(dir, "clicks.jsonl.gz")}
}

// TestOpenBandit runs the real logged data over 1, 3 and 8 partitions: the
// figures are known, and the rows are the same bytes.
func TestOpenBandit(t *testing.T) {
	t.Parallel()
	inputs, mortise := openBanditInputs(t), released(t)
	file := write(t, filepath.Join(t.TempDir(), "openbandit.yaml"), openbandit)
	for _, c := range []struct {
		within    string
		positives int64
	}{{"1h", 207}, {"5m", 191}} {
		t.Run(c.within, func(t *testing.T) {
			t.Parallel()
			var first []string
			for _, partitions := range []int{1, 3, 8} {
				dir := t.TempDir()
				args := append([]string{file, "--embedded", dir, "--partitions", fmt.Sprint(partitions), "--set", "join.labels.click.within=" + c.within}, inputs...)
				r := atEnd(t, tool(t, mortise, toEnd(args...)...))
				if r.Impressions.In != 40_000 || r.Labels.In != 224 || r.Instances != 40_000 || r.Positives != c.positives || r.DeadLetters != 0 {
					t.Errorf("%d partitions: %+v, want 40000 impressions and instances, 224 labels, %d positives", partitions, *r, c.positives)
				}
				rows := lines(tool(t, mortise, "tail", "instances.openbandit", "--until-end", "--embedded", dir))
				slices.Sort(rows)
				if positive := strings.Count(strings.Join(rows, "\n"), `"label_click":1,`); int64(positive) != c.positives {
					t.Errorf("%d partitions: %d rows are positive, want %d", partitions, positive, c.positives)
				}
				if first == nil {
					first = rows
				}
				same(t, fmt.Sprintf("%d partitions", partitions), rows, first)
			}
		})
	}
}

// TestRecords looks at what surrounds a row: the key, the time, the headers.
func TestRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	runToEnd(t, append(record(t, dir, 500), file, "--embedded", dir)...)
	config := decode[struct {
		Pipelines []struct{ Instances []struct{ Config string } }
	}](t, succeed(t, "explain", "--json", file)).Pipelines[0].Instances[0].Config
	rows := tailed(t, "f.instances", "--meta", "--embedded", dir)
	if len(rows) != 500 {
		t.Fatalf("%d rows, want 500", len(rows))
	}
	seen := map[string]bool{}
	for _, row := range rows {
		r := decode[struct {
			Key       string
			Timestamp int64
			Headers   map[string]string
			Value     struct {
				ID       string `json:"instance_id"`
				TimeMS   int64  `json:"event_time"`
				Revision int
				Final    bool
			}
		}](t, row)
		h := r.Headers
		if r.Key != r.Value.ID || r.Timestamp != r.Value.TimeMS || h["mortise-experiment"] != "feed" || h["mortise-version"] != "7" || h["mortise-config"] != config || !r.Value.Final || r.Value.Revision != 0 {
			t.Fatalf("key, timestamp or headers do not fit the row: %s; want config %s", row, config)
		}
		if seen[r.Key] {
			t.Fatalf("%s came twice", r.Key)
		}
		seen[r.Key] = true
	}
}
