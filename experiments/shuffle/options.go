package shuffle

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mortise-dev/mortise/experiments"
)

// Options make a Shuffler. Way, Origins and Partitions are needed.
type Options struct {
	// Way says what is shuffled, and where to.
	Way *experiments.Shuffle
	// Origins is how many partitions the topic has.
	Origins int
	// Partitions is how many the internal topic has.
	Partitions int
	// Carrier makes of records what is sent on. The default sends them as they are,
	// keyed by partition_by.
	Carrier Carrier
	// FromStart begins at the first record that the topic holds, whatever the
	// experiment's start_offset says.
	FromStart bool
	// UntilEnd makes an origin count as idle as soon as it has been read to the
	// end that it has once InputDone is closed.
	UntilEnd bool
	// InputDone, where set, says that what is being published to the topic is all
	// there. Until then no origin counts as idle: it is known that more comes.
	InputDone <-chan struct{}
	// CommitEvery is how often records, markers and offsets are committed. The
	// default is 500 ms.
	CommitEvery time.Duration
	// AnnounceEvery is how often a marker speaks of all origins, those too that
	// have not moved: a task that is new learns of them within that time. The
	// default is 2 s.
	AnnounceEvery time.Duration
	// PollRecords bounds the records of one poll. The default is 10,000.
	PollRecords int
	// PollWait bounds how long a poll waits when nothing comes. The default is 100 ms.
	PollWait time.Duration
	// MaxAhead is how far, in event time, one origin may run ahead of the others
	// before it is paused. The default is a quarter of the join's delay, at least a
	// minute.
	MaxAhead time.Duration
	// Elsewhere, where set, tells how far origins have come that others read: those
	// of other workers, and of the pipeline's other shuffled topics. It is called
	// every round and answers at once, as of some seconds ago.
	Elsewhere func() []Elsewhere
	// AcceptGap goes on where the topic no longer holds what has to be read, and
	// counts what is lost, instead of ending with a *experiments.GapError.
	AcceptGap bool
	// Now is the clock: its wall time judges event times and idleness, its
	// monotonic time when to commit. The default is time.Now.
	Now func() time.Time
	// Log is where the shuffler tells what it does. The default discards.
	Log *slog.Logger
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	setDefault(&o.CommitEvery, 500*time.Millisecond)
	setDefault(&o.AnnounceEvery, 2*time.Second)
	setDefault(&o.PollRecords, 10_000)
	setDefault(&o.PollWait, 100*time.Millisecond)
	if o.Way != nil {
		setDefault(&o.MaxAhead, max(o.Way.Experiment.Join.Delay/4, time.Minute))
	}
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
	case o.Way == nil:
		return errors.New("shuffling: there is no topic to shuffle")
	case o.Origins < 1 || o.Partitions < 1:
		return fmt.Errorf("shuffling %s: %d partitions into %d: both topics have at least one", o.Way.Origin, o.Origins, o.Partitions)
	case o.Carrier == nil && len(o.Way.By) < len(o.Way.Experiment.Join.PartitionBy):
		return fmt.Errorf("shuffling %s: the source %s has no fields for partition_by %v", o.Way.Origin, o.Way.Source, o.Way.Experiment.Join.PartitionBy)
	}
	return nil
}
