package backfill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill/extsort"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/dataset"
)

// SplitReport is what became of one split. It lies beside the dataset, so that the
// last of the shards knows of all.
type SplitReport struct {
	Split   int            `json:"split"`
	Ledger  mortise.Ledger `json:"ledger"`
	Rows    int64          `json:"rows"`
	Letters int64          `json:"dead_letters"`
	HoursMS []int64        `json:"hours_ms"` // event times, one an hour that has rows
}

const hourMS = 3600 * 1000

// splitRun runs one split through the pipeline into the dataset.
type splitRun struct {
	*run
	origin string
	report SplitReport

	pos   dataset.Position
	redo  *dataset.Range
	part  *dataset.PartWriter // open, or nil
	next  int64               // the row to come
	bytes int64               // of the part's rows
	hours map[int64]bool

	letters []byte
}

// split runs split i. It may have been begun before: its rows come again in the
// same order, and those that are published already pass.
func (r *run) split(ctx context.Context, i int) (*SplitReport, error) {
	s := &splitRun{run: r, origin: dataset.Split(i, r.plan.Count), report: SplitReport{Split: i}, hours: map[int64]bool{}}
	var err error
	if s.pos, err = r.dataset.Next(ctx, s.origin); err != nil {
		return nil, err
	}
	s.redo = s.pos.Redo
	if err := s.work(ctx, i); err != nil {
		if s.part != nil {
			err = errors.Join(err, s.part.Abort())
		}
		return nil, fmt.Errorf("split %d of %d: %w", i, r.plan.Count, err)
	}
	return &s.report, s.finish(ctx)
}

// work is the way of the records: feed → Worker → parts.
func (s *splitRun) work(ctx context.Context, i int) (err error) {
	merge := extsort.NewMerge(s.scratch, s.scratch.spills, i, s.resolve)
	f := newFeed(merge, s.lanes, s.shuffle.units, s.pipe.Join.Early, s.takeLetter, &s.joined)
	defer func() { err = errors.Join(err, f.Close()) }()
	states, release, err := s.states.open(ctx, i, windowBytes(s.scratch.spills, i, s.pipe.Join.DelayMS))
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, states.Close())
		release()
	}()
	w, err := experiments.NewWorker(s.pipe, f, states, s.origin, experiments.WorkerOptions{
		UntilEnd: true, InputDone: f.done, Parallel: 1, Enrichment: s.job.Enrichment, Dimensions: s.job.Dimensions, Recorded: true, PollRecords: fedRecords, Log: s.log,
		Now:     func() time.Time { return time.UnixMilli(s.plan.NowMS) }, // it stands, so that nothing is committed before the end
		Rows:    func(_ int32, _ int, in *instances.Instance) error { return s.row(ctx, in) },
		Locate:  func(dl *mortise.DeadLetter) { f.locate(s.pipe, dl) },
		Letters: func(_ string, line []byte) error { return s.takeLetter(line) },
	})
	if err != nil {
		return err
	}
	if err := w.Run(ctx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // a cancelled run ends well, but not at the end
	}
	s.report.Ledger = w.Status().Experiments[0].Ledger
	s.countSkipped(i)
	return s.publish(ctx)
}

// row takes the next row, unless it is published.
func (s *splitRun) row(ctx context.Context, in *instances.Instance) error {
	s.hours[in.TimeMS-in.TimeMS%hourMS] = true
	at := s.next
	s.next++
	if at < s.pos.Next {
		return nil
	}
	if s.part == nil {
		s.part = s.dataset.NewPart(s.origin, at)
	}
	if err := s.part.Append(in); err != nil {
		return err
	}
	if s.redo != nil {
		if s.next == s.redo.To {
			return s.publish(ctx)
		}
		return nil
	}
	if s.bytes += rowBytes(in); s.bytes >= s.rollBytes {
		return s.publish(ctx)
	}
	return nil
}

// rowBytes is about how large a row is: by the row alone, so that a split is cut
// into the same parts whatever was written before.
func rowBytes(in *instances.Instance) int64 {
	n := 32 + len(in.ID) + 24*len(in.Labels)
	for i := range in.Selected {
		n += valueBytes(&in.Selected[i])
	}
	for _, text := range in.Degraded {
		n += len(text)
	}
	return int64(n)
}

func valueBytes(v *mortise.Value) int {
	n := 8 + len(v.Text())
	if v.Kind == mortise.List {
		for i := range v.List() {
			n += valueBytes(&v.List()[i])
		}
	}
	return n
}

// publish publishes the part that is open.
func (s *splitRun) publish(ctx context.Context) error {
	if s.part == nil {
		return nil
	}
	info, err := s.part.Publish(ctx, s.next)
	if err != nil {
		return err
	}
	s.part, s.redo, s.bytes = nil, nil, 0
	s.written.Add(info.Rows)
	return nil
}

// countSkipped puts on the account what was never brought to the Worker.
func (s *splitRun) countSkipped(split int) {
	l := &s.report.Ledger
	for i := range s.scratch.notes {
		for lane, per := range s.scratch.notes[i].Skipped {
			for _, in := range s.lanes[lane].inputs {
				n := per[split]
				if in == s.pipe.Join.Main {
					l.Impressions.In += n
					l.Impressions.Dropped[mortise.ReasonOutOfRange] += n
				} else {
					l.Labels.In += n
					l.Labels.Dropped[mortise.ReasonOutOfRange] += n
				}
			}
		}
	}
}

// takeLetter takes one dead letter.
func (s *splitRun) takeLetter(line []byte) error {
	s.report.Letters++
	s.letters = append(append(s.letters, line...), '\n')
	return nil
}

// finish writes what is beside the rows, and says that the split has all of them.
func (s *splitRun) finish(ctx context.Context) error {
	r := &s.report
	if err := r.Ledger.Check(); err != nil {
		return fmt.Errorf("split %d: %w", r.Split, err)
	}
	if r.Letters > 0 {
		if err := s.create(ctx, s.lettersTo, s.letterPrefix+s.origin+".jsonl", s.letters); err != nil {
			return fmt.Errorf("writing dead letters: %w", err)
		}
	}
	r.Rows = s.next
	for hour := range s.hours {
		r.HoursMS = append(r.HoursMS, hour)
	}
	slices.Sort(r.HoursMS)
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := s.create(ctx, s.bucket, reportKey(r.Split, s.plan.Count), text); err != nil {
		return err
	}
	return s.dataset.Finish(ctx, s.origin, s.next)
}

func reportKey(split, splits int) string { return ownFolder + dataset.Split(split, splits) + ".json" }

// create writes an object that another run of the split may have written: then it
// is the same.
func (s *splitRun) create(ctx context.Context, b Bucket, key string, text []byte) error {
	err := b.Create(ctx, key, bytes.NewReader(text))
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
