package backfill

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/instances/dataset"
)

// Report is what a backfill has come to: all that is done of it, by whichever
// shard and run.
type Report struct {
	Experiment string
	Version    int
	Out        string // where the dataset is
	Complete   bool   // every split is finished, and every hour marked so
	Splits     int
	Finished   int // splits
	Done       int // of them, by this run
	Ledger     mortise.Ledger
	Rows       int64
	Letters    int64
	Hours      int // that have rows
	Files      int
	Bytes      int64
	Warnings   []string
}

// finish marks the hours, if all splits are finished, and adds up what there is.
func (r *run) finish(ctx context.Context) (*Report, error) {
	report := &Report{Experiment: r.plan.Experiment, Version: r.plan.Version, Out: r.bucket.String(), Splits: r.plan.Count, Warnings: r.warnings}
	hours := map[int64]bool{}
	for i := range r.plan.Count {
		var s SplitReport
		err := readJSON(ctx, r.bucket, reportKey(i, r.plan.Count), &s)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		report.Ledger.Add(&s.Ledger)
		report.Rows, report.Letters = report.Rows+s.Rows, report.Letters+s.Letters
		for _, ms := range s.HoursMS {
			hours[ms] = true
		}
	}
	report.Hours = len(hours)
	err := r.dataset.Parts(ctx, func(p dataset.PartInfo, done bool) error {
		if done {
			report.Files, report.Bytes = report.Files+len(p.Files), report.Bytes+p.Bytes
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if report.Finished, err = r.dataset.Finished(ctx); err != nil || report.Finished < r.plan.Count {
		return report, err
	}
	var times []int64
	for ms := range hours {
		times = append(times, ms)
	}
	slices.Sort(times)
	if err := r.dataset.Complete(ctx, times...); err != nil {
		return nil, err
	}
	report.Complete = true
	return report, nil
}
