// Package programs runs the programs that the pages show, with the clients that
// they use.
package programs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/broker"
	"github.com/mortise-dev/mortise/internal/provisioned"
)

// programs returns the whole programs of consume.md by the names in their first lines.
func programs(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile("../consume.md")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, language := range []string{"python", "go"} {
		for _, block := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllStringSubmatch(string(page), -1) {
			text := block[1]
			m := regexp.MustCompile(`^(?:#|//) (\w+\.(?:py|go))\n`).FindStringSubmatch(text)
			if m == nil {
				t.Errorf("a block of docs/consume.md does not begin with its name:\n%.100s", text)
				continue
			}
			found[m[1]] = text
		}
	}
	return found
}

// figures is what the programs print.
type figures struct {
	Rows      int     `json:"rows"`
	Weight    float64 `json:"weight"`
	ClickRate float64 `json:"click_rate"`
	Clicks    float64 `json:"clicks"`
}

// reader runs the page's programs.
type reader struct {
	t        *testing.T
	dir      string
	programs map[string]string
	ran      map[string]bool
}

// write puts a program into a folder of its own and returns its path.
func (r *reader) write(name string) string {
	r.t.Helper()
	text, ok := r.programs[name]
	if !ok {
		r.t.Fatalf("docs/consume.md has no %s", name)
	}
	r.ran[name] = true
	path := filepath.Join(r.dir, strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func (r *reader) python(name string, env ...string) (figures, error) {
	r.t.Helper()
	return r.run(exec.Command(provisioned.Python(r.t), r.write(name)), env...)
}

// golang builds a program in a module of its own, so that what it needs is not
// what mortise needs.
func (r *reader) golang(name string, env ...string) (figures, error) {
	r.t.Helper()
	path := r.write(name)
	for _, file := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), file), data, 0o666); err != nil {
			r.t.Fatal(err)
		}
	}
	plain := append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0")
	fetch := exec.Command("go", "mod", "download")
	fetch.Dir, fetch.Env = filepath.Dir(path), plain
	if out, err := fetch.CombinedOutput(); err != nil {
		provisioned.Missing(r.t, "the Go modules of "+name, fmt.Sprintf("%v: %s: go mod download needs a module proxy", err, out))
	}
	build := exec.Command("go", "build", "-o", "program", ".")
	build.Dir, build.Env = filepath.Dir(path), plain
	if out, err := build.CombinedOutput(); err != nil {
		r.t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	return r.run(exec.Command(filepath.Join(filepath.Dir(path), "program")), env...)
}

func (r *reader) run(cmd *exec.Cmd, env ...string) (f figures, err error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var out, errOut bytes.Buffer
	with := exec.CommandContext(ctx, cmd.Path, cmd.Args[1:]...)
	with.Dir, with.Env, with.Stdout, with.Stderr = r.dir, append(os.Environ(), env...), &out, &errOut
	if err := with.Run(); err != nil {
		return f, fmt.Errorf("%s: %w\n%s", cmd, err, errOut.String())
	}
	if err := json.Unmarshal(out.Bytes(), &f); err != nil {
		return f, fmt.Errorf("%s printed %q: %w", cmd, out.String(), err)
	}
	return f, nil
}

