package backfill_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/mortise-dev/mortise/experiments/backfill"
	"github.com/mortise-dev/mortise/loadtest/traffic"
)

// TestLook estimates a backfill, which must leave nothing behind, and compares it
// with what the backfill then comes to.
func TestLook(t *testing.T) {
	opts := traffic.Realistic()
	opts.Seed, opts.Impressions, opts.Rate, opts.CTR = 1, 150_000, 20, 0.05 // two hours, more than is looked at
	w := generate(t, rand.New(rand.NewPCG(1, 1)), opts)
	delete(w.files, "orders")
	delete(w.files, "queries")
	p := pipeline(t, feed)
	dir := filepath.Join(t.TempDir(), "out")
	job := backfill.Job{Pipeline: p, Inputs: w.inputs(t), Out: bucket(t, dir), Scratch: func(string) (backfill.FS, error) {
		t.Error("a scratch folder is opened")
		return nil, os.ErrPermission
	}, Workers: 2}
	e, err := backfill.Look(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the dataset's folder has been made")
	}
	job.Inputs, job.Scratch = w.inputs(t), scratch(t)
	report, err := backfill.Run(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, got, want int64) {
		t.Helper()
		if float64(got) < 0.7*float64(want) || float64(got) > 1.4*float64(want) {
			t.Errorf("%s: estimated %d, it is %d", what, got, want)
		}
	}
	near("impressions", e.Inputs[0].Records, report.Ledger.Impressions.In)
	near("clicks", e.Inputs[1].Records, report.Ledger.Labels.In)
	near("dataset", e.OutBytes, report.Bytes)
	near("hours", e.Hours, int64(report.Hours))
	if e.Splits != report.Splits || e.Finished != 0 || e.Seconds <= 0 || e.ScratchBytes < report.Bytes {
		t.Errorf("estimate %+v, report %+v", e, report)
	}
	job.Inputs = w.inputs(t)
	if e, err = backfill.Look(t.Context(), job); err != nil || e.Finished != e.Splits {
		t.Errorf("after the backfill: %+v, %v", e, err)
	}
}

// Inputs that are small, or empty, are looked at whole.
func TestLookAtLittle(t *testing.T) {
	for _, lines := range [][]string{nil, {`{"impression_id":"a","ts":1767225600000,"user_segment":"s","item_id":"i","position":1,"propensity":0.5}`, `{}`}} {
		w := &world{dir: t.TempDir(), files: map[string][]string{}}
		w.write(t, "impressions", "imps.jsonl", lines)
		e, err := backfill.Look(t.Context(), backfill.Job{Pipeline: pipeline(t, feed), Inputs: w.inputs(t), Out: bucket(t, filepath.Join(t.TempDir(), "out"))})
		if err != nil {
			t.Fatal(err)
		}
		if in := e.Inputs[0]; !in.Exact || in.Records != int64(len(lines)) || e.Hours != int64(min(len(lines), 1)) {
			t.Errorf("%d lines: %+v", len(lines), e)
		}
	}
}
