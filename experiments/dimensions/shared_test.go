package dimensions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/dimensions"
	"github.com/mortise-dev/mortise/experiments/offline"
	"github.com/mortise-dev/mortise/experiments/spec"
)

const many = `
experiment: NAME
sources:
  imps:
    topic: imps
    event_time: {field: ts}
    fields: {id: string, ts: int, item: string, pos: int}
    WHERE
  clicks:
    topic: clicks
    event_time: {field: ts}
    fields: {id: string, ts: int}
join:
  main: imps
  key: id
  labels:
    click: {source: clicks, within: 1m}
dimensions:
  DIM: {key: item, store: {redis: {addrs: ['h:1'], prefix: items}}, as_of: ASOF, timeout: 1m, fields: {category: string EXTRA}, cache: {ttl: 1h}}
instance:
  select: [item, DIM.category SELECT]
output:
  topic: {name: out.NAME}
  dead_letters: {file: none}
`

// manyExperiments are n experiments that call one dimension by n names, and take
// other impressions. Where they differ in its fields, each has one of five beside
// the one that all have.
func manyExperiments(t *testing.T, n int, asOf string, differ bool) *experiments.Plan {
	t.Helper()
	var all []*spec.Experiment
	wanted := 0
	for i := range n {
		where := ""
		if i%2 == 1 {
			where = fmt.Sprintf("where: pos >= %d", i/3)
		}
		extra, selected, dims := "", "", 1
		if differ {
			dims = min(n, 5)
			extra, selected = fmt.Sprintf(", f%d: int", i%5), fmt.Sprintf(", DIM.f%d", i%5)
		}
		wanted = dims
		text := strings.NewReplacer("EXTRA", extra, "SELECT", strings.ReplaceAll(selected, "DIM", fmt.Sprint("dim", i)), "NAME", fmt.Sprintf("e%02d", i), "DIM", fmt.Sprintf("dim%d", i), "WHERE", where, "ASOF", asOf).Replace(many)
		e, diags := spec.Parse("many.yaml", []byte(text), spec.LoadOptions{})
		if e == nil {
			t.Fatal(diags)
		}
		all = append(all, e)
	}
	plan, err := experiments.NewPlan(all)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Pipelines) != 1 || len(plan.Pipelines[0].Dimensions) != wanted {
		t.Fatalf("%d pipelines, %d dimensions", len(plan.Pipelines), len(plan.Pipelines[0].Dimensions))
	}
	return plan
}

// countingTable has a row for every key, and counts what is asked for.
type countingTable struct {
	fields            mortise.Schema
	lookups, requests atomic.Int64
}

func (c *countingTable) Read(_ context.Context, lookups []dimjoin.Lookup) error {
	c.requests.Add(1)
	c.lookups.Add(int64(len(lookups)))
	for i := range lookups {
		for _, f := range c.fields {
			if f.Type.Kind == mortise.String {
				lookups[i].Row = append(lookups[i].Row, mortise.StringValue("of "+string(lookups[i].Key)))
				continue
			}
			n, _ := strconv.Atoi(strings.TrimPrefix(f.Name, "f"))
			lookups[i].Row = append(lookups[i].Row, mortise.IntValue(int64(100*n+len(lookups[i].Key))))
		}
	}
	return nil
}

func (c *countingTable) Close() error { return nil }

// TestManyExperimentsLookUpOnce: 16 experiments over one dimension ask its store for
// what one of them asks, though they declare other fields of it.
func TestManyExperimentsLookUpOnce(t *testing.T) {
	dir := t.TempDir()
	var imps strings.Builder
	for i := range 6_000 {
		fmt.Fprintf(&imps, "{\"id\":\"i%d\",\"ts\":%d,\"item\":\"item-%d\",\"pos\":%d}\n", i, 1_767_225_600_000+i*10, i*i%1777, i%9)
	}
	file := filepath.Join(dir, "imps.jsonl")
	if err := os.WriteFile(file, []byte(imps.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		asOf   string
		differ bool
	}{{"arrival", false}, {"emission", false}, {"arrival", true}, {"emission", true}} {
		asOf := c.asOf
		var cost [2]int64
		for i, n := range []int{1, 16} {
			table := &countingTable{}
			rows := map[string]int{}
			plan := manyExperiments(t, n, asOf, c.differ)
			set, err := dimensions.Open(t.Context(), plan, dimensions.Options{Open: func(_ context.Context, def *dimjoin.Definition) (dimjoin.Table, error) {
				table.fields = def.Fields
				return table, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			job := offline.Job{Inputs: map[string][]string{"imps": {file}}, Output: func(o *experiments.Output) error {
				rows[o.Topic]++
				var row map[string]any
				if err := json.Unmarshal(o.Value, &row); err != nil {
					return err
				}
				name := "dim" + strings.TrimLeft(strings.TrimPrefix(o.Topic, "out.e"), "0")
				if o.Topic == "out.e00" {
					name = "dim0"
				}
				if row[name+"_category"] != fmt.Sprint("of ", row["item"]) {
					return fmt.Errorf("%s: %s", o.Topic, o.Value)
				}
				var k int
				if _, err := fmt.Sscanf(name, "dim%d", &k); err != nil {
					return err
				}
				if item, _ := row["item"].(string); c.differ && row[fmt.Sprintf("%s_f%d", name, k%5)] != float64(100*(k%5)+len(item)) {
					return fmt.Errorf("%s: %s", o.Topic, o.Value)
				}
				return nil
			}}
			job.Worker.Dimensions, job.Worker.Letters = set.For(plan.Pipelines[0]), func(string, []byte) error { return nil }
			if _, err := offline.Run(t.Context(), plan.Pipelines[0], job); err != nil {
				t.Fatal(err)
			}
			if rows["out.e00"] != 6_000 || len(rows) != n {
				t.Fatalf("rows %v", rows)
			}
			st := set.Status()
			if len(st) != 1 || len(st[0].Experiments) != n || !slices.Contains(st[0].Experiments, "e00") || st[0].Stats.Keys != table.lookups.Load() {
				t.Errorf("status %+v", st)
			}
			if err := set.Close(); err != nil {
				t.Fatal(err)
			}
			cost[i] = table.lookups.Load()
			t.Logf("as of %s, other fields %t, %d experiments: %d keys in %d requests", asOf, c.differ, n, cost[i], table.requests.Load())
		}
		if cost[0] == 0 || float64(cost[1]) > 1.3*float64(cost[0]) {
			t.Errorf("as of %s: 16 experiments cost %d lookups, one costs %d", asOf, cost[1], cost[0])
		}
	}
}
