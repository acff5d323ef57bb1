package experiments

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mortise-dev/mortise/joiner"
)

// reassign follows the group: it opens tasks that were gained and gives up those
// that were revoked, while the others go on.
func (w *Worker) reassign(ctx context.Context) error {
	changes, err := w.transport.Assigned()
	if err != nil {
		return err
	}
	if len(changes.Revoked) > 0 {
		if err := w.release(ctx, changes.Revoked); err != nil {
			return err
		}
	}
	if len(changes.Gained) > 0 {
		if err := w.gain(ctx, changes.Gained); err != nil {
			return err
		}
	}
	if len(w.runners) == 0 {
		w.jobs.await(ctx, w.opts.PollWait) // there is nothing else to do
	}
	return w.jobs.collect()
}

// gain opens the tasks of gained partitions, each beside the others.
func (w *Worker) gain(ctx context.Context, gained map[TopicPartition]CommittedOffset) error {
	partitions := map[int32]bool{}
	for tp := range gained {
		partitions[tp.Partition] = true
	}
	for _, p := range slices.Sorted(maps.Keys(partitions)) {
		committed := make([]CommittedOffset, len(w.pipeline.Sources))
		for in := range w.pipeline.Sources {
			topic := w.pipeline.Sources[in].Topic
			c, ok := gained[TopicPartition{topic, p}]
			if !ok {
				return fmt.Errorf("topic %s has no partition %d that this worker owns, but another input has: topics that are joined need the same number of partitions, keyed alike", topic, p)
			}
			committed[in] = c
		}
		opening, cancel := context.WithCancel(ctx)
		assigned := w.opts.Now()
		w.opening[p] = cancel
		w.jobs.start(w.opts.Go, func() outcome {
			r, err := w.openTask(opening, p, committed)
			return outcome{
				done: func() error { return w.opened(opening, p, assigned, r, err) },
				drop: func() { w.closeOpened(r) },
			}
		})
	}
	return nil
}

func (w *Worker) closeOpened(r *runner) {
	if r != nil {
		w.closeTask(r)
	}
}

// opened puts a task to work whose state is there, unless it was revoked meanwhile.
func (w *Worker) opened(opening context.Context, partition int32, assigned time.Time, r *runner, err error) error {
	if opening.Err() != nil {
		w.closeOpened(r)
		if _, released := w.opening[partition]; released {
			return nil // the worker itself is stopping
		}
		return w.transport.Release(w.partsOf(partition))
	}
	w.opening[partition]()
	delete(w.opening, partition)
	if err != nil {
		return err
	}
	r.takeover.assigned, r.takeover.Opened = assigned, w.opts.Now().Sub(assigned)
	if err := w.startReading(r); err != nil {
		w.closeOpened(r)
		return err
	}
	r.savedAt = w.opts.Now().Add(-w.opts.CheckpointEvery * time.Duration(partition%8) / 8) // not all at once
	at, _ := slices.BinarySearchFunc(w.runners, partition, func(r *runner, p int32) int { return int(r.partition) - int(p) })
	w.runners = slices.Insert(w.runners, at, r)
	for in := range w.pipeline.Sources {
		tp := TopicPartition{w.pipeline.Sources[in].Topic, partition}
		w.byPart[tp] = route{r, append(w.byPart[tp].inputs, in)}
	}
	w.opts.Log.Debug("task is at work", "group", w.name, "partition", partition, "rebuilding", r.rebuild != nil)
	return nil
}

// startReading has the transport read from where the task goes on.
func (w *Worker) startReading(r *runner) error {
	start := map[TopicPartition]int64{}
	for in := range w.pipeline.Sources {
		tp := TopicPartition{w.pipeline.Sources[in].Topic, r.partition}
		if prior, ok := start[tp]; !ok || r.next[in] < prior { // one topic read as two sources: from where the first of them needs it
			start[tp] = r.next[in]
		}
	}
	err := w.transport.Start(start)
	var gap *GapError
	if !errors.As(err, &gap) {
		return err
	}
	if !w.opts.AcceptGap {
		return r.explainGap(err)
	}
	for _, g := range gap.Gaps {
		w.opts.Log.Warn("records are lost: the log no longer holds them", "topic", g.Topic, "partition", g.Partition, "from", g.Need, "to", g.First)
		start[g.TopicPartition] = g.First
		if err := r.skip(g, w.nowMS()); err != nil {
			return err
		}
	}
	return w.transport.Start(start)
}

// release gives partitions up: what was done for them is committed first, and
// copied, so that their next owner goes on from there.
func (w *Worker) release(ctx context.Context, revoked []TopicPartition) error {
	partitions := map[int32]bool{}
	for _, tp := range revoked {
		partitions[tp.Partition] = true
	}
	for p, cancel := range w.opening {
		if partitions[p] { // opened releases it, once its state is closed
			cancel()
			delete(w.opening, p)
			delete(partitions, p)
		}
	}
	if len(partitions) == 0 {
		return nil
	}
	if err := w.commitAll(ctx); err != nil {
		return err
	}
	w.runners = slices.DeleteFunc(w.runners, func(r *runner) bool {
		if !partitions[r.partition] {
			return false
		}
		w.opts.Log.Debug("task is given up", "group", w.name, "partition", r.partition)
		for _, tp := range w.partsOf(r.partition) {
			delete(w.byPart, tp)
		}
		w.handOver(ctx, r)
		return true
	})
	return nil
}

// releaseWithin bounds the last copy of a task that is given up: nobody works on
// it meanwhile.
const releaseWithin = 10 * time.Second

// handOver closes a task, copies its state where there are checkpoints, and lets
// the group have its partitions.
func (w *Worker) handOver(ctx context.Context, r *runner) {
	save := w.capture(r)
	w.closeTask(r)
	w.jobs.start(w.opts.Go, func() outcome {
		if save != nil {
			ctx, cancel := context.WithTimeout(ctx, releaseWithin)
			defer cancel()
			save(ctx)
			w.opts.Checkpoints.Forget(w.stateName(r.partition))
		}
		return outcome{done: func() error { return w.transport.Release(w.partsOf(r.partition)) }}
	})
}

// partsOf lists the partitions of one number over all topics, each once.
func (w *Worker) partsOf(partition int32) (parts []TopicPartition) {
	for _, topic := range w.pipeline.Inputs() {
		parts = append(parts, TopicPartition{topic, partition})
	}
	return parts
}

// explainGap adds which event times the records that are gone were needed for.
func (r *runner) explainGap(err error) error {
	if r.rebuild == nil || r.rebuild.Cursor.TimeMS == joiner.NoTimeMS {
		return fmt.Errorf("partition %d: %w", r.partition, err)
	}
	return fmt.Errorf("partition %d, whose impressions from %s on are pending and were committed up to %s: %w", r.partition,
		timeText(r.rebuild.Cursor.TimeMS), timeText(r.rebuild.WatermarkMS), err)
}

func timeText(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
