package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/internal/provisioned"
)

// TestExplainBatch reads what a backfill would do, in words and as JSON.
func TestExplainBatch(t *testing.T) {
	t.Parallel()
	file := experimentOf(t, usualChoices...)
	text := succeed(t, "explain", file)
	for _, want := range []string{
		"records are divided by request_id into splits (8 for 1 GB, ",
		"impressions  impressions  read from 2h before --from to --to",
		"clicks       labels       read from --from to 1h after --to",
		"queries      labels       read from 10m before --from to --to",
		"DIR/dt=YYYY-MM-DD/hour=HH/part-sNNNN-of-NNNN-FROM-TO.parquet",
		"label_click_time        timestamp?  INT64 (TIMESTAMP, ms, UTC), optional",
		"odds                    float       DOUBLE, optional",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("explain lacks %q:\n%s", want, text)
		}
	}
	d := decode[struct {
		Pipelines []struct {
			Instances []struct{ Columns []struct{ Name string } }
		}
		Batch []struct {
			Experiment, Layout string
			Parquet            []string
			Reads              []struct{ For, Before, After string }
		}
	}](t, succeed(t, "explain", "--json", file, "--set", "output.parquet.partition=[dt]"))
	if len(d.Batch) != 1 || len(d.Batch[0].Parquet) != len(d.Pipelines[0].Instances[0].Columns) || !strings.HasPrefix(d.Batch[0].Layout, "dt=YYYY-MM-DD/part-") || len(d.Batch[0].Reads) != 4 {
		t.Errorf("explain --json: %+v", d)
	}
}

// TestDebugFormats tells the same stories of the same events in any format.
func TestDebugFormats(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	record(t, dir, 40)
	out, err := exec.Command(provisioned.Python(t), "-c", `import sys, pyarrow.json as j, pyarrow.parquet as p, pyarrow.csv as c
for name in ["imps", "clicks"]:
    t = j.read_json(f"{sys.argv[1]}/{name}.jsonl")
    p.write_table(t, f"{sys.argv[1]}/{name}.parquet")
    c.write_csv(t, f"{sys.argv[1]}/{name}.csv")`, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var want []string
	for _, form := range []string{"jsonl", "csv", "parquet"} {
		r := execute(t, "debug", file, "--limit", "0", "--json", "--input", "impressions="+filepath.Join(dir, "imps."+form), "--input", "clicks="+filepath.Join(dir, "clicks."+form))
		if r.code != exitDone || !strings.Contains(r.errOut, "a backfill of these files writes 40 rows, in 1 folder") {
			t.Fatalf("%s: exit code %d: %s", form, r.code, r.errOut)
		}
		var got []string
		for _, line := range lines(r.out) {
			_, steps, _ := strings.Cut(line, `"steps":`) // the raw record differs
			key := decode[struct{ Key string }](t, line).Key
			got = append(got, key+" "+steps)
		}
		slices.Sort(got)
		if want == nil {
			want = got
		}
		same(t, form, got, want)
	}
	if all := strings.Join(want, "\n"); strings.Count(all, `"folder":"dt=2023-11-14/hour=22/"`) != 40 || strings.Count(all, `"attached"`) != 8 {
		t.Errorf("stories:\n%s", all)
	}
}
