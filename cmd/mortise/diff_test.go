package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/internal/provisioned"
)

// diffReport is what tests look at in diff --json.
type diffReport struct {
	Same                           bool
	Equal, Changed, Removed, Added int64
	Classes                        map[string]int64
	A, B                           struct{ Rows, Duplicates int64 }
	Columns                        []struct{ Name string }
	Schema                         []struct {
		Column string
		OnlyIn string `json:"only_in"`
	}
	Samples []struct{ Kind, Class string }
}

// differences runs diff --json. Its exit code must fit what it says, and its
// counts must add up.
func differences(t *testing.T, args ...string) diffReport {
	t.Helper()
	r := execute(t, append([]string{"diff", "--json"}, args...)...)
	if r.out == "" || r.errOut != "" {
		t.Fatalf("mortise diff %s: %s", strings.Join(args, " "), r.errOut)
	}
	d := decode[diffReport](t, r.out)
	want := exitDone
	if !d.Same {
		want = exitFailed
	}
	if r.code != want {
		t.Errorf("mortise diff %s: exit code %d, want %d", strings.Join(args, " "), r.code, want)
	}
	if d.A.Rows != d.Equal+d.Changed+d.Removed || d.B.Rows != d.Equal+d.Changed+d.Added {
		t.Errorf("mortise diff %s: the counts do not add up: %+v", strings.Join(args, " "), d)
	}
	return d
}

// instanceRow is a row as run writes it.
func instanceRow(i, pos int) string {
	return fmt.Sprintf(`{"instance_id":"k%d","event_time":%d,"label_click":0,"label_click_time":null,"label_click_count":0,"pos":%d,"weight":1,"revision":0,"final":true,"late":false,"degraded":[]}`+"\n", i, t0+1000*i, pos)
}

func instanceRows(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(instanceRow(i, i%7))
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	all := instanceRows(4000)
	a := write(t, filepath.Join(dir, "a.jsonl"), all)
	rows := lines(all)
	// Another order, in several files of a folder, one of them compressed.
	b := filepath.Join(dir, "b")
	write(t, filepath.Join(b, "2.jsonl"), strings.Join(rows[:1000], "\n")+"\n")
	write(t, filepath.Join(b, "x", "1.jsonl.gz"), gzipped(t, strings.Join(rows[1000:], "\n")))
	write(t, filepath.Join(b, "_not", "1.jsonl"), "not for readers")
	if d := differences(t, a, b); !d.Same || d.Equal != 4000 {
		t.Errorf("the same rows: %+v", d)
	}
	if d := differences(t, a, filepath.Join(b, "*.jsonl"), "--memory", "1MB"); d.Removed != 3000 || d.Equal != 1000 {
		t.Errorf("a glob of one quarter: %+v", d)
	}
	from, to := "@2023-11-14T22:15", "..2023-11-14T22:16:40Z" // 100 s and 200 s after the first
	if d := differences(t, a+from+to, b+"@2023-11-14T22:15:00.000Z"+to); !d.Same || d.Equal != 100 {
		t.Errorf("a range of 100 s: %+v", d)
	}
	if d := differences(t, a+from+"..", b); d.Added != 100 || d.Classes["range"] != 100 {
		t.Errorf("all after 100 s: %+v", d)
	}
	changed := write(t, filepath.Join(dir, "c.jsonl"), strings.Join(rows[2:], "\n")+"\n"+instanceRow(1, 6)+strings.Replace(instanceRow(0, 0), `"late":false`, `"late":true`, 1))
	if d := differences(t, a, changed); d.Changed != 2 || d.Classes["late"] != 1 || d.Classes["unexplained"] != 1 || len(d.Columns) != 2 || len(d.Samples) != 2 {
		t.Errorf("two changes: %+v", d)
	}
	if d := differences(t, a, changed, "--ignore", "late,pos"); !d.Same {
		t.Errorf("two changes in columns that are ignored: %+v", d)
	}
	if d := differences(t, a, changed, "--columns", "p*", "--tolerance", "po?=5"); !d.Same {
		t.Errorf("a change within the tolerance: %+v", d)
	}
	r := execute(t, "diff", a, changed, "-n", "1")
	for _, text := range []string{"3,998  equal", "2  changed", "0  only in A", "late  ", "pos   1  by up to 5", "k1  2023-11-14 22:13:21  revision 0: changed, unexplained\n      pos: 1 → 6"} {
		if !strings.Contains(r.out, text) {
			t.Errorf("the report lacks %q:\n%s", text, r.out)
		}
	}
	if r.code != exitFailed || r.errOut != "" {
		t.Errorf("exit code %d, stderr %q", r.code, r.errOut)
	}
	if out := succeed(t, "diff", a, b); !strings.Contains(out, "no difference: 4,000 rows are equal\n") {
		t.Errorf("the report of no difference:\n%s", out)
	}
}

