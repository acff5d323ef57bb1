package experiments

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// round is one turn: poll, let every task work, produce what they put out.
func (w *Worker) round(ctx context.Context) error {
	if err := w.learnEnds(ctx); err != nil {
		return err
	}
	wait := w.opts.PollWait
	for _, r := range w.runners {
		switch {
		case r.due || !r.finished && r.clock.Ended() && !r.waits():
			wait = 0
		case r.flying != nil || r.looks():
			wait = min(wait, flightWait)
		}
	}
	fetched, err := w.transport.Poll(ctx, w.opts.PollRecords, wait)
	if err != nil && ctx.Err() == nil {
		return err
	}
	nowMS := w.nowMS()
	work := map[*runner][]Fetched{}
	for _, f := range fetched {
		if rt, ok := w.byPart[f.TopicPartition]; ok {
			work[rt.runner] = append(work[rt.runner], f)
			w.dirty = w.dirty || len(f.Records) > 0
		}
	}
	g := new(errgroup.Group)
	g.SetLimit(w.opts.Parallel)
	for _, r := range w.runners {
		g.Go(func() error {
			if err := w.work(r, work[r], nowMS); err != nil {
				return &taskError{r.partition, err}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, r := range w.runners {
		w.dirty = w.dirty || !r.out.empty()
		if r.defers {
			continue // with the commit
		}
		if err := w.produce(r); err != nil {
			return err
		}
	}
	w.align(nowMS)
	w.observe(nowMS)
	w.ended = w.hasEnded()
	return nil
}

// work feeds one task what was fetched for it and closes what is due.
func (w *Worker) work(r *runner, fetched []Fetched, nowMS int64) error {
	for i := range fetched {
		f := &fetched[i]
		for _, in := range w.byPart[f.TopicPartition].inputs {
			if err := r.take(in, f.Records, f.Next, nowMS); err != nil {
				return err
			}
			if f.CompleteMS > 0 {
				r.clock.Complete(in, f.CompleteMS)
			}
			r.high[in], r.endAsOfMS[in] = f.HighWatermark, f.EndAsOfMS
			r.caughtUp[in] = r.next[in] >= f.HighWatermark
		}
	}
	for in := range r.places {
		if err := r.places[in].err(); err != nil {
			return err
		}
	}
	for in, caughtUp := range r.caughtUp {
		r.clock.SetCaughtUp(in, caughtUp && w.inputDone(), r.endAsOfMS[in], nowMS)
	}
	r.checkEnds()
	if err := r.advance(nowMS, w.share()); err != nil {
		return fmt.Errorf("closing windows: %w", err)
	}
	return r.prog.fatal
}

// share is what each task may do.
func (w *Worker) share() share {
	n := len(w.runners)
	return share{rows: max(w.opts.CloseRows/n, 1), parked: max(w.patience.Rows/n, 1), parkedBytes: w.patience.Bytes / int64(n),
		amends: max(w.amends.Rows/n, 1), amendsBytes: w.amends.Bytes / int64(n)}
}

// inputDone reports whether all that is being published is there.
func (w *Worker) inputDone() bool {
	if w.opts.InputDone == nil {
		return true
	}
	select {
	case <-w.opts.InputDone:
		return true
	default:
		return false
	}
}

// learnEnds asks where the inputs of tasks end, once for each, when all input is there.
func (w *Worker) learnEnds(ctx context.Context) error {
	if !w.opts.UntilEnd || !w.inputDone() || !w.learnAllEnds(ctx) {
		return nil
	}
	var parts []TopicPartition
	for _, r := range w.runners {
		if r.ends == nil {
			parts = append(parts, w.partsOf(r.partition)...)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	w.opts.Log.Debug("all input is there", "group", w.name)
	ends, err := w.transport.Ends(ctx, parts)
	if err != nil {
		return fmt.Errorf("asking where the inputs end: %w", err)
	}
	for _, r := range w.runners {
		if r.ends != nil {
			continue
		}
		at := make([]int64, len(w.pipeline.Sources))
		for i := range w.pipeline.Sources {
			at[i] = ends[TopicPartition{w.pipeline.Sources[i].Topic, r.partition}]
		}
		r.setEnds(at)
	}
	return nil
}

// align pauses the inputs that run ahead in event time.
func (w *Worker) align(nowMS int64) {
	var paused []TopicPartition
	for tp, rt := range w.byPart {
		all := true
		for _, in := range rt.inputs {
			all = all && rt.runner.ahead(in, w.opts.MaxAhead.Milliseconds(), nowMS)
		}
		if all {
			paused = append(paused, tp)
		}
	}
	w.transport.SetPaused(paused)
}
