package experiments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/clean"
)

// WorkerOptions tune a worker. Zero fields take their defaults.
type WorkerOptions struct {
	// UntilEnd stops the worker when every input has been read to the end it
	// has once InputDone is closed (at once when InputDone is nil) and every
	// window is closed.
	UntilEnd bool
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
	// NowMS is the wall clock, ms UTC. The default is the system's.
	NowMS func() int64
	// Log is where the worker tells what it does. The default discards.
	Log *slog.Logger
	// Trace, where set, is told what becomes of every event of every task.
	Trace func(partition int32, t joiner.Trace)
	// Letters takes the dead letters of experiments whose output says a file,
	// which need it.
	Letters func(experiment string, line []byte) error
}

// EnsureDefaults fills in zero fields.
func (o *WorkerOptions) EnsureDefaults() {
	setDefault(&o.CommitEvery, 500*time.Millisecond)
	setDefault(&o.ManifestEvery, 5*time.Second)
	setDefault(&o.PollRecords, 20_000)
	setDefault(&o.PollWait, 100*time.Millisecond)
	setDefault(&o.CloseRows, 50_000)
	setDefault(&o.Parallel, runtime.GOMAXPROCS(0))
	if o.NowMS == nil {
		o.NowMS = func() int64 { return time.Now().UnixMilli() }
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

	runners  []*runner
	byPart   map[TopicPartition]route
	inputOf  map[string][]int // topic → inputs
	lastDone time.Time        // of the last commit
	lastMark time.Time        // of the last manifest
	dirty    bool             // something happened since the last commit
	ended    bool
	corrupt  int // how often state was discarded

	commits    int64
	commitTime time.Duration

	mu     sync.Mutex
	status Status
}

type route struct {
	runner *runner
	inputs []int
}

// NewWorker prepares a worker; group names its state.
func NewWorker(p *Pipeline, t Transport, s States, group string, opts WorkerOptions) (*Worker, error) {
	opts.EnsureDefaults()
	setDefault(&opts.MaxAhead, max(time.Duration(p.Join.DelayMS/4)*time.Millisecond, time.Minute))
	w := &Worker{pipeline: p, transport: t, states: s, opts: opts, name: group, inputOf: map[string][]int{}}
	cleaners, err := p.cleaners(opts.NowMS)
	if err != nil {
		return nil, err
	}
	w.cleaners = cleaners
	for i := range p.Sources {
		topic := p.Sources[i].Topic
		w.inputOf[topic] = append(w.inputOf[topic], i)
	}
	for _, e := range p.Experiments {
		if e.Output.DeadLetter.Topic == "" && opts.Letters == nil {
			return nil, fmt.Errorf("%s: dead letters go to the file %s: give WorkerOptions.Letters, which writes it", e.Path, e.Output.DeadLetter.File)
		}
		w.encoders = append(w.encoders, newLetterEncoder(e))
		w.headers = append(w.headers, recordHeaders(e))
	}
	return w, nil
}

// maxCorrupt is how often in its life a worker rebuilds state that does not
// verify before it gives up: a disk that corrupts again and again is the fault.
const maxCorrupt = 3

// Run works until the input ends (under UntilEnd), ctx is cancelled (it then
// commits what is done and returns nil), or something fails that it cannot mend.
func (w *Worker) Run(ctx context.Context) error {
	defer w.closeTasks()
	for {
		err := w.session(ctx)
		switch {
		case errors.Is(err, ErrRebalanced):
			w.opts.Log.Info("partitions were reassigned", "group", w.name)
			continue
		case errors.Is(err, joiner.ErrCorrupt) && w.corrupt < maxCorrupt:
			w.corrupt++
			w.opts.Log.Warn("state does not verify and is rebuilt from the topics", "group", w.name, "err", err)
			if err := w.discard(); err != nil {
				return err
			}
			continue
		case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
			return nil
		}
		return err
	}
}

// session works on one assignment of partitions.
func (w *Worker) session(ctx context.Context) error {
	w.closeTasks()
	committed, err := w.transport.Assignment(ctx)
	if err != nil {
		return err
	}
	if err := w.openTasks(committed); err != nil {
		return err
	}
	w.opts.Log.Debug("working", "group", w.name, "tasks", len(w.runners))
	w.lastDone, w.lastMark = time.Now(), time.Now()
	for {
		if err := w.round(ctx); err != nil {
			return err
		}
		if w.ended {
			w.opts.Log.Debug("every window is closed", "group", w.name)
			return w.commit(ctx, true)
		}
		if ctx.Err() != nil {
			w.opts.Log.Info("draining", "group", w.name)
			return w.commitLast(ctx)
		}
		if time.Since(w.lastDone) >= w.opts.CommitEvery {
			if err := w.commit(ctx, time.Since(w.lastMark) >= w.opts.ManifestEvery); err != nil {
				return err
			}
		}
	}
}

func (w *Worker) closeTasks() {
	for _, r := range w.runners {
		if err := r.store.Close(); err != nil {
			w.opts.Log.Warn("closing state", "partition", r.partition, "err", err)
		}
	}
	w.runners, w.byPart = nil, map[TopicPartition]route{}
}

// discard throws away the state of every task that this worker had open.
func (w *Worker) discard() error {
	var partitions []int32
	for _, r := range w.runners {
		partitions = append(partitions, r.partition)
	}
	w.closeTasks()
	for _, p := range partitions {
		if err := w.states.Reset(w.stateName(p)); err != nil {
			return fmt.Errorf("discarding the state of partition %d: %w", p, err)
		}
	}
	return nil
}
