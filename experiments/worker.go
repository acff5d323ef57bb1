package experiments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments/spec"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/profile"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// WorkerOptions tune a worker. Zero fields take their defaults.
type WorkerOptions struct {
	// Partitions is how many each input topic has. Where it is known, records are
	// checked against it, and Run ends with a *MisplacedError before anything of a
	// round is committed in which one lies elsewhere than its partition_by says.
	// The default, 0, checks nothing.
	Partitions int
	// UntilEnd stops the worker when every input has been read to the end it
	// has once InputDone is closed (at once when InputDone is nil) and every
	// window is closed. What is written to it after that is left alone.
	UntilEnd bool
	// Group, where set, makes that every task of the group, not only this worker's:
	// a worker that is done, or has no tasks, is there to take over those of one
	// that dies.
	Group Group
	// InputDone, where set, says that what is being published to the inputs is
	// all there. Until then no input counts as idle: it is known that more comes.
	InputDone <-chan struct{}
	// CommitEvery is how often outputs and offsets are committed. The default is 500 ms.
	CommitEvery time.Duration
	// ManifestEvery is how often local state is committed. The default is 5 s.
	ManifestEvery time.Duration
	// PollRecords bounds the records of one poll. The default is 20,000.
	PollRecords int
	// PollWait bounds how long a poll waits when nothing comes. The default is 100 ms.
	PollWait time.Duration
	// CloseRows bounds the impressions that all tasks together close per round,
	// so that a backlog of closings neither holds up intake nor fills memory. The
	// default is 50,000.
	CloseRows int
	// MaxAhead is how far, in event time, one input may run ahead of the
	// watermark before it is paused. The default is a quarter of the join's
	// delay, at least a minute.
	MaxAhead time.Duration
	// Parallel is how many tasks work at once. The default is GOMAXPROCS.
	Parallel int
	// Checkpoints, where set, keeps copies of the state in another place, from
	// which a task comes back on another machine.
	Checkpoints Checkpoints
	// CheckpointEvery is how often each task is copied. The default is a minute.
	CheckpointEvery time.Duration
	// Enrichment fills rows with features. It is needed where the pipeline has
	// some; where it has none it is not asked.
	Enrichment Enrichment
	// Dimensions reads the dimensions of rows. It is needed where the pipeline has
	// some; where it has none it is not asked.
	Dimensions Dimensions
	// Parked, where set, is where rows are kept that wait for dimensions beyond the
	// close of their impression, as the pipeline's experiments ask for. Without it
	// none does. The transport must be able to write ParkedTopic(group).
	Parked ParkedRows
	// Recorded says that impressions are no longer coming in: a dimension that is to
	// be read on arrival is read as of the impression's time where its store tells
	// what was valid then, else as it is now.
	Recorded bool
	// AcceptGap goes on where a log no longer holds what has to be read again,
	// and counts what is lost, instead of ending with a *GapError.
	AcceptGap bool
	// Now is the clock: its wall time judges event times and idleness, its
	// monotonic time when to commit. The default is time.Now.
	Now func() time.Time
	// Go runs what takes long beside the tasks that are at work: opening and
	// copying state. The default is a goroutine.
	Go func(func())
	// Log is where the worker tells what it does. The default discards.
	Log *slog.Logger
	// Trace, where set, is told what becomes of every event of every task.
	Trace func(partition int32, t joiner.Trace)
	// LookedUp, where set, is told how the dimensions of every row were looked up: all
	// is valid during the call, on the task's goroutine.
	LookedUp func(exp int, impression *joiner.Entry, all []Looked)
	// Letters takes the dead letters of experiments whose output says a file,
	// which need it.
	Letters func(experiment string, line []byte) error
	// Locate, where set, puts into a dead letter where its record came from, when
	// partition and offset are not a topic's but only order the records.
	Locate func(dl *mortise.DeadLetter)
	// Rows, where set, takes the instances of a task, in the order in which they
	// are put out, instead of their being encoded and produced: in is valid during
	// the call, on the task's goroutine. What it has taken is not taken back when
	// the worker begins again, so it is for transports that never lose anything.
	Rows func(partition int32, exp int, in *instances.Instance) error
	// Profile has the worker count what its rows are like, for Worker.Profile. That
	// costs about 0.3 µs a row of eight columns (instances/profile, BenchmarkAdd).
	Profile bool
}

