package backfill

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill/extsort"
	"github.com/mortise-dev/mortise/instances/dataset"
)

// run is a Job at work.
type run struct {
	job          *Job
	pipe         *experiments.Pipeline // as the lanes deliver it
	lanes        []lane
	plan         *plan
	bucket       Bucket
	dataset      *dataset.Dataset
	lettersTo    Bucket
	letterPrefix string
	rollBytes    int64 // of rows as rowBytes measures them
	log          *slog.Logger

	scratch *scratch
	shuffle *shuffle
	resolve func(*extsort.Record)
	states  *states

	warnings []string
	*Progress
}

// Run runs the job to its end. When it fails or is cancelled, running it again
// goes on from where it was.
func Run(ctx context.Context, job Job) (*Report, error) {
	_, report, err := execute(ctx, &job)
	return report, err
}

func execute(ctx context.Context, job *Job) (r *run, report *Report, err error) {
	if err := job.ensureDefaults(); err != nil {
		return nil, nil, err
	}
	if r, err = begin(ctx, job); err != nil {
		return nil, nil, err
	}
	rows := r.dataset
	defer func() { err = errors.Join(err, rows.Close()) }()
	left, err := r.unfinished(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(left) > 0 {
		if err := r.work(ctx, left); err != nil {
			return nil, nil, err
		}
	}
	if report, err = r.finish(ctx); err != nil {
		return nil, nil, err
	}
	report.Done = len(left)
	if r.scratch != nil {
		err = r.scratch.remove()
	}
	return r, report, err
}

// work does the splits that are left.
func (r *run) work(ctx context.Context, splits []int) error {
	if err := r.openScratch(splits); err != nil {
		return err
	}
	if err := r.read(ctx); err != nil {
		return err
	}
	if err := r.reach(); err != nil {
		return r.undo(ctx, err)
	}
	return r.join(ctx, splits)
}

// begin fixes what is to be done, and opens the dataset.
func begin(ctx context.Context, job *Job) (*run, error) {
	r := &run{job: job, bucket: job.Out, log: job.Log, Progress: job.Progress, lettersTo: job.Letters}
	r.pipe, r.lanes = newLanes(job.Pipeline.FromFiles(job.isFile), job.Range)
	if r.lettersTo == nil {
		r.lettersTo, r.letterPrefix = job.Out, ownFolder+"letters/"
	}
	asked, err := r.request()
	if err != nil {
		return nil, err
	}
	_, err = readPlan(ctx, r.bucket, asked)
	switch {
	case err == nil && job.Fresh:
		return nil, fmt.Errorf("%s holds what an earlier run of this backfill has done: leave out --resume=false to go on from there, or begin anew with --overwrite", r.bucket)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	e := job.Pipeline.Experiments[0]
	o := dataset.Options{Columns: job.Pipeline.Columns(0), Experiment: e.Name, Version: e.Version, Config: e.Hash, Kind: dataset.Batch,
		Plan: asked.fingerprint(), Splits: asked.Splits, TempDir: job.TempDir, MemoryBytes: job.MemoryBytes / 4}
	roll := int64(defaultRollBytes)
	if e.Output.Parquet {
		o.Partition, roll = e.Output.ParquetOut.Partition, e.Output.ParquetOut.RollSizeBytes
	}
	if err := checkFolders(job.Range, o.Partition); err != nil {
		return nil, err
	}
	if job.RollBytes > 0 {
		roll = job.RollBytes
	}
	r.rollBytes = rollTimes * roll
	if r.dataset, err = dataset.Open(ctx, r.bucket, o); err != nil {
		return nil, err
	}
	if job.Letters != nil {
		r.letterPrefix = e.Name + "-" + asked.fingerprint() + "/"
	}
	r.plan, err = layDown(ctx, r.bucket, asked, job.Now().UnixMilli())
	return r, err
}

// undo takes back that the backfill was begun, as long as nothing is written and
// nobody else is at it: with other inputs it is another one.
func (r *run) undo(ctx context.Context, why error) error {
	b, ok := r.bucket.(Eraser)
	if !ok || r.job.Shards > 1 {
		return fmt.Errorf("%w; the folder then needs to be emptied first, with --overwrite", why)
	}
	begun := false
	err := r.dataset.Parts(ctx, func(dataset.PartInfo, bool) error {
		begun = true
		return nil
	})
	if err == nil && !begun {
		err = Empty(ctx, b)
	}
	return errors.Join(why, err, r.scratch.remove())
}

// request describes the job.
func (r *run) request() (*request, error) {
	e := r.job.Pipeline.Experiments[0]
	asked := &request{Experiment: e.Name, Version: e.Version, Config: e.Hash, Splits: r.job.Splits}
	if r.job.Range.FromMS != always.FromMS {
		asked.FromMS = &r.job.Range.FromMS
	}
	if r.job.Range.ToMS != always.ToMS {
		asked.ToMS = &r.job.Range.ToMS
	}
	known := map[string]bool{}
	bytes := int64(0)
	for i := range r.lanes {
		in := laneInput{Sources: r.lanes[i].names}
		for _, name := range r.lanes[i].names {
			known[name] = true
			if data := r.job.Inputs[name]; data != nil {
				in.Data = append(in.Data, data.Identity()...)
				bytes += data.Bytes()
			}
		}
		asked.Inputs = append(asked.Inputs, in)
	}
	for i := range e.Features { // sources that nothing but features are over
		name := e.Features[i].Source
		if data := r.job.Inputs[name]; data != nil && !known[name] {
			known[name] = true
			asked.Inputs = append(asked.Inputs, laneInput{Sources: []string{name}, Data: data.Identity()})
		}
	}
	for name := range r.job.Inputs {
		if !known[name] {
			return nil, fmt.Errorf("input %s: the experiment has no source of that name", name)
		}
	}
	if asked.Splits == 0 {
		asked.Splits = Splits(bytes)
	}
	return asked, nil
}

// unfinished lists the splits of this shard that are still to be done.
func (r *run) unfinished(ctx context.Context) (left []int, err error) {
	for i := r.job.Shard; i < r.plan.Splits; i += r.job.Shards {
		pos, err := r.dataset.Next(ctx, dataset.Split(i, r.plan.Splits))
		if err != nil {
			return nil, err
		}
		if !pos.Finished {
			left = append(left, i)
		}
	}
	return left, nil
}

// openScratch opens the scratch folder for some splits, and cuts the inputs into units.
func (r *run) openScratch(splits []int) (err error) {
	bytes := int64(0)
	for _, in := range r.job.Inputs {
		bytes += in.Bytes()
	}
	cut := r.job.CutBytes
	if cut == 0 {
		cut = cutBytes(bytes)
	}
	folder, err := r.job.Scratch(fmt.Sprintf("%s-%d-of-%d", r.plan.fingerprint(), r.job.Shard, r.job.Shards))
	if err != nil {
		return err
	}
	r.scratch, err = openScratch(folder, manifest{Plan: r.plan.fingerprint(), Cut: cut, Shard: r.job.Shard, Shards: r.job.Shards, Kept: splits})
	if err != nil {
		return err
	}
	s := &shuffle{lanes: r.lanes, pipe: r.pipe, splits: r.plan.Splits, kept: make([]bool, r.plan.Splits), nowMS: r.plan.NowMS,
		scratch: r.scratch, limit: int(r.job.MemoryBytes / 2 / int64(r.job.Workers)), records: &r.records}
	for _, i := range splits {
		s.kept[i] = true
	}
	for i := range r.lanes {
		for _, name := range r.lanes[i].names {
			if data := r.job.Inputs[name]; data != nil {
				for _, u := range data.Units(cut) {
					s.units = append(s.units, unit{u, i})
				}
			}
		}
	}
	s.resume()
	r.shuffle = s
	return checkUnits(s.units)
}

// read is the first half: inputs → spills.
func (r *run) read(ctx context.Context) error {
	if err := r.shuffle.run(ctx, r.job.Workers); err != nil {
		return err
	}
	if err := r.shuffle.merge(ctx, fanIn(r.job.MemoryBytes, r.job.Workers), r.job.Workers); err != nil {
		return err
	}
	r.resolve = r.shuffle.resolver()
	return nil
}

// fanIn is how many runs one merge may have open: a sixth of the memory for all of
// them, 192 KiB each.
func fanIn(memoryBytes int64, workers int) int {
	return int(min(max(memoryBytes/6/int64(workers)/(192<<10), 8), 512))
}

// join is the second half: splits → the dataset.
func (r *run) join(ctx context.Context, splits []int) error {
	for i := range r.scratch.spills {
		for _, split := range splits {
			n, _ := r.scratch.spills[i].Records(split)
			r.total.Add(n)
		}
	}
	r.joining.Store(true)
	r.states = newStates(max(r.job.MemoryBytes/2, 1), r.job.DiskStates)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.job.Workers)
	for _, i := range splits {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			_, err := r.split(ctx, i)
			return err
		})
	}
	return g.Wait()
}
