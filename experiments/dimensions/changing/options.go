package changing

import (
	"context"
	"log/slog"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/experiments"
)

// Log is where a Keeper reads: every partition of the streams' topics. One
// goroutine uses it. What brokers can mend is waited for inside.
type Log interface {
	// Partitions lists all partitions of the topics.
	Partitions() []experiments.TopicPartition
	// Starts returns the first offset that each partition still holds.
	Starts(ctx context.Context) (map[experiments.TopicPartition]int64, error)
	// Start begins reading partitions at these offsets. A *experiments.GapError
	// says that some are gone; then none is started.
	Start(offsets map[experiments.TopicPartition]int64) error
	// Poll waits at most wait for records and returns what came, maybe nothing. Each
	// partition is reported at least once after Start.
	Poll(ctx context.Context, maxRecords int, wait time.Duration) ([]experiments.Fetched, error)
	// Ends returns where the partitions end now.
	Ends(ctx context.Context) (map[experiments.TopicPartition]int64, error)
}

// Options tune what reads change streams. Zero fields take their defaults.
type Options struct {
	// CommitEvery is how often rows are committed to the store. The default is 500 ms.
	CommitEvery time.Duration
	// PollRecords bounds the records of one poll. The default is 5,000.
	PollRecords int
	// PollWait bounds how long a poll waits when nothing comes. The default is 100 ms.
	PollWait time.Duration
	// MaxBytes bounds the changes of one stream that are not committed. The default is 16 MiB.
	MaxBytes int
	// RetryEvery is how long a store that shares rows and does not take them is left
	// alone before it is tried again. The default is 1 s.
	RetryEvery time.Duration
	// UntilEnd ends when the topics have been read to the end that they have when
	// InputDone is closed (at once when it is nil).
	UntilEnd bool
	// InputDone, where set, says that what is being published to the topics is all
	// there. Until then no partition counts as idle.
	InputDone <-chan struct{}
	// Letters takes the records that cannot be read. It is called before the commit,
	// so a record may come again after a crash. The default drops them.
	Letters func(*mortise.DeadLetter) error
	// Committed, where set, is called after every commit.
	Committed func()
	// AcceptGap goes on where a topic no longer holds what has to be read.
	AcceptGap bool
	// Now is the clock. The default is time.Now.
	Now func() time.Time
	// Log is where it is told what happens. The default discards.
	Log *slog.Logger
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	setDefault(&o.CommitEvery, 500*time.Millisecond)
	setDefault(&o.PollRecords, 5000)
	setDefault(&o.PollWait, 100*time.Millisecond)
	setDefault(&o.MaxBytes, 16<<20)
	setDefault(&o.RetryEvery, time.Second)
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

func (o *Options) inputDone() bool {
	if o.InputDone == nil {
		return true
	}
	select {
	case <-o.InputDone:
		return true
	default:
		return false
	}
}
