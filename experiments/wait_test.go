package experiments_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/inputs"
	"github.com/mortise-dev/mortise/experiments/offline"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/memory"
	"github.com/mortise-dev/mortise/joiner/recorded"
)

// lateRows is a dimension whose rows come into being: each key has none for its
// first read, and k2 for its second either.
type lateRows struct{ reads map[string]int }

func (l *lateRows) Read(_ context.Context, lookups [][]dimjoin.Answer) error {
	for i := range lookups[0] {
		a := &lookups[0][i]
		l.reads[string(a.Key)]++
		n := l.reads[string(a.Key)]
		if n == 1 || string(a.Key) == "k2" {
			a.Row, a.Served, a.Absent = mortise.Row{mortise.NullValue()}, dimjoin.ServedMissing, true
			continue
		}
		a.Row, a.Served = mortise.Row{mortise.StringValue(fmt.Sprint("read ", n))}, dimjoin.ServedStore
	}
	return nil
}

type inMemory struct{}

func (inMemory) Open(_ string, opts joiner.StoreOptions) (joiner.Store, error) {
	return memory.New().Open(opts)
}
func (inMemory) Reset(string) error { return nil }
func (inMemory) Close() error       { return nil }

// TestMissingWait: a row that was not there on arrival is read again at the close,
// and others are as they were on arrival.
func TestMissingWait(t *testing.T) {
	const text = `
experiment: waiting
sources:
  imps: {topic: i, event_time: {field: ts}, out_of_orderness: 1s, fields: {id: string, ts: int, item_id: string}}
  clicks: {topic: c, event_time: {field: ts}, out_of_orderness: 1s, fields: {id: string, ts: int}}
join: {main: imps, key: id, labels: {click: {source: clicks, within: 10s}}}
dimensions:
  item: {key: item_id, store: {file: {path: none.csv}}, missing: MISSING, fields: {name: string}}
instance: {select: [item_id, item.name]}
output: {topic: {name: o}}
`
	var imps strings.Builder
	for i, item := range []string{"k1", "k2", "k1", "k3", "k1", "k2"} {
		fmt.Fprintf(&imps, `{"id":"m%d","ts":%d,"item_id":%q}`+"\n", i, 1_700_000_000_000+i*3000, item)
	}
	for missing, want := range map[string]string{
		// k1 is read for m0, m2 and m4 as they come in, and again for m0 as it closes, after m2 and before or after m4.
		"wait": `m0 again; m1 null [item:missing]; m2 "read 2" []; m3 "read 2" []; m4 again; m5 null [item:missing]`,
		"null": `m0 null [item:missing]; m1 null [item:missing]; m2 "read 2" []; m3 null [item:missing]; m4 "read 3" []; m5 null [item:missing]`,
	} {
		dir := t.TempDir()
		for name, content := range map[string]string{"imps": imps.String(), "clicks": ""} {
			if err := os.WriteFile(filepath.Join(dir, name+".jsonl"), []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		e, found := spec.Parse("waiting.yaml", []byte(strings.Replace(text, "MISSING", fmt.Sprintf("%q", missing), 1)), spec.LoadOptions{})
		if e == nil {
			t.Fatal(found.String())
		}
		plan, err := experiments.NewPlan([]*spec.Experiment{e})
		if err != nil {
			t.Fatal(err)
		}
		p := plan.Pipelines[0]
		files, err := inputs.Open(context.Background(), []*spec.Source{&e.Sources[0]}, filepath.Join(dir, "imps.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		x, err := experiments.NewExtractor(e, &e.Sources[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		merged, err := recorded.Merge(recorded.Stream{Files: files, Extract: x.Extract})
		if err != nil {
			t.Fatal(err)
		}
		rows := map[string]string{}
		transport := offline.New(merged, []string{"i"}, p.Inputs(), func(o *experiments.Output) error {
			var row struct {
				ID       string   `json:"instance_id"`
				Name     *string  `json:"item_name"`
				Degraded []string `json:"degraded"`
			}
			if err := json.Unmarshal(o.Value, &row); err != nil {
				return err
			}
			name := "null"
			if row.Name != nil {
				name = fmt.Sprintf("%q", *row.Name)
			}
			rows[row.ID] = fmt.Sprint(row.ID, " ", name, " ", row.Degraded)
			return nil
		})
		w, err := experiments.NewWorker(p, transport, inMemory{}, "waiting", experiments.WorkerOptions{UntilEnd: true, InputDone: transport.InputDone(), Parallel: 1,
			PollRecords: 1, Dimensions: &lateRows{map[string]int{}}, Go: func(f func()) { f() }})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range 6 {
			got = append(got, rows[fmt.Sprint("m", i)])
		}
		for i, part := range strings.Split(want, "; ") {
			id, again := strings.CutSuffix(part, " again")
			if again && !strings.HasPrefix(got[i], id+` "read `) || !again && got[i] != part {
				t.Errorf("missing: %s: got %s, want %s", missing, strings.Join(got, "; "), want)
				break
			}
		}
	}
}