// EnsureDefaults fills in zero fields.
func (o *WorkerOptions) EnsureDefaults() {
	setDefault(&o.CommitEvery, 500*time.Millisecond)
	setDefault(&o.ManifestEvery, 5*time.Second)
	setDefault(&o.PollRecords, 20_000)
	setDefault(&o.PollWait, 100*time.Millisecond)
	setDefault(&o.CloseRows, 50_000)
	setDefault(&o.Parallel, runtime.GOMAXPROCS(0))
	setDefault(&o.CheckpointEvery, time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Go == nil {
		o.Go = func(f func()) { go f() }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T int | time.Duration](p *T, v T) {
	if *p == 0 {
		*p = v
	}
}

// Worker runs one pipeline over the partitions that it is assigned.
type Worker struct {
	pipeline  *Pipeline
	transport Transport
	states    States
	opts      WorkerOptions
	name      string // of the state: the consumer group
	cleaners  []*clean.Source
	encoders  []*letterEncoder // per experiment
	headers   [][]Header       // per experiment
	inputOf   map[string][]int // topic → inputs

	runners  []*runner // of the tasks at work, by partition
	byPart   map[TopicPartition]route
	opening  map[int32]context.CancelFunc // tasks whose state is being opened
	jobs     jobs
	life     context.Context //nolint:containedctx // of what tasks give away, until the session ends
	endLife  context.CancelFunc
	lastDone time.Time // of the last commit
	lastMark time.Time // of the last manifest
	dirty    bool      // something happened since the last commit
	ended    bool
	askedAt  time.Time // whether the group has ended too; zero before this worker's tasks have
	patience spec.Patience
	amends   spec.Patience
	waited   ParkingStats             // of tasks that are closed
	amended  ParkingStats             // likewise
	allEnds  map[TopicPartition]int64 // of the whole group's inputs under UntilEnd; nil until known
	corrupt  int                      // how often state was discarded
	doubted  map[int32]bool           // tasks whose checkpoints are left alone, for state that was discarded may have come from there

	commits     Durations
	aborts      int64
	checkpoints CheckpointStatus

	mu       sync.Mutex
	status   Status
	profiles []*profile.Profile // per experiment, of what is committed
}

type route struct {
	runner *runner
	inputs []int
}

// NewWorker prepares a worker; group names its state.
func NewWorker(p *Pipeline, t Transport, s States, group string, opts WorkerOptions) (*Worker, error) {
	opts.EnsureDefaults()
	if opts.Rows != nil {
		p = p.RowsAsJSON() // which are not encoded at all
	}
	setDefault(&opts.MaxAhead, max(time.Duration(p.Join.DelayMS/4)*time.Millisecond, time.Minute))
	w := &Worker{pipeline: p, transport: t, states: s, opts: opts, name: group, inputOf: map[string][]int{}}
	cleaners, err := p.cleaners()
	if err != nil {
		return nil, err
	}
	w.cleaners = cleaners
	if opts.Parked != nil {
		w.patience, w.amends = p.patience(), p.amends()
	}
	for i := range p.Sources {
		topic := p.Sources[i].Topic
		w.inputOf[topic] = append(w.inputOf[topic], i)
	}
	if len(p.Features) > 0 && opts.Enrichment == nil {
		return nil, fmt.Errorf("%s: its rows have features: give WorkerOptions.Enrichment, which reads them", p.Experiments[0].Path)
	}
	if len(p.Dimensions) > 0 && opts.Dimensions == nil {
		return nil, fmt.Errorf("%s: its rows have dimensions: give WorkerOptions.Dimensions, which reads them", p.Experiments[0].Path)
	}
	for exp, e := range p.Experiments {
		if e.Output.DeadLetter.Topic == "" && opts.Letters == nil {
			return nil, fmt.Errorf("%s: dead letters go to the file %s: give WorkerOptions.Letters, which writes it", e.Path, e.Output.DeadLetter.File)
		}
		w.encoders = append(w.encoders, newLetterEncoder(e))
		w.headers = append(w.headers, p.rowHeaders(exp))
	}
	return w, nil
}

func (w *Worker) nowMS() int64 { return w.opts.Now().UnixMilli() }

// maxCorrupt is how often in its life a worker rebuilds state that does not
// verify before it gives up: a disk that corrupts again and again is the fault.
const maxCorrupt = 3

// Run works until the input ends (under UntilEnd), ctx is cancelled (it then
// commits what is done and returns nil), or something fails that it cannot mend.
func (w *Worker) Run(ctx context.Context) error {
	for {
		w.life, w.endLife = context.WithCancel(context.WithoutCancel(ctx)) //nolint:fatcontext // a session's own; what is away at the end of ctx is still committed
		err := w.session(ctx)
		w.endLife()
		w.closeAll()
		switch {
		case errors.Is(err, ErrRebalanced):
			w.opts.Log.Info("what was not committed is aborted, and tasks begin again from what is", "group", w.name)
		case errors.Is(err, joiner.ErrCorrupt) && w.corrupt < maxCorrupt:
			w.corrupt++
			w.opts.Log.Warn("state does not verify and is rebuilt from the topics", "group", w.name, "err", err)
			if err := w.discard(err); err != nil {
				return err
			}
		case w.opts.AcceptGap && errors.As(err, new(*GapError)):
			w.opts.Log.Warn("a log was cut off while it was being read; what is gone is counted as lost", "group", w.name, "err", err)
		case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
			return nil
		default:
			return err
		}
		w.aborts++
		if err := w.transport.Abort(ctx); err != nil {
			return fmt.Errorf("aborting what was produced: %w", err)
		}
	}
}

// session works until the assignment is lost, the input ends, or ctx does.
func (w *Worker) session(ctx context.Context) error {
	w.byPart, w.opening = map[TopicPartition]route{}, map[int32]context.CancelFunc{}
	w.lastDone, w.lastMark, w.askedAt = w.opts.Now(), w.opts.Now(), time.Time{}
	for {
		if err := w.reassign(ctx); err != nil {
			return err
		}
		if err := w.round(ctx); err != nil {
			return err
		}
		if w.ended {
			if done, err := w.finish(ctx); done || err != nil {
				return err
			}
		} else {
			w.askedAt = time.Time{}
		}
		if ctx.Err() != nil {
			w.opts.Log.Info("draining", "group", w.name)
			return w.drain(ctx)
		}
		if now := w.opts.Now(); now.Sub(w.lastDone) >= w.opts.CommitEvery || w.isFull() {
			manifest := now.Sub(w.lastMark) >= w.opts.ManifestEvery
			if err := w.commit(ctx, manifest); err != nil {
				return err
			}
			if manifest {
				w.checkpoint(ctx)
			}
		}
	}
}

// closeAll closes every task without committing, those being opened too.
func (w *Worker) closeAll() {
	for _, cancel := range w.opening {
		cancel()
	}
	w.jobs.discard()
	for _, r := range w.runners {
		w.closeTask(r)
	}
	w.runners, w.byPart, w.opening, w.dirty = nil, nil, nil, false
}

func (w *Worker) closeTask(r *runner) {
	r.recall()
	w.noteParking(r)
	if err := r.store.Close(); err != nil {
		w.opts.Log.Warn("closing state", "partition", r.partition, "err", err)
	}
}

// taskError says which task failed.
type taskError struct {
	partition int32
	err       error
}

func (e *taskError) Error() string { return fmt.Sprintf("partition %d: %v", e.partition, e.err) }
func (e *taskError) Unwrap() error { return e.err }

// discard throws away the state of the task that cause names.
func (w *Worker) discard(cause error) error {
	var at *taskError
	if !errors.As(cause, &at) {
		return cause
	}
	if err := w.states.Reset(w.stateName(at.partition)); err != nil {
		return fmt.Errorf("discarding the state of partition %d: %w", at.partition, err)
	}
	if w.doubted == nil {
		w.doubted = map[int32]bool{}
	}
	w.doubted[at.partition] = true
	return nil
}
