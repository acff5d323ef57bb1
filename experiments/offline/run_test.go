package offline_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/offline"
	"github.com/mortise-dev/mortise/experiments/spec"
)

const experiment = `
experiment: offline
sources:
  imps: {topic: i, event_time: {field: ts}, fields: {id: string, ts: int}}
  clicks: {topic: c, event_time: {field: ts}, fields: {id: string, ts: int}}
join:
  main: imps
  key: id
  labels: {click: {source: clicks, within: 1m}}
output:
  topic: {name: o}
  dead_letters: {DEAD}
`

func pipeline(t *testing.T, dead string) *experiments.Pipeline {
	t.Helper()
	e, found := spec.Parse("offline.yaml", []byte(strings.Replace(experiment, "DEAD", dead, 1)), spec.LoadOptions{})
	if found.HasErrors() {
		t.Fatal(found.String())
	}
	plan, err := experiments.NewPlan([]*spec.Experiment{e})
	if err != nil {
		t.Fatal(err)
	}
	return plan.Pipelines[0]
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRun also leaves a source without files: it is empty, not missing.
func TestRun(t *testing.T) {
	imps := write(t, "imps.jsonl", `{"id":"a","ts":1700000000000}`+"\n"+`{"id":"b","ts":1700000001000}`+"\n"+`{}`+"\n")
	clicks := write(t, "clicks.jsonl", `{"id":"b","ts":1700000002000}`+"\n")
	table := write(t, "imps.csv", "ts,id\n1700000000000,a\n2023-11-14 22:13:21,b\nsoon,c\n")
	for _, c := range []struct {
		inputs    map[string][]string
		positives int64
	}{
		{map[string][]string{"imps": {imps}, "clicks": {clicks}}, 1},
		{map[string][]string{"imps": {imps}}, 0},
		{map[string][]string{"imps": {table}, "clicks": {clicks}}, 1},
	} {
		var topics []string
		var letters int
		st, err := offline.Run(context.Background(), pipeline(t, "file: dead.jsonl"), offline.Job{
			Inputs: c.inputs,
			Output: func(o *experiments.Output) error { topics = append(topics, o.Topic); return nil },
			Worker: experiments.WorkerOptions{Letters: func(string, []byte) error { letters++; return nil }},
		})
		if err != nil {
			t.Fatal(err)
		}
		l := st.Experiments[0].Ledger
		if err := l.Check(); err != nil {
			t.Error(err)
		}
		if strings.Join(topics, " ") != "o o" || letters != 1 || l.Instances != 2 || l.Positives != c.positives {
			t.Errorf("%v: rows to %v, %d letters, ledger %+v", c.inputs, topics, letters, l)
		}
	}
}

func TestRunFaults(t *testing.T) {
	imps := write(t, "imps.jsonl", `{"id":"a","ts":1700000000000}`+"\n")
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	broken := errors.New("no room")
	for _, c := range []struct {
		name, dead string
		cancelled  bool
		inputs     map[string][]string
		want       string
	}{
		{"unknown source", "topic: d", false, map[string][]string{"views": {imps}}, "input views: the pipeline has no source of that name; it has clicks, imps"},
		{"no such file", "topic: d", false, map[string][]string{"imps": {imps + "x"}}, "input imps: no such file"},
		{"letters to a file, and nobody to write it", "file: dead.jsonl", false, map[string][]string{"imps": {imps}}, "offline.yaml: dead letters go to the file dead.jsonl: give WorkerOptions.Letters"},
		{"cancelled", "topic: d", true, map[string][]string{"imps": {imps}}, "context canceled"},
		{"output fails", "topic: d", false, map[string][]string{"imps": {imps}}, "no room"},
	} {
		ctx := context.Background()
		if c.cancelled {
			ctx = cancelled
		}
		_, err := offline.Run(ctx, pipeline(t, c.dead), offline.Job{Inputs: c.inputs, Output: func(*experiments.Output) error { return broken }})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestMemoryStates(t *testing.T) {
	s := offline.Memory()
	imps := write(t, "imps.jsonl", `{"id":"a","ts":1700000000000}`+"\n")
	if _, err := offline.Run(context.Background(), pipeline(t, "topic: d"), offline.Job{Inputs: map[string][]string{"imps": {imps}}, States: s, Output: func(*experiments.Output) error { return nil }}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := offline.Run(context.Background(), pipeline(t, "topic: d"), offline.Job{Inputs: map[string][]string{"imps": {imps}}, States: s}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("state that was closed opened again: %v", err)
	}
}

// TestNothingIsReadBeforeStart: until a task is there, what is read would be lost.
func TestNothingIsReadBeforeStart(t *testing.T) {
	tr := offline.New(nil, nil, []string{"i"}, nil) // without files: it would panic
	if got, err := tr.Poll(t.Context(), 10, 0); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}
