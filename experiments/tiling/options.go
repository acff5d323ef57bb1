package tiling

import (
	"context"
	"log/slog"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
)

// Log is where a Tiler reads: every partition of the sources' topics. One
// goroutine uses it. What brokers can mend is waited for inside.
type Log interface {
	// Partitions lists all partitions of the topics.
	Partitions() []experiments.TopicPartition
	// Starts returns the first offset that each partition still holds.
	Starts(ctx context.Context) (map[experiments.TopicPartition]int64, error)
	// Start begins reading partitions at these offsets. A *experiments.GapError
	// says that some are gone; then none is started.
	Start(offsets map[experiments.TopicPartition]int64) error
	// Stop ends the reading of partitions, which may be started anew.
	Stop(parts []experiments.TopicPartition)
	// Poll waits at most wait for records and returns what came, maybe nothing. Each
	// partition is reported at least once after Start.
	Poll(ctx context.Context, maxRecords int, wait time.Duration) ([]experiments.Fetched, error)
	// Ends returns where the partitions end now.
	Ends(ctx context.Context) (map[experiments.TopicPartition]int64, error)
	// SetPaused makes exactly these partitions paused.
	SetPaused(parts []experiments.TopicPartition)
}

// Options tune a Tiler. Zero fields take their defaults.
type Options struct {
	// CommitEvery is how often tiles are committed to the store. The default is 500 ms.
	CommitEvery time.Duration
	// PollRecords bounds the records of one poll. The default is 20,000.
	PollRecords int
	// PollWait bounds how long a poll waits when nothing comes. The default is 100 ms.
	PollWait time.Duration
	// MaxBytes bounds the tiles of one source that are not committed. The default is 64 MiB.
	MaxBytes int
	// MaxAhead is how far, in event time, one partition may run ahead of the others
	// of all sources before it is paused. The default is 5 minutes.
	MaxAhead time.Duration
	// UntilEnd makes every tile final once the sources have been read to the end
	// that they have when InputDone is closed (at once when it is nil).
	UntilEnd bool
	// InputDone, where set, says that what is being published to the topics is all
	// there. Until then no partition counts as idle.
	InputDone <-chan struct{}
	// SinceMS tells, of a partition that a Shared begins to read, from which event
	// time on its log holds every event. The default is from the beginning.
	SinceMS func(ctx context.Context, partition int32) (int64, error)
	// NeedMS tells the earliest time as of which features may still be asked for;
	// tiles that only earlier reads need are dropped. The default keeps everything.
	NeedMS func() int64
	// Letters takes the records that cannot be read. It is called before the commit,
	// so a record may come again after a crash. The default drops them: workers that
	// join the same source send them to the dead letters.
	Letters func(*mortise.DeadLetter) error
	// Committed, where set, is called after every commit.
	Committed func()
	// AcceptGap goes on where a topic no longer holds what has to be read.
	AcceptGap bool
	// Now is the clock. The default is time.Now.
	Now func() time.Time
	// Log is where the tiler tells what it does. The default discards.
	Log *slog.Logger
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	setDefault(&o.CommitEvery, 500*time.Millisecond)
	setDefault(&o.PollRecords, 20_000)
	setDefault(&o.PollWait, 100*time.Millisecond)
	setDefault(&o.MaxAhead, 5*time.Minute)
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
