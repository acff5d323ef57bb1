package archive

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/instances"
	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/joiner"
)

// lane is one partition of the rows' topic on its way into the dataset. One
// goroutine at a time uses it.
//
// It goes round three states. Lost: where it goes on is not known, the dataset is
// asked. Reading: rows are appended to a part that began at published. Stuck: the
// part is to end at an offset, and publishing it failed; it keeps its rows and is
// tried again, and nothing is read meanwhile.
type lane struct {
	tp      experiments.TopicPartition
	origin  string
	began   int64 // where an archiver began that has published nothing yet; -1 when none did
	dataset Dataset
	decoder instances.Decoder
	framed  []byte // a value behind its schema's id
	opts    *Options
	row     instances.Instance

	state     state
	published int64          // the dataset has all rows before it; the part begins there
	next      int64          // the next offset to read
	redo      *dataset.Range // a part that somebody began: its rows, no more and no less
	part      *dataset.PartWriter
	writtenBy writer    // of the part's rows
	since     time.Time // when the part's first record came
	passed    bool      // records that are no rows lie behind published
	to        int64     // where a stuck part ends

	retryAt time.Time
	wait    time.Duration // before the next try
	failing time.Time     // since when; zero: it does not

	high      int64 // the partition's end as last seen
	committed int64 // what was committed last
	maxMS     int64 // greatest event time published
	lag       lag
	counts    counts
}

type state uint8

const (
	lost  state = iota
	found       // where it goes on is known, and reading is to begin there
	reading
	stuck
)

// counts are what lanes have done since they were gained.
type counts struct {
	rows, bytes, parts, foreign, missing, failures int64
	publishes                                      experiments.Durations
}

func (c *counts) add(o *counts) {
	c.rows, c.bytes, c.parts, c.foreign = c.rows+o.rows, c.bytes+o.bytes, c.parts+o.parts, c.foreign+o.foreign
	c.missing, c.failures = c.missing+o.missing, c.failures+o.failures
	c.publishes.Add(&o.publishes)
}

// writer is the version of the experiment that wrote a row, as its headers say.
type writer struct{ version, config string }

// archived returns the offset before which every row is in the dataset.
func (l *lane) archived() int64 {
	if l.state == reading && l.part == nil && l.redo == nil {
		return l.next // what lies behind published is no row
	}
	return l.published
}

// find asks the dataset where to go on.
func (l *lane) find(ctx context.Context) error {
	at, err := l.dataset.Next(ctx, l.origin)
	if err != nil {
		return l.fail(ctx, "asking where to go on", err)
	}
	l.published, l.next, l.redo = at.Next, at.Next, at.Redo
	if !at.Begun {
		// Nothing is archived yet. What retention has removed before the first look is
		// nobody's loss; what was there then is waited for.
		l.next = experiments.OffsetEarliest
		if l.began >= 0 {
			l.next = l.began
		} else {
			l.committed = -1 // the dataset is another than the one that was spoken of
		}
	}
	if at.Redo != nil {
		l.opts.Log.Info("a part that was begun is published anew", "topic", l.tp.Topic, "partition", l.tp.Partition, "from", at.Redo.From, "to", at.Redo.To)
	}
	l.state = found
	l.succeed()
	return nil
}

// take appends what was fetched, and publishes parts that are full.
func (l *lane) take(ctx context.Context, f *experiments.Fetched) error {
	if l.state != reading {
		return nil
	}
	l.high = max(l.high, f.HighWatermark)
	for i := range f.Records {
		rec := &f.Records[i]
		if rec.Offset < l.next {
			continue
		}
		if err := l.takeOne(ctx, rec); err != nil || l.state != reading {
			return err
		}
	}
	l.next = max(l.next, f.Next)
	return nil
}

func (l *lane) takeOne(ctx context.Context, rec *mortise.Record) error {
	by, ours := l.writerOf(rec)
	if l.redo != nil && rec.Offset >= l.redo.To || l.redo == nil && ours && l.part != nil && by != l.writtenBy {
		at := rec.Offset
		if l.redo != nil && at >= l.redo.To {
			at = l.redo.To
		}
		if err := l.publish(ctx, at); err != nil || l.state != reading {
			return err
		}
	}
	l.next = rec.Offset + 1
	if !ours {
		l.pass()
		return nil
	}
	if err := l.decoder.Decode(experiments.FrameValue(&l.framed, rec.Headers, rec.Value), &l.row); err != nil {
		return fmt.Errorf("archiving %s[%d]@%d: %w; its headers say version %s, config %s of the experiment: archive what those wrote with the file as it was then, and choose another output.parquet.path for what comes after",
			rec.Topic, rec.Partition, rec.Offset, err, by.version, by.config)
	}
	if l.part == nil {
		l.part, l.writtenBy, l.since = l.dataset.NewPart(l.origin, l.published), by, l.opts.Now()
		if version, err := strconv.Atoi(by.version); err == nil {
			l.part.MadeBy(version, by.config)
		}
	}
	if err := l.part.Append(&l.row); err != nil {
		return l.fail(ctx, "keeping rows on the local disk", err)
	}
	return nil
}

// pass goes past a record that is no row of the experiment. A part says so in the
// end, even one without rows: others could not tell what lies there from rows that
// are still to be archived.
func (l *lane) pass() {
	l.counts.foreign++
	if l.part == nil && !l.passed {
		l.since = l.opts.Now()
	}
	l.passed = true
}

