package experiments_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

// variants are experiments that differ in what may differ within one pipeline.
func variants(t testing.TB) []*spec.Experiment {
	variant := func(name string, edits ...string) *spec.Experiment {
		text := strings.NewReplacer("experiment: hostile", "experiment: "+name, "name: out", "name: out."+name).Replace(hostile)
		for i := 0; i < len(edits); i += 2 {
			if !strings.Contains(text, edits[i]) {
				t.Fatalf("%s: no %q to edit", name, edits[i])
			}
			text = strings.Replace(text, edits[i], edits[i+1], 1)
		}
		return parse(t, name+".yaml", text)
	}
	return []*spec.Experiment{
		variant("base"),
		variant("filtered", "where: position >= 1", "where: position >= 1 && position <= 3", "select: [user_segment, item_id, position, propensity]", "select: [item_id]"),
		variant("sampled", "instance:", "instance:\n  sample: {negatives: 0.3, by: request_id}"),
		variant("dwelling", "click: {source: clicks, within: 30m}", "long_click: {source: clicks, within: 30m, where: dwell >= 5, value: dwell}",
			"order: {source: orders, within: 1h, value: amount}", "sold: {source: orders, within: 1h}"),
		variant("derived", "    where: position >= 1\n", "    derive: {is_top: position == 1, band: position / 3}\n    where: position == 1 || position > 3\n", "position, propensity]", "is_top, band]"),
		variant("strict", "item_id: string, position: int", "item_id: string, page: int, position: int"), // a field that no record has
	}
}

// TestTogetherEqualsApart runs experiments that share one pipeline and each of
// them alone, and expects the same rows and the same accounts.
func TestTogetherEqualsApart(t *testing.T) {
	opts := traffic.Hostile()
	opts.Seed, opts.Impressions, opts.Rate, opts.LateShare, opts.JitterMS = 5, 3000, 2, 0, 600_000
	w := generate(t, opts)
	all := variants(t)
	plan := newPlan(t, all...)
	if len(plan.Pipelines) != 1 {
		t.Fatalf("%d pipelines, want one: %+v", len(plan.Pipelines), plan.Describe())
	}
	rng := rand.New(rand.NewPCG(3, 3))
	together := w.broker(3, "request_id")
	workers := work(t, plan, together, rng, 6)
	checkLedgers(t, workers)
	for i, e := range plan.Pipelines[0].Experiments {
		alone := w.broker(3, "request_id")
		one := work(t, newPlan(t, e), alone, rng, 0)
		got, want := rows(together, e.Output.Topic), rows(alone, e.Output.Topic)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d rows together, %d alone: %s", e.Name, len(got), len(want), firstDifference(got, want))
		}
		if a, b := workers[0].Status().Experiments[i].Ledger, one[0].Status().Experiments[0].Ledger; a != b {
			t.Errorf("%s: ledger together\n%+v\nalone\n%+v", e.Name, a, b)
		}
		if a, b := len(together.output["dead-letters."+e.Name]), len(alone.output["dead-letters."+e.Name]); a != b {
			t.Errorf("%s: %d dead letters together, %d alone", e.Name, a, b)
		}
		if e.Name == "strict" && len(want) != 0 || e.Name != "strict" && len(want) == 0 {
			t.Errorf("%s: %d rows", e.Name, len(want))
		}
	}
}

// TestOrderOfFilesDoesNotMatter: the group that a pipeline commits to is the
// same whatever the order of its files.
func TestOrderOfFilesDoesNotMatter(t *testing.T) {
	all := variants(t)
	want := newPlan(t, all...).Pipelines[0]
	slices.Reverse(all)
	got := newPlan(t, all...).Pipelines[0]
	if got.Name() != want.Name() || got.Fingerprint() != want.Fingerprint() {
		t.Errorf("in reverse: %s with fingerprint %x, want %s with %x", got.Name(), got.Fingerprint(), want.Name(), want.Fingerprint())
	}
}

// TestWhatKeepsApart lists differences that experiments cannot share over.
func TestWhatKeepsApart(t *testing.T) {
	base := parse(t, "a.yaml", hostile)
	for name, edit := range map[string][2]string{
		"main stream": {"topic: imps", "topic: other"},
		"key":         {"key: [request_id, impression_id]", "key: [impression_id, request_id]"},
		"window":      {"within: 30m", "within: 20m"},
		"before":      {"before: 10m", "before: 9m"},
		"delay":       {"dedup: true", "dedup: true\n  delay: 2h"},
		"dedup":       {"dedup: true", "dedup: false"},
		"slack":       {"out_of_orderness: 1h", "out_of_orderness: 2h"},
		"emit":        {"instance:", "instance:\n  emit: early_positive"},
		"type":        {"position: int", "position: float"},
	} {
		other := parse(t, "b.yaml", strings.Replace(strings.Replace(hostile, "experiment: hostile", "experiment: b", 1), edit[0], edit[1], 1))
		plan := newPlan(t, base, other)
		if len(plan.Pipelines) != 2 {
			t.Errorf("%s: experiments share a pipeline", name)
			continue
		}
		if apart := plan.Describe().Pipelines[1].Apart; len(apart) != 1 || apart[0].Why == "" {
			t.Errorf("%s: explain does not say why: %+v", name, apart)
		}
	}
}

// TestEarlyPolicies: the final rows are those of at_close but for the revision,
// revisions of an instance count up from 0 without a gap, and one row is final.
func TestEarlyPolicies(t *testing.T) {
	opts := traffic.Hostile()
	opts.Seed, opts.Impressions, opts.Rate, opts.LateShare, opts.JitterMS = 9, 2000, 2, 0, 0
	w := generate(t, opts)
	run := func(policy, sample string) []string {
		text := strings.Replace(hostile, "instance:", "instance:\n  emit: "+policy+"\n  sample: {negatives: "+sample+"}", 1)
		b := w.broker(2, "request_id")
		checkLedgers(t, work(t, newPlan(t, parse(t, policy+".yaml", text)), b, rand.New(rand.NewPCG(4, 4)), 0))
		var all []string
		for _, o := range b.output["out"] {
			all = append(all, o.value)
		}
		return all
	}
	for _, sample := range []string{"1", "0.3"} {
		want := run("at_close", sample)
		slices.Sort(want)
		for _, policy := range []string{"early_positive", "immediate_negative"} {
			rows := run(policy, sample)
			var finals []string
			next := map[string]int{}
			for _, row := range rows {
				in := decode(t, row)
				if in.Revision != next[in.ID] {
					t.Fatalf("%s: %s has revision %d after %d rows", policy, in.ID, in.Revision, next[in.ID])
				}
				next[in.ID]++
				if in.Final {
					finals = append(finals, strings.Replace(row, `"revision":`+itoa(in.Revision), `"revision":0`, 1))
					next[in.ID] = 0 // the key may come again, a window later
				}
			}
			slices.Sort(finals)
			if !slices.Equal(finals, want) {
				t.Errorf("%s, sample %s: final rows differ from at_close's: %s", policy, sample, firstDifference(finals, want))
			}
			if len(rows) <= len(finals) {
				t.Errorf("%s: no provisional row in %d", policy, len(rows))
			}
		}
	}
}