// TestDiffTopic compares a topic with what tail prints of it, by offset and by
// event time, and with the same rows as Parquet of another writer.
func TestDiffTopic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "feed.yaml"), feed)
	runToEnd(t, append(record(t, dir, 500), file, "--embedded", dir)...)
	rows := write(t, filepath.Join(dir, "rows.jsonl"), strings.Join(tailed(t, "f.instances", "--embedded", dir), "\n")+"\n")
	topic := "topic:f.instances"
	if d := differences(t, topic, rows, "--embedded", dir); !d.Same || d.Equal != 500 {
		t.Errorf("a topic and its rows: %+v", d)
	}
	if d := differences(t, topic+"@..2023-11-14T22:13:22", rows+"@..2023-11-14T22:13:22", "--embedded", dir); !d.Same || d.Equal != 200 {
		t.Errorf("two seconds of them: %+v", d)
	}
	if d := differences(t, topic+"@10..20", rows, "--embedded", dir); d.Equal != 40 || d.Removed+d.Changed != 0 {
		t.Errorf("offsets 10 to 20 of four partitions: %+v", d)
	}
	python := provisioned.Python(t)
	out, err := exec.Command(python, "-c", `import sys, pyarrow.json as j, pyarrow.parquet as p
p.write_table(j.read_json(sys.argv[1]).drop_columns("pos"), sys.argv[2])`, rows, filepath.Join(dir, "rows.parquet")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if d := differences(t, topic, filepath.Join(dir, "rows.parquet"), "--embedded", dir); d.Same || d.Equal != 500 || len(d.Schema) != 1 || d.Schema[0].Column != "pos" || d.Schema[0].OnlyIn != "a" {
		t.Errorf("Parquet without a column: %+v", d)
	}
}

func TestDiffErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ok := write(t, filepath.Join(dir, "ok.jsonl"), instanceRows(3))
	bad := write(t, filepath.Join(dir, "bad.jsonl"), instanceRows(2)+"{\"instance_id\":}\n")
	other := write(t, filepath.Join(dir, "other.jsonl"), `{"id":"a"}`+"\n")
	broken := write(t, filepath.Join(dir, "broken.parquet"), "PAR1, it says")
	empty := filepath.Join(dir, "empty")
	write(t, filepath.Join(empty, "_SUCCESS"), "")
	for _, c := range []struct {
		code int
		text string
		args []string
	}{
		{exitUsage, "takes two sets of instances", []string{ok}},
		{exitUsage, "the standard input can be one side only", []string{"-", "-"}},
		{exitUsage, "only a topic has offsets", []string{ok + "@5..", ok}},
		{exitUsage, `"yesterday" is no time: write 2026-01-01`, []string{ok + "@yesterday..", ok}},
		{exitUsage, "the range ends before it begins", []string{ok + "@2026-01-02..2026-01-01", ok}},
		{exitUsage, "neither beginning nor end", []string{ok + "@..", ok}},
		{exitUsage, "names no set of instances", []string{"topic:", ok}},
		{exitUsage, "write COLUMN=N", []string{ok, ok, "--tolerance", "x"}},
		{exitUsage, "cannot be below 0", []string{ok, ok, "--tolerance", "x=-1"}},
		{exitUsage, "is no pattern of columns", []string{ok, ok, "--columns", "["}},
		{exitUsage, "--memory: \"lots\" is not a size", []string{ok, ok, "--memory", "lots"}},
		{exitFailed, "there is no such file or directory", []string{ok, filepath.Join(dir, "nope")}},
		{exitFailed, "neither Parquet files (*.parquet) nor JSON lines", []string{ok, empty}},
		{exitFailed, "bad.jsonl:3: byte 16: column instance_id: there should be a value", []string{ok, bad}},
		{exitFailed, "other.jsonl:1: there is no column instance_id: these are no instances; their columns are id", []string{ok, other}},
		{exitFailed, "broken.parquet: opening as Parquet", []string{ok, broken}},
		{exitFailed, "there is no column event_time, of which a range is asked for; the columns are id", []string{other + "@2026-01-01..", ok}},
		{exitFailed, "there is no embedded broker in " + empty, []string{ok, "topic:x", "--embedded", empty}},
		{exitFailed, "unknown scheme", []string{ok, "ftp://x"}},
	} {
		fails(t, c.code, []string{c.text}, append([]string{"diff"}, c.args...)...)
	}
}

// TestMayHold prunes by the folders of a dataset.
func TestMayHold(t *testing.T) {
	for _, c := range []struct {
		name, from, to string
		want           bool
	}{
		{"x/dt=2026-01-01/hour=05/p.parquet", "2026-01-01T05:59:59", "2026-01-02", true},
		{"x/dt=2026-01-01/hour=05/p.parquet", "2026-01-01T06", "2026-01-02", false},
		{"x/dt=2026-01-01/hour=05/p.parquet", "2025-01-01", "2026-01-01T05", false},
		{"dt=2026-01-01/p.parquet", "2026-01-01T23:00", "2026-01-02", true},
		{"dt=2026-01-01/p.parquet", "2026-01-02", "2026-01-03", false},
		{"dt=2026-13-01/p.parquet", "2026-01-02", "2026-01-03", true},
		{"p.parquet", "2026-01-02", "2026-01-03", true},
	} {
		from, err := parseTime(c.from)
		if err != nil {
			t.Fatal(err)
		}
		to, err := parseTime(c.to)
		if err != nil {
			t.Fatal(err)
		}
		if got := mayHold(c.name, from, to); got != c.want {
			t.Errorf("%s within %s and %s: %t", c.name, c.from, c.to, got)
		}
	}
}
