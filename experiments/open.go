package experiments

import (
	"context"
	"errors"
	"fmt"

	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/joiner"
)

// Offsets that Transport.Start understands besides real ones.
const (
	OffsetEarliest int64 = -2
	OffsetLatest   int64 = -1
)

func (w *Worker) stateName(partition int32) string { return fmt.Sprintf("%s/%d", w.name, partition) }

// openTask opens the task of one partition and decides where it starts to read;
// committed is per source. It runs beside the other tasks.
//
// Local state, a checkpoint or nothing stands at offsets S0; the group has
// committed S1 >= S0. S0 to S1 is read for the state alone; from S1 on the task
// is live.
func (w *Worker) openTask(ctx context.Context, partition int32, committed []CommittedOffset) (*runner, error) {
	at, err := w.committedAt(partition, committed[0])
	if err != nil {
		return nil, err
	}
	r, local, err := w.openRunner(ctx, partition, at)
	if err != nil {
		return nil, err
	}
	if err := w.bringBack(ctx, r, at); err != nil {
		w.closeTask(r)
		return nil, err
	}
	for in := range w.pipeline.Sources {
		switch {
		case local != nil: // what lies before at.Lows is of no use to anybody any more
			r.next[in] = max(local.Offsets[in], at.Lows[in])
		case at != nil:
			r.next[in] = at.Lows[in]
		default:
			r.next[in] = w.startOffset(in)
		}
	}
	if at != nil {
		for in := range r.aheads {
			r.aheads[in].resume(at.Ahead)
		}
		for i := range at.Ledgers {
			r.takeover.rows += at.Ledgers[i].Instances
		}
	}
	if at != nil && !at.Equal(local) {
		r.startRebuild(at)
		if err := r.maybeFinishRebuild(w.nowMS()); err != nil {
			w.closeTask(r)
			return nil, err
		}
	}
	return r, nil
}

// startOffset is where a task begins that nothing has been committed for. What
// is in an internal topic was put there for it.
func (w *Worker) startOffset(in int) int64 {
	if w.pipeline.Sources[in].Shuffle != nil {
		return OffsetEarliest
	}
	if w.pipeline.Experiments[0].Kafka.StartOffset == "latest" {
		return OffsetLatest
	}
	return OffsetEarliest
}

// committedAt reads what the group has committed for a partition; nil when nothing.
func (w *Worker) committedAt(partition int32, c CommittedOffset) (*joiner.Snapshot, error) {
	if c.Next < 0 {
		return nil, nil
	}
	tp := TopicPartition{w.pipeline.Sources[0].Topic, partition}
	at, err := joiner.ParseMetadata(c.Metadata)
	if err != nil {
		return nil, fmt.Errorf("consumer group %s, %s[%d]: %w: another program uses this group, or it was reset by hand; choose another with --group", w.name, tp.Topic, partition, err)
	}
	if at.Plan != w.pipeline.Fingerprint() || len(at.Offsets) != len(w.pipeline.Sources) || len(at.Ledgers) != len(w.pipeline.Experiments) {
		return nil, fmt.Errorf("consumer group %s has been running another definition of %s (sources, key, windows or filters differ): go back to it, or start anew with --group NAME and another output topic, for all rows come again",
			w.name, w.pipeline.Name())
	}
	return at, nil
}

// openRunner opens local state if it can be continued from, else what a
// checkpoint brings back, else an empty one. The snapshot is the state's.
func (w *Worker) openRunner(ctx context.Context, partition int32, at *joiner.Snapshot) (*runner, *joiner.Snapshot, error) {
	r, local, why := w.openLocal(partition, at)
	if why == nil && (at == nil || local != nil && !w.farBehind(local, at)) {
		return r, local, nil
	}
	if why != nil && !errors.Is(why, joiner.ErrCorrupt) && !errors.Is(why, errUnusable) {
		return nil, nil, fmt.Errorf("opening the state of partition %d: %w", partition, why)
	}
	if r != nil {
		w.closeTask(r)
	}
	restored, err := w.restore(ctx, partition, at, local)
	if err != nil {
		return nil, nil, err
	}
	if !restored && why != nil {
		w.opts.Log.Info("local state cannot be continued from and is rebuilt from the topics", "partition", partition, "err", why)
		if err := w.states.Reset(w.stateName(partition)); err != nil {
			return nil, nil, fmt.Errorf("discarding the state of partition %d: %w", partition, err)
		}
	}
	if r, local, err = w.openLocal(partition, at); err != nil {
		return nil, nil, fmt.Errorf("opening the state of partition %d: %w", partition, &taskError{partition, err})
	}
	r.takeover.restored = restored
	return r, local, nil
}

