package archive

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/instances/dataset"
)

// Dataset is where rows go; *dataset.Dataset is one. Its methods may be called
// concurrently.
type Dataset interface {
	// Next says how far an origin is published, and which part has been begun.
	Next(ctx context.Context, origin string) (dataset.Position, error)
	// NewPart begins a part of an origin.
	NewPart(origin string, from int64) *dataset.PartWriter
	// Incomplete returns an event time, ms UTC, in each folder that ends at or before
	// beforeMS, holds rows and has no _SUCCESS.
	Incomplete(ctx context.Context, beforeMS int64) ([]int64, error)
	// Complete writes _SUCCESS into the folders that hold these event times.
	Complete(ctx context.Context, timesMS ...int64) error
}

// Options make an Archiver. Archive, Dataset and Join are needed.
type Options struct {
	// Archive says which rows are archived, from which topic.
	Archive *experiments.Archive
	// Dataset is where they go. Its owner closes it when Run has returned.
	Dataset Dataset
	// Join tells how far the join has come that writes the rows.
	Join Join
	// Ended, where set, is closed when the join has come to its end in this process:
	// Run then archives all that is there and ends, with _SUCCESS in every folder
	// unless other workers of the join are still at work. Where it is nil, Run ends
	// with its context.
	Ended <-chan struct{}
	// CommitEvery is how often the group's offsets are committed: they tell others
	// what is archived, and nothing depends on them. The default is 5 s.
	CommitEvery time.Duration
	// CompleteEvery is how often it is asked which hours are over. The default is 10 s.
	CompleteEvery time.Duration
	// RetryEvery is how long an object store that fails is left alone at first; the
	// time doubles up to a minute. The default is a second.
	RetryEvery time.Duration
	// Patience is how long an object store may fail once the join has ended, before
	// Run gives up. While the join goes on it is never given up: the topic keeps the
	// rows. The default is 10 minutes.
	Patience time.Duration
	// StopWithin bounds how long what has been read is published when Run is stopped
	// or partitions are given up; what is not published then is read again. The
	// default is 10 s.
	StopWithin time.Duration
	// PollRecords bounds the records of one poll. The default is 10,000.
	PollRecords int
	// PollWait bounds how long a poll waits when nothing comes. The default is 250 ms.
	PollWait time.Duration
	// Parallel is how many partitions are worked on at once. The default is
	// GOMAXPROCS, at least 4, for publishing waits for the store.
	Parallel int
	// AcceptGap goes on where the topic no longer holds what is not archived yet,
	// and counts what is lost, instead of ending with a *experiments.GapError.
	AcceptGap bool
	// Now is the clock: it decides when parts are rolled by age. The default is time.Now.
	Now func() time.Time
	// Log is where the archiver tells what it does. The default discards.
	Log *slog.Logger
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	setDefault(&o.CommitEvery, 5*time.Second)
	setDefault(&o.CompleteEvery, 10*time.Second)
	setDefault(&o.RetryEvery, time.Second)
	setDefault(&o.Patience, 10*time.Minute)
	setDefault(&o.StopWithin, 10*time.Second)
	setDefault(&o.PollRecords, 10_000)
	setDefault(&o.PollWait, 250*time.Millisecond)
	setDefault(&o.Parallel, max(runtime.GOMAXPROCS(0), 4))
	if o.Now == nil {
		o.Now = time.Now
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

// Validate says what is missing.
func (o *Options) Validate() error {
	switch {
	case o.Archive == nil:
		return errors.New("archiving: Options.Archive is missing")
	case o.Dataset == nil:
		return errors.New("archiving: Options.Dataset is missing")
	case o.Join == nil:
		return errors.New("archiving: Options.Join is missing")
	}
	return nil
}
