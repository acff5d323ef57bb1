package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"

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
	if r.job.Before != nil {
		if err := r.job.Before(ctx, r.job); err != nil {
			return err
		}
	}
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
	asked, err := r.request()
	if err != nil {
		return nil, err
	}
	e := job.Pipeline.Experiments[0]
	if r.lettersTo, r.letterPrefix = job.Letters, e.Name+"-"+asked.fingerprint()+"/"; r.lettersTo == nil {
		r.lettersTo, r.letterPrefix = job.Out, ownFolder+"letters/"
	}
	r.plan, err = readPlan(ctx, r.bucket, asked)
	switch {
	case err == nil && job.Fresh:
		return nil, fmt.Errorf("%s holds what an earlier run of this backfill has done: leave out --resume=false to go on from there, or begin anew with --overwrite", r.bucket)
	case errors.Is(err, fs.ErrNotExist):
		r.plan, err = r.newPlan(asked)
	}
	if err != nil {
		return nil, err
	}
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	mine := r.plan.Count
	if r.plan, err = layDown(ctx, r.bucket, r.plan); err != nil {
		return nil, err
	}
	if r.plan.Count != mine {
		return nil, fmt.Errorf("another shard has begun at the same moment, with topics that had grown, in %d splits instead of %d: run the same command again", r.plan.Count, mine)
	}
	err = r.bind()
	return r, err
}

// newPlan makes the plan of a backfill that nobody has begun yet.
func (r *run) newPlan(asked *request) (*plan, error) {
	p := &plan{request: *asked, Count: asked.Splits, NowMS: r.job.Now().UnixMilli()}
	if p.Count == 0 {
		p.Count = Splits(r.bytes())
	}
	for name, in := range r.job.Inputs {
		b, ok := in.(Bounded)
		if !ok {
			continue
		}
		bounds, err := b.Bounds()
		if err != nil {
			return nil, err
		}
		if p.Bounds == nil {
			p.Bounds = map[string]json.RawMessage{}
		}
		p.Bounds[name] = bounds
	}
	return p, nil
}

// bind makes the inputs reach as far as the plan says.
func (r *run) bind() error {
	for name, in := range r.job.Inputs {
		if b, ok := in.(Bounded); ok {
			if err := b.Bind(r.plan.Bounds[name]); err != nil {
				return fmt.Errorf("input %s: %w", name, err)
			}
		}
	}
	return nil
}

// bytes is how large the joined inputs are.
func (r *run) bytes() (total int64) {
	for i := range r.lanes {
		for _, in := range r.inputsOf(i) {
			total += in.Bytes()
		}
	}
	return total
}

// inputsOf lists what is read for a lane: the inputs of its sources, and of others
// of the same topic, as they would find one another's records there.
func (r *run) inputsOf(lane int) (all []Input) {
	for i := range r.lanes {
		if r.lanes[i].origin != r.lanes[lane].origin {
			continue
		}
		for _, name := range r.lanes[i].names {
			if in := r.job.Inputs[name]; in != nil {
				all = append(all, in)
			}
		}
	}
	return all
}

// unitsOf cuts a lane's inputs into units, in order of the files' names. What
// several inputs name is read once.
func (r *run) unitsOf(lane int, cut int64) (units []unit) {
	places := map[string][]Unit{}
	for _, in := range r.inputsOf(lane) {
		own := map[string][]Unit{}
		for _, u := range in.Units(cut) {
			own[u.Place] = append(own[u.Place], u)
		}
		for place, pieces := range own {
			if places[place] == nil {
				places[place] = pieces
			}
		}
	}
	for file, place := range slices.Sorted(maps.Keys(places)) {
		for _, u := range places[place] {
			u.File = file
			units = append(units, unit{u, lane})
		}
	}
	return units
}

// open opens the dataset.
func (r *run) open(ctx context.Context) (err error) {
	e := r.job.Pipeline.Experiments[0]
	o := dataset.Options{Columns: r.job.Pipeline.Columns(0), Experiment: e.Name, Version: e.Version, Config: e.Hash, Kind: dataset.Batch,
		Plan: r.plan.fingerprint(), Splits: r.plan.Count, TempDir: r.job.TempDir, MemoryBytes: r.job.MemoryBytes / 4}
	roll := int64(DefaultRollBytes)
	if e.Output.Parquet {
		o.Partition, roll = e.Output.ParquetOut.Partition, e.Output.ParquetOut.RollSizeBytes
	}
	if r.job.RollBytes > 0 {
		roll = r.job.RollBytes
	}
	r.rollBytes = rollTimes * roll
	if err := checkFolders(r.job.Range, o.Partition); err != nil {
		return err
	}
	r.dataset, err = dataset.Open(ctx, r.bucket, o)
	return err
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
	for i := range r.lanes {
		in := laneInput{Sources: r.lanes[i].names}
		for _, name := range r.lanes[i].names {
			known[name] = true
		}
		for _, data := range r.inputsOf(i) {
			in.Data = append(in.Data, data.Identity()...)
		}
		slices.Sort(in.Data)
		in.Data = slices.Compact(in.Data)
		asked.Inputs = append(asked.Inputs, in)
	}
	for i := range e.Features { // sources that nothing but features are over
		name := e.Features[i].Source
		if data := r.job.Inputs[name]; data != nil && !known[name] {
			known[name] = true
			asked.Inputs = append(asked.Inputs, laneInput{Sources: []string{name}, Data: data.Identity()})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.job.Beside)) {
		asked.Inputs = append(asked.Inputs, laneInput{Sources: []string{name}, Data: r.job.Beside[name]})
	}
	for name := range r.job.Inputs {
		if !known[name] {
			return nil, fmt.Errorf("input %s: the experiment has no source of that name", name)
		}
	}
	return asked, nil
}

// unfinished lists the splits of this shard that are still to be done.
func (r *run) unfinished(ctx context.Context) (left []int, err error) {
	for i := r.job.Shard; i < r.plan.Count; i += r.job.Shards {
		pos, err := r.dataset.Next(ctx, dataset.Split(i, r.plan.Count))
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
	cut := r.job.CutBytes
	if cut == 0 {
		cut = cutBytes(r.bytes())
	}
	folder, err := r.job.Scratch(fmt.Sprintf("%s-%d-of-%d", r.plan.fingerprint(), r.job.Shard, r.job.Shards))
	if err != nil {
		return err
	}
	r.scratch, err = openScratch(folder, manifest{Plan: r.plan.fingerprint(), Cut: cut, Shard: r.job.Shard, Shards: r.job.Shards, Kept: splits})
	if err != nil {
		return err
	}
	s := &shuffle{lanes: r.lanes, pipe: r.pipe, splits: r.plan.Count, kept: make([]bool, r.plan.Count), nowMS: r.plan.NowMS,
		scratch: r.scratch, limit: int(r.job.MemoryBytes / 2 / int64(r.job.Workers)), records: &r.records}
	for _, i := range splits {
		s.kept[i] = true
	}
	for i := range r.lanes {
		s.units = append(s.units, r.unitsOf(i, cut)...)
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