// writerOf returns which version of an experiment wrote a row, and whether it is
// the one that is archived: several may share a topic.
func (l *lane) writerOf(rec *mortise.Record) (by writer, ours bool) {
	for i := range rec.Headers {
		switch h := &rec.Headers[i]; h.Key {
		case experiments.ExperimentHeader:
			ours = string(h.Value) == l.opts.Archive.Experiment.Name
		case experiments.VersionHeader:
			if by.version = l.writtenBy.version; string(h.Value) != by.version {
				by.version = string(h.Value)
			}
		case experiments.ConfigHeader:
			if by.config = l.writtenBy.config; string(h.Value) != by.config {
				by.config = string(h.Value)
			}
		}
	}
	return by, ours
}

// roll publishes the part if it is due: of its size or age, or up to an end that
// has been reached, when that is what is left to do.
func (l *lane) roll(ctx context.Context, end int64, ending bool) error {
	if l.state != reading {
		return nil
	}
	out := &l.opts.Archive.Experiment.Output.ParquetOut
	switch {
	case l.redo != nil:
		if l.next < l.redo.To {
			return nil
		}
		return l.publish(ctx, l.redo.To)
	case l.part == nil && !l.passed:
		return nil
	case l.part != nil && l.part.Bytes() >= out.RollSizeBytes, l.opts.Now().Sub(l.since) >= out.RollEvery, ending && l.next >= end:
		return l.publish(ctx, l.next)
	}
	return nil
}

// publish publishes the part up to an offset. The lane is reading after it, or
// stuck or lost.
func (l *lane) publish(ctx context.Context, to int64) error {
	if l.part == nil { // a part may have no rows
		l.part = l.dataset.NewPart(l.origin, l.published)
	}
	began := l.opts.Now()
	info, err := l.part.Publish(ctx, to)
	var taken *dataset.TakenError
	switch {
	case errors.As(err, &taken):
		l.opts.Log.Info("another worker publishes these rows", "topic", l.tp.Topic, "partition", l.tp.Partition, "part", taken.Error())
		l.drop()
		return nil
	case errors.As(err, new(*dataset.ChangedError)):
		return fmt.Errorf("archiving %s[%d]: %w", l.tp.Topic, l.tp.Partition, err)
	case err != nil:
		l.state, l.to = stuck, to
		return l.failStuck(ctx, err)
	}
	l.part, l.redo, l.published, l.passed = nil, nil, to, false
	l.counts.publishes.Observe(l.opts.Now().Sub(began))
	l.counts.parts++
	l.counts.rows, l.counts.bytes = l.counts.rows+info.Rows, l.counts.bytes+info.Bytes
	for i := range info.Files {
		l.maxMS = max(l.maxMS, info.Files[i].MaxMS)
	}
	l.succeed()
	l.opts.Log.Debug("published", "topic", l.tp.Topic, "partition", l.tp.Partition, "from", info.From, "to", info.To, "rows", info.Rows, "bytes", info.Bytes)
	return nil
}

// again tries anew what has failed, once it is time.
func (l *lane) again(ctx context.Context) error {
	if l.state == reading || l.state == found || l.opts.Now().Before(l.retryAt) {
		return nil
	}
	if l.state == lost {
		return l.find(ctx)
	}
	if err := l.publish(ctx, l.to); err != nil || l.state != stuck || l.part != nil {
		return err
	}
	l.state, l.next = found, l.published
	return nil
}

// drop lets go of what has been appended: where the lane goes on is to be asked.
func (l *lane) drop() {
	if l.part != nil {
		if err := l.part.Abort(); err != nil {
			l.opts.Log.Warn("dropping rows that are read again", "err", err)
		}
	}
	l.part, l.redo, l.state, l.passed = nil, nil, lost, false
}

// fail drops the part for an error that may pass.
func (l *lane) fail(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.drop()
	return l.note(doing, err)
}

// failStuck notes that publishing has failed; the part stays.
func (l *lane) failStuck(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return l.note("publishing", err)
}

// maxRetry is the longest pause between two tries.
const maxRetry = time.Minute

func (l *lane) note(doing string, err error) error {
	now := l.opts.Now()
	l.counts.failures++
	if l.failing.IsZero() {
		l.failing, l.wait = now, l.opts.RetryEvery
	}
	l.retryAt = now.Add(l.wait)
	l.wait = min(2*l.wait, maxRetry)
	l.opts.Log.Warn("archiving fails and is tried again; the topic keeps the rows", "doing", doing, "topic", l.tp.Topic, "partition", l.tp.Partition,
		"again_in", l.retryAt.Sub(now), "err", err)
	if l.opts.isEnded() && now.Sub(l.failing) >= l.opts.Patience {
		return fmt.Errorf("archiving %s[%d]: %s has failed for %s: %w; the topic keeps the rows, and the same command goes on from there",
			l.tp.Topic, l.tp.Partition, doing, now.Sub(l.failing).Round(time.Second), err)
	}
	return nil
}

func (l *lane) succeed() { l.failing, l.retryAt = time.Time{}, time.Time{} }

func newLane(tp experiments.TopicPartition, c experiments.CommittedOffset, o *Options) (*lane, error) {
	maxMS, err := ParseMetadata(c.Metadata)
	if err != nil {
		return nil, fmt.Errorf("consumer group %s, %s[%d]: %w", o.Archive.Group, tp.Topic, tp.Partition, err)
	}
	decoder, err := o.Archive.NewDecoder()
	if err != nil {
		return nil, err
	}
	l := &lane{tp: tp, origin: dataset.Partition(tp.Partition), began: -1, committed: c.Next, dataset: o.Dataset, decoder: decoder, opts: o, maxMS: maxMS}
	if maxMS == joiner.NoTimeMS {
		l.began = c.Next
	}
	return l, nil
}
