package experiments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	mortise "github.com/mortise-dev/mortise"
)

// drain commits what is done although ctx is over, and copies it where there
// are checkpoints: whoever takes the tasks over goes on from there.
func (w *Worker) drain(ctx context.Context) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := w.commitAll(last); err != nil {
		return err
	}
	last, cancel = context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
	defer cancel()
	for _, r := range w.runners {
		if save := w.capture(r); save != nil {
			w.jobs.start(w.opts.Go, func() outcome {
				save(last)
				return outcome{}
			})
		}
	}
	w.jobs.discard()
	return nil
}

// produce hands a task's output to the transport.
func (w *Worker) produce(r *runner) error {
	for i := range r.out.rows {
		row := &r.out.rows[i]
		err := w.transport.Produce(&Output{Topic: w.pipeline.Experiments[row.exp].Output.Topic, Key: r.out.buf[row.key:row.row],
			Value: r.out.buf[row.row:row.to], TimestampMS: row.timeMS, Headers: w.headers[row.exp]})
		if err != nil {
			return err
		}
	}
	for i := range r.out.dead {
		if err := w.produceLetter(&r.out.dead[i]); err != nil {
			return err
		}
	}
	if err := w.produceParked(r); err != nil {
		return err
	}
	r.out.reset()
	return nil
}

// produceParked hands over what becomes of the rows that wait.
func (w *Worker) produceParked(r *runner) error {
	for i := range r.out.waits {
		row := &r.out.waits[i]
		o := Output{Topic: ParkedTopic(w.name), Placed: true, Partition: r.partition, Key: r.out.buf[row.key:row.row], TimestampMS: w.nowMS()}
		if row.row < row.to { // else it is a tombstone
			o.Value = r.out.buf[row.row:row.to]
		}
		if err := w.transport.Produce(&o); err != nil {
			return err
		}
	}
	return nil
}

// produceStaged hands over what tasks have kept back until they are committed.
func (w *Worker) produceStaged() error {
	for _, r := range w.runners {
		if !r.defers || !r.isSettled() {
			continue
		}
		if err := w.produce(r); err != nil {
			return err
		}
	}
	return nil
}

// commitAll is commit, with local state, of every task: those too that wait for
// features.
func (w *Worker) commitAll(ctx context.Context) error {
	if err := w.settleTasks(ctx, true); err != nil {
		return err
	}
	return w.commit(ctx, true)
}

// commit makes the round's output and the positions one; with manifest, local
// state follows. Local state may lag behind the group's offsets, never lead.
func (w *Worker) commit(ctx context.Context, manifest bool) error {
	now := w.opts.Now()
	w.lastDone = now
	if err := w.settleTasks(ctx, false); err != nil {
		return err
	}
	for _, r := range w.runners {
		w.dirty = w.dirty || manifest && r.hasMoved()
	}
	if w.dirty {
		if err := w.produceStaged(); err != nil {
			return err
		}
		offsets := map[TopicPartition]CommittedOffset{}
		for _, r := range w.runners {
			r.offsets(offsets, w.pipeline.Fingerprint())
		}
		if err := w.transport.Commit(ctx, offsets); err != nil {
			return err
		}
		for _, r := range w.runners {
			if r.isSettled() {
				w.keepProfile(r)
				w.noteTakeover(r)
			}
			r.noteCommitted()
		}
		w.dirty = w.owes()
		w.commits.Observe(w.opts.Now().Sub(now))
	}
	if !manifest {
		return nil
	}
	w.lastMark = now
	for _, r := range w.runners {
		if !r.isSettled() {
			continue
		}
		if err := r.keepArrivals(); err != nil {
			return &taskError{r.partition, err}
		}
		if err := r.task.Commit(r.snapshot(w.pipeline.Fingerprint())); err != nil {
			return fmt.Errorf("committing state: %w", &taskError{r.partition, err})
		}
	}
	return nil
}

// hasMoved reports whether the task stands elsewhere than where it was committed
// last, though maybe with nothing read or put out since: past markers in a topic,
// or at a later time. It must not save its state as of there before that is
// committed too, or the state would be of no use to whoever opens it.
func (r *runner) hasMoved() bool {
	return r.isSettled() &&
		(r.finished != r.committed.finished || r.task.Cursor() != r.committed.cursor || !slices.Equal(r.next, r.committed.next))
}

// isSettled reports whether where the task stands can be committed: its state is
// not being rebuilt, it has begun to read, and no row of it waits for what it needs.
func (r *runner) isSettled() bool { return r.rebuild == nil && slices.Min(r.next) >= 0 && !r.away() }

// noteCommitted notes that the task is committed as it stands.
func (r *runner) noteCommitted() {
	if r.isSettled() {
		c := &r.committed
		r.owed = false
		c.finished, c.cursor, c.next = r.finished, r.task.Cursor(), append(c.next[:0], r.next...)
	}
}

// offsets adds what the runner commits: the next offset of each input, and the
// snapshot beside the main one.
func (r *runner) offsets(into map[TopicPartition]CommittedOffset, plan uint64) {
	if !r.isSettled() {
		return
	}
	for in := range r.pipeline.Sources {
		tp := TopicPartition{r.pipeline.Sources[in].Topic, r.partition}
		c := CommittedOffset{Next: r.next[in]}
		if in == 0 {
			c.Metadata = r.snapshot(plan).Metadata()
		} else if prior, ok := into[tp]; ok {
			c.Metadata = prior.Metadata
		}
		into[tp] = c
	}
}

func (w *Worker) produceLetter(d *deadLetter) error {
	if w.opts.Locate != nil {
		w.opts.Locate(&d.letter)
	}
	for exp, enc := range w.encoders {
		if d.mask&(1<<exp) == 0 {
			continue
		}
		d.letter.Experiment = w.pipeline.Experiments[exp].Name
		line := enc.encode(&d.letter)
		if enc.topic == "" {
			if err := w.opts.Letters(d.letter.Experiment, line); err != nil {
				return fmt.Errorf("writing dead letters: %w", err)
			}
			continue
		}
		if err := w.produceShrinking(enc, &d.letter, line); err != nil {
			return err
		}
	}
	return nil
}

// produceShrinking produces a dead letter, with less and less of the raw record
// where the topic takes no more: its place in its topic is in the letter.
func (w *Worker) produceShrinking(enc *letterEncoder, dl *mortise.DeadLetter, line []byte) error {
	for keep := len(dl.Raw); ; keep /= 4 {
		err := w.transport.Produce(&Output{Topic: enc.topic, Value: line, TimestampMS: w.nowMS(), Headers: enc.headers(dl)})
		if !errors.Is(err, ErrTooLarge) || keep == 0 {
			return err
		}
		line = enc.encodeCut(dl, keep/4)
	}
}
