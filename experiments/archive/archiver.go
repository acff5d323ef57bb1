package archive

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mortise-dev/mortise/experiments"
)

// Archiver archives the partitions that its consumer group assigns to it. Run
// belongs to one goroutine.
type Archiver struct {
	transport experiments.Transport
	opts      Options

	lanes      []*lane // by partition
	past       counts  // of lanes that were given up
	lastCommit time.Time
	completion completion
	ending     ending

	mu     sync.Mutex
	status experiments.ArchiveStatus
}

// New makes an archiver of a transport that reads the rows' topic and produces
// nothing.
func New(t experiments.Transport, opts Options) (*Archiver, error) {
	opts.EnsureDefaults()
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	a := &Archiver{transport: t, opts: opts}
	e := opts.Archive.Experiment
	for i := range e.Sources {
		if e.Sources[i].Name == e.Join.Main {
			a.completion.closing.idleAfter = e.Sources[i].IdleAfter
		}
	}
	a.observe()
	return a, nil
}

// Run archives until the join has ended and everything is there, ctx is cancelled
// (it then publishes what it has read, within bounds, and returns nil), or
// something fails that waiting does not mend.
func (a *Archiver) Run(ctx context.Context) error {
	// What is under way when ctx ends may come to its end.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(a.opts.StopWithin, cancel) })()
	defer a.dropAll()
	for {
		err := a.session(ctx, work)
		switch {
		case errors.Is(err, experiments.ErrRebalanced):
			a.opts.Log.Info("archiving begins again from what is published", "group", a.opts.Archive.Group)
		case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
			return nil
		default:
			return a.explain(err)
		}
		a.dropAll()
		if err := a.transport.Abort(ctx); err != nil {
			return fmt.Errorf("archiving %s: %w", a.opts.Archive.Topic, err)
		}
	}
}

// session works until the assignment is lost, all is done, or ctx ends; work ends
// a little later.
func (a *Archiver) session(ctx, work context.Context) error {
	a.lastCommit = a.opts.Now()
	for {
		if err := a.reassign(work); err != nil {
			return err
		}
		if err := a.round(ctx, work); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return a.stop(work)
		}
		if a.opts.isEnded() {
			if done, err := a.end(work); err != nil || done {
				return err
			}
		} else if err := a.complete(work); err != nil {
			return err
		}
		if a.opts.Now().Sub(a.lastCommit) >= a.opts.CommitEvery {
			if err := a.commit(work); err != nil {
				return err
			}
		}
	}
}

// round is one turn: what failed is tried again, what came is appended, and parts
// that are full are published.
func (a *Archiver) round(ctx, work context.Context) error {
	if err := a.each(func(l *lane) error { return l.again(work) }); err != nil {
		return err
	}
	if err := a.startFound(); err != nil {
		return err
	}
	fetched, err := a.transport.Poll(ctx, a.opts.PollRecords, a.opts.PollWait)
	if err != nil && ctx.Err() == nil {
		return err
	}
	byPartition := map[int32]*experiments.Fetched{}
	for i := range fetched {
		byPartition[fetched[i].Partition] = &fetched[i]
	}
	ends, ending := a.ending.ends, a.ending.ends != nil
	err = a.each(func(l *lane) error {
		if f := byPartition[l.tp.Partition]; f != nil {
			if err := l.take(work, f); err != nil {
				return err
			}
		}
		return l.roll(work, ends[l.tp.Partition], ending)
	})
	if err != nil {
		return err
	}
	now := a.opts.Now()
	for _, l := range a.lanes {
		l.lag.sight(l.high, l.archived(), now)
	}
	a.observe()
	return nil
}

// each works on the lanes, some at once.
func (a *Archiver) each(do func(*lane) error) error {
	g := new(errgroup.Group)
	g.SetLimit(a.opts.Parallel)
	for _, l := range a.lanes {
		g.Go(func() error { return do(l) })
	}
	return g.Wait()
}

// stop publishes what has been read, though ctx is over: what a run has read is
// then there when it has ended. What cannot be published in time is read again.
func (a *Archiver) stop(work context.Context) error {
	if err := a.publishNow(work, a.lanes); err != nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(work), a.opts.StopWithin)
	defer cancel()
	err := a.commit(last)
	a.observe()
	return err
}

// publishNow publishes the parts of lanes as they are. One that fails stays stuck.
func (a *Archiver) publishNow(ctx context.Context, lanes []*lane) error {
	g := new(errgroup.Group)
	g.SetLimit(a.opts.Parallel)
	for _, l := range lanes {
		switch {
		case l.state == stuck:
			l.retryAt = time.Time{}
			g.Go(func() error { return l.again(ctx) })
		case l.state == reading && l.part != nil && l.redo == nil:
			g.Go(func() error { return l.publish(ctx, l.next) })
		}
	}
	err := g.Wait()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // out of time: the rest is read again
	}
	return err
}

// commit tells the group how far the dataset has come. Nothing depends on it but
// who looks at the lag, and where a dataset begins that is still empty.
func (a *Archiver) commit(ctx context.Context) error {
	a.lastCommit = a.opts.Now()
	offsets := map[experiments.TopicPartition]experiments.CommittedOffset{}
	for _, l := range a.lanes {
		if at := l.archived(); l.state == reading && l.next >= 0 && at > l.committed {
			l.committed = at
			offsets[l.tp] = experiments.CommittedOffset{Next: at, Metadata: metadata(l.maxMS)}
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	return a.transport.Commit(ctx, offsets)
}

func (a *Archiver) dropAll() {
	for _, l := range a.lanes {
		l.drop()
		a.past.add(&l.counts)
	}
	a.lanes = nil
}

// isEnded reports whether the join has come to its end.
func (o *Options) isEnded() bool {
	select {
	case <-o.Ended:
		return true
	default:
		return false
	}
}