// want compares figures with those of the rows.
func (r *reader) want(what string, got figures, err error, want figures) {
	r.t.Helper()
	if err != nil {
		r.t.Errorf("%s: %v", what, err)
		return
	}
	if got.Rows != want.Rows || math.Abs(got.Weight-want.Weight) > 1e-6 || math.Abs(got.ClickRate-want.ClickRate) > 1e-9 {
		r.t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

// figuresOf counts the final rows among JSON lines.
func figuresOf(t *testing.T, rows string) (f figures) {
	t.Helper()
	for line := range strings.Lines(rows) {
		var row struct {
			Click  float64 `json:"label_click"`
			Weight float64 `json:"weight"`
			Final  bool    `json:"final"`
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		if row.Final {
			f.Rows, f.Weight, f.Clicks = f.Rows+1, f.Weight+row.Weight, f.Clicks+row.Weight*row.Click
		}
	}
	f.ClickRate = f.Clicks / f.Weight
	return f
}

// TestConsume runs the programs of consume.md against rows of which some are
// provisional and some are sampled.
func TestConsume(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "mortise")
	mortise := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(bin, args...)
		var errOut bytes.Buffer
		cmd.Dir, cmd.Stderr = dir, &errOut
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("mortise %s: %v\n%s", strings.Join(args, " "), err, errOut.String())
		}
		return string(out)
	}
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/mortise").CombinedOutput(); err != nil {
		t.Fatalf("building the command: %v\n%s", err, out)
	}
	experiment, err := filepath.Abs("../../examples/feed-ctr/experiment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(broker.Options{Dir: filepath.Join(dir, "data"), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	brokers, early := "BROKERS="+b.Addr(), []string{experiment, "--set", "instance.emit=early_positive"}
	publish := func(start string) (inputs []string) {
		mortise("generate", "--out", "traffic", "--impressions", "3000", "--rate", "1", "--seed", start[:4], "--start", start+"T00:00:00Z")
		inputs = []string{"--input", "impressions=traffic/impressions.jsonl", "--input", "clicks=traffic/clicks.jsonl"}
		mortise(append(append([]string{"run", "--until-end", "--brokers", b.Addr(), "--partitions", "3"}, early...), inputs...)...)
		return inputs
	}
	rows := func() string { return mortise("tail", "instances.feed-ctr", "--until-end", "--brokers", b.Addr()) }
	r := &reader{t: t, dir: dir, programs: programs(t), ran: map[string]bool{}}

	inputs := publish("2026-01-01")
	first := rows()
	all := figuresOf(t, first)
	if strings.Count(first, "\n") <= all.Rows || all.Rows < 500 || all.Weight <= float64(all.Rows) {
		t.Fatalf("%d rows, %+v: none is provisional, or none sampled", strings.Count(first, "\n"), all)
	}
	got, err := r.python("train_from_topic.py", brokers)
	r.want("train_from_topic.py", got, err, all)
	got, err = r.golang("read_topic.go", brokers)
	r.want("read_topic.go", got, err, all)
	if _, err := r.python("train_with_positions.py", brokers, "CRASH_AFTER=750"); err == nil {
		t.Error("train_with_positions.py did not crash")
	}

	mortise(append(append([]string{"backfill", "--out", "out", "--splits", "3"}, early...), inputs...)...)
	dataset := "DATASET=" + filepath.Join(dir, "out")
	got, err = r.golang("read_dataset.go", dataset)
	r.want("read_dataset.go", got, err, all)
	got, err = r.python("ask_dataset.py", dataset)
	r.want("ask_dataset.py", got, err, all)
	got, err = r.python("train_from_dataset.py", dataset)
	r.want("train_from_dataset.py", got, err, all)
	got, err = r.python("train_from_dataset.py", dataset)
	r.want("train_from_dataset.py, when nothing is new", got, err, figures{})

	publish("2027-01-01")
	both := figuresOf(t, rows())
	got, err = r.python("train_from_topic.py", brokers)
	r.want("train_from_topic.py, of what is new", got, err, figures{Rows: both.Rows - all.Rows, Weight: both.Weight - all.Weight, ClickRate: (both.Clicks - all.Clicks) / (both.Weight - all.Weight)})
	got, err = r.python("train_with_positions.py", brokers)
	if err != nil || got.Rows != both.Rows || math.Abs(got.Clicks-both.Clicks) > 1e-6 {
		t.Errorf("train_with_positions.py after its crash: %+v, %v, want %+v", got, err, both)
	}
	for name := range r.programs {
		if !r.ran[name] {
			t.Errorf("%s of docs/consume.md is not run", name)
		}
	}
}