// errUnusable says that local state is sound, and of no use.
var errUnusable = errors.New("it has seen what the group has not committed, or another definition")

// openLocal opens the state that is there; the snapshot is nil when there is none.
func (w *Worker) openLocal(partition int32, at *joiner.Snapshot) (_ *runner, _ *joiner.Snapshot, err error) {
	opts := w.pipeline.Join.StoreOptions()
	if w.pipeline.Join.Early {
		opts.BlockBytes = 16 << 10 // a block is read for every label that arrives
	}
	store, err := w.states.Open(w.stateName(partition), opts)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	var local *joiner.Snapshot
	if meta := store.Meta(); meta != nil {
		if local, err = usable(meta, at); err != nil {
			return nil, nil, err
		}
	}
	r, err := w.newRunner(partition, store)
	if err != nil {
		return nil, nil, err
	}
	return r, local, nil
}

func (w *Worker) newRunner(partition int32, store joiner.Store) (*runner, error) {
	var trace func(joiner.Trace)
	if w.opts.Trace != nil {
		trace = func(t joiner.Trace) { w.opts.Trace(partition, t) }
	}
	r, err := newRunner(w.pipeline, partition, w.opts.Partitions, w.cleaners, store, w.nowMS(), trace)
	if err != nil {
		return nil, err
	}
	r.acceptLost = w.opts.AcceptGap
	r.spawn = w.opts.Go
	r.life, r.endLife = context.WithCancel(w.life)
	if len(w.pipeline.Features) > 0 {
		r.defers, r.enrich = true, w.opts.Enrichment
	}
	if len(w.pipeline.Dimensions) > 0 {
		r.defers, r.dims = true, w.opts.Dimensions
		r.prog.lookedUp = w.opts.LookedUp
		if r.prog.asOf = w.opts.Recorded; !w.opts.Recorded {
			if r.prog.seen, err = newObservations(w.pipeline, store); err != nil {
				return nil, err
			}
		}
	}
	if w.patience.Every > 0 {
		r.parked = newParking(w.patience.Every, w.nowMS())
		r.prog.hold = r.putAside
	}
	if w.amends.Every > 0 {
		r.amends = newParking(w.amends.Every, w.nowMS())
		r.prog.written = r.remember
	}
	if w.opts.Profile {
		r.out.profiled(w.pipeline)
	}
	if take := w.opts.Rows; take != nil {
		r.out.take = func(exp int, in *instances.Instance) error { return take(partition, exp, in) }
	}
	return r, nil
}

// usable reads a state's snapshot. A task can go on from it towards at if it has
// not seen what the group has not committed; else the error wraps errUnusable,
// or joiner.ErrCorrupt.
func usable(meta []byte, at *joiner.Snapshot) (*joiner.Snapshot, error) {
	local, err := joiner.ParseSnapshot(meta)
	if errors.Is(err, joiner.ErrOtherVersion) {
		return nil, fmt.Errorf("%w: %w", errUnusable, err)
	}
	if err != nil {
		return nil, err
	}
	if at == nil || local.Plan != at.Plan || len(local.Offsets) != len(at.Offsets) || at.Cursor.Less(local.Cursor) {
		return nil, errUnusable
	}
	for i := range local.Offsets {
		if local.Offsets[i] > at.Offsets[i] {
			return nil, errUnusable
		}
	}
	return local, nil
}
