package experiments

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mortise-dev/mortise/joiner"
)

// Offsets that Transport.Start understands besides real ones.
const (
	OffsetEarliest int64 = -2
	OffsetLatest   int64 = -1
)

func (w *Worker) stateName(partition int32) string { return fmt.Sprintf("%s/%d", w.name, partition) }

// openTasks opens a task for every partition that was assigned and decides
// where each starts to read:
//
// Local state, or nothing, stands at offsets S0; the group has committed S1 >=
// S0. S0 to S1 is read for the state alone; from S1 on the task is live.
func (w *Worker) openTasks(committed map[TopicPartition]CommittedOffset) error {
	var partitions []int32
	for tp := range committed {
		if tp.Topic == w.pipeline.Sources[0].Topic {
			partitions = append(partitions, tp.Partition)
		}
	}
	slices.Sort(partitions)
	start := map[TopicPartition]int64{}
	for _, p := range partitions {
		if err := w.openTask(p, committed, start); err != nil {
			return err
		}
	}
	return w.transport.Start(start)
}

func (w *Worker) openTask(partition int32, committed map[TopicPartition]CommittedOffset, start map[TopicPartition]int64) error {
	for i := range w.pipeline.Sources {
		topic := w.pipeline.Sources[i].Topic
		if _, ok := committed[TopicPartition{topic, partition}]; !ok {
			return fmt.Errorf("topic %s has no partition %d that this worker owns, but %s has: topics that are joined need the same number of partitions, keyed alike",
				topic, partition, w.pipeline.Sources[0].Topic)
		}
	}
	at, err := w.committedAt(partition, committed)
	if err != nil {
		return err
	}
	r, local, err := w.openRunner(partition, at)
	if err != nil {
		return err
	}
	w.runners = append(w.runners, r)
	for in := range w.pipeline.Sources {
		topic := w.pipeline.Sources[in].Topic
		tp := TopicPartition{topic, partition}
		rt := w.byPart[tp]
		w.byPart[tp] = route{r, append(rt.inputs, in)}
		switch {
		case local != nil:
			r.next[in] = local.Offsets[in]
		case at != nil:
			r.next[in] = at.Lows[in]
		default:
			r.next[in] = w.startOffset()
		}
		if prior, ok := start[tp]; ok && prior >= 0 { // one topic read as two sources: from where the first of them needs it
			start[tp] = min(prior, r.next[in])
		} else {
			start[tp] = r.next[in]
		}
	}
	if at != nil && !at.Equal(local) {
		r.startRebuild(at)
		return r.maybeFinishRebuild(w.opts.NowMS())
	}
	return nil
}

func (w *Worker) startOffset() int64 {
	if w.pipeline.Experiments[0].Kafka.StartOffset == "latest" {
		return OffsetLatest
	}
	return OffsetEarliest
}

// committedAt reads what the group has committed for a partition; nil when nothing.
func (w *Worker) committedAt(partition int32, committed map[TopicPartition]CommittedOffset) (*joiner.Snapshot, error) {
	tp := TopicPartition{w.pipeline.Sources[0].Topic, partition}
	c := committed[tp]
	if c.Next < 0 {
		return nil, nil
	}
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

// openRunner opens local state if it can be continued from, else an empty one.
func (w *Worker) openRunner(partition int32, at *joiner.Snapshot) (*runner, *joiner.Snapshot, error) {
	name := w.stateName(partition)
	opts := w.pipeline.Join.StoreOptions()
	if w.pipeline.Join.Early {
		opts.BlockBytes = 16 << 10 // a block is read for every label that arrives
	}
	store, err := w.states.Open(name, opts)
	var local *joiner.Snapshot
	if err == nil {
		local, err = usable(store, at)
	}
	if err == nil && (local != nil || store.Meta() == nil) {
		r, rerr := w.newRunner(partition, store)
		if rerr == nil {
			return r, local, nil
		}
		err = rerr
	}
	if store != nil {
		err = errors.Join(err, store.Close())
	}
	if err != nil && !errors.Is(err, joiner.ErrCorrupt) {
		return nil, nil, fmt.Errorf("opening the state of partition %d: %w", partition, err)
	}
	w.opts.Log.Info("local state cannot be continued from and is rebuilt from the topics", "partition", partition, "err", err)
	if err := w.states.Reset(name); err != nil {
		return nil, nil, fmt.Errorf("discarding the state of partition %d: %w", partition, err)
	}
	if store, err = w.states.Open(name, opts); err != nil {
		return nil, nil, fmt.Errorf("opening the state of partition %d: %w", partition, err)
	}
	r, err := w.newRunner(partition, store)
	return r, nil, err
}

func (w *Worker) newRunner(partition int32, store joiner.Store) (*runner, error) {
	var trace func(joiner.Trace)
	if w.opts.Trace != nil {
		trace = func(t joiner.Trace) { w.opts.Trace(partition, t) }
	}
	return newRunner(w.pipeline, partition, w.cleaners, store, w.opts.NowMS(), trace)
}

// usable returns the store's snapshot if a task can go on from it towards at:
// it must not have seen what the group has not committed.
func usable(store joiner.Store, at *joiner.Snapshot) (*joiner.Snapshot, error) {
	meta := store.Meta()
	if meta == nil || at == nil {
		return nil, nil
	}
	local, err := joiner.ParseSnapshot(meta)
	if err != nil {
		return nil, err
	}
	if local.Plan != at.Plan || len(local.Offsets) != len(at.Offsets) || at.Cursor.Less(local.Cursor) {
		return nil, nil
	}
	for i := range local.Offsets {
		if local.Offsets[i] > at.Offsets[i] {
			return nil, nil
		}
	}
	return local, nil
}
