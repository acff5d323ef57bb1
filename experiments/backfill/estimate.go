package backfill

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/features/memory"
)

// Estimate says what a backfill would come to.
type Estimate struct {
	Inputs       []InputEstimate `json:"inputs"`
	Splits       int             `json:"splits"`
	Finished     int             `json:"finished"` // splits that an earlier run has done
	FromMS       int64           `json:"from_ms"`  // the least and the greatest event time of the records that were looked at
	ToMS         int64           `json:"to_ms"`
	Hours        int64           `json:"hours"` // that the rows lie in, at most
	ScratchBytes int64           `json:"scratch_bytes"`
	OutBytes     int64           `json:"out_bytes"`
	MemoryBytes  int64           `json:"memory_bytes"`
	Seconds      float64         `json:"seconds"`
	RowsASecond  float64         `json:"rows_a_second"` // of the trial, one worker
}

// InputEstimate is what there is of one source.
type InputEstimate struct {
	Source  string `json:"source"`
	Files   int    `json:"files"` // or partitions
	Bytes   int64  `json:"bytes"` // -1 when that cannot be known
	Records int64  `json:"records"`
	Exact   bool   `json:"exact"` // all records have been read
}

// Look estimates a job from a trial: some records, from places all over the inputs,
// are run through all of it in memory. It reads nothing else, and writes nothing.
func Look(ctx context.Context, job Job) (*Estimate, error) {
	if err := job.ensureDefaults(); err != nil {
		return nil, err
	}
	r := &run{job: &job, bucket: job.Out}
	r.pipe, r.lanes = newLanes(job.Pipeline.FromFiles(job.isFile), job.Range)
	asked, err := r.request()
	if err != nil {
		return nil, err
	}
	if r.plan, err = readPlan(ctx, job.Out, asked); err != nil {
		if r.plan, err = r.newPlan(asked); err != nil {
			return nil, err
		}
	}
	if err := r.bind(); err != nil {
		return nil, err
	}
	e := &Estimate{Splits: r.plan.Count, MemoryBytes: job.MemoryBytes}
	if _, err := readPlan(ctx, job.Out, asked); err == nil {
		if e.Finished, err = countReports(ctx, job.Out); err != nil {
			return nil, err
		}
	}
	trial := map[string]Input{}
	share := 1.0 // of the whole, that is in the trial
	for i := range r.lanes {
		for _, name := range r.lanes[i].names {
			in := job.Inputs[name]
			if in == nil {
				continue
			}
			s, err := sampleInput(ctx, in)
			if err != nil {
				return nil, err
			}
			trial[name] = s
			share = min(share, float64(max(s.records, 1))/float64(max(s.expected(), 1)))
			e.Inputs = append(e.Inputs, InputEstimate{Source: name, Files: len(in.Identity()), Bytes: s.totalBytes, Records: s.expected(), Exact: s.whole})
		}
	}
	for _, in := range trial { // so that there are as many labels an impression as in the whole
		s := in.(*sampled)
		s.trim(share * float64(s.expected()) / float64(max(s.records, 1)))
	}
	err = e.try(ctx, job, trial, 1/share)
	return e, err
}

// try runs the trial; whole is how much more there is of everything than in it.
func (e *Estimate) try(ctx context.Context, job Job, trial map[string]Input, whole float64) error {
	out, scratch := newShelf(), newShelf()
	workers, asked := job.Workers, job.Range
	job.Inputs, job.Out, job.Letters, job.Progress = trial, out, nil, nil
	job.Scratch = func(string) (FS, error) { return folder{scratch}, nil }
	job.Range, job.Shard, job.Shards, job.Workers, job.Splits, job.Fresh = always, 0, 1, 1, 1, false
	job.Before = nil
	if len(job.Pipeline.Features) > 0 {
		job.Before = func(ctx context.Context, job *Job) error {
			return FillFeatures(ctx, job, &experiments.Plan{Pipelines: []*experiments.Pipeline{job.Pipeline}}, memory.New())
		}
	}
	began := time.Now()
	report, times, err := runTimed(ctx, job)
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	e.ScratchBytes, e.OutBytes = int64(whole*float64(scratch.bytes(spillSuffix))), int64(whole*float64(out.bytes(".parquet")))
	e.Seconds = whole * took / float64(workers)
	if took > 0 {
		e.RowsASecond = float64(report.Rows) / took
	}
	e.FromMS, e.ToMS = times.FromMS, times.ToMS
	if from, to := max(times.FromMS, asked.FromMS), min(times.ToMS, asked.ToMS-1); from <= to {
		e.Hours = floorHour(to)/hourMS - floorHour(from)/hourMS + 1
		e.OutBytes = int64(float64(e.OutBytes) * float64(to-from+1) / float64(times.ToMS-times.FromMS+1))
	} else {
		e.OutBytes = 0
	}
	return nil
}

func floorHour(ms int64) int64 { return ms - ((ms%hourMS)+hourMS)%hourMS }

// countReports counts the splits that are done.
func countReports(ctx context.Context, b Bucket) (n int, err error) {
	err = b.List(ctx, ownFolder+"s", func(key string, _ int64, _ time.Time) error {
		if strings.HasSuffix(key, ".json") {
			n++
		}
		return nil
	})
	return n, err
}

// runTimed is Run, and tells which event times the impressions have.
func runTimed(ctx context.Context, job Job) (*Report, Range, error) {
	r, report, err := execute(ctx, &job)
	times := Range{math.MaxInt64, math.MinInt64}
	if err != nil || r.scratch == nil {
		return report, times, err
	}
	for i := range r.scratch.notes {
		if t, ok := r.scratch.notes[i].Times[0]; ok {
			times = Range{min(times.FromMS, t.FromMS), max(times.ToMS, t.ToMS)}
		}
	}
	return report, times, nil
}
