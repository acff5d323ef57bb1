package backfill

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/mortise-dev/mortise/experiments"
	"github.com/mortise-dev/mortise/experiments/backfill/extsort"
	"github.com/mortise-dev/mortise/instances/dataset"
)

const (
	// DefaultRollBytes is Job.RollBytes where neither it nor the experiment file says.
	DefaultRollBytes = 128 << 20
	// rollTimes is how much larger rows are taken to be than the file they become.
	// It is fixed, for parts must end at the same rows on every machine.
	rollTimes = 4
)

// Bucket is where the dataset is written to. objectstore.Bucket is one.
type Bucket = dataset.Bucket

// Job is one backfill, or one shard of it.
type Job struct {
	// Pipeline is what is run: of one experiment.
	Pipeline *experiments.Pipeline
	// Inputs are the recorded data, per source of the experiment. A source without
	// any is empty.
	Inputs map[string]Input
	// Beside is what else rows are made of, by name, as the identities of its files:
	// recorded changes of dimensions. With others the rows are another backfill's.
	Beside map[string][]string
	// Out is the dataset's folder.
	Out Bucket
	// Letters is where dead letters go, a file a split that has some. The default is
	// a folder within Out.
	Letters Bucket
	// Range is the event times of the impressions that become instances. The default
	// is all.
	Range Range
	// Enrichment reads the rows' features; FillFeatures sets it. It is needed where
	// the pipeline has some.
	Enrichment experiments.Enrichment
	// Dimensions reads the rows' dimensions. It is needed where the pipeline has some.
	Dimensions experiments.Dimensions
	// Splits is how many splits there are. The default follows from the inputs' size.
	Splits int
	// Shard is which part of the splits this run works on, of Shards. The default is
	// all of them.
	Shard, Shards int
	// Workers is how many units, and then splits, are worked on at once. The default is 1.
	Workers int
	// MemoryBytes is about how much memory the run takes. The default is 1 GiB.
	MemoryBytes int64
	// Scratch opens the folder in which records are kept between being read and being
	// joined. Its name tells backfills, and their shards, apart.
	Scratch func(name string) (FS, error)
	// DiskStates opens the state of a split that is too large for memory; closing it
	// removes it. The default keeps all in memory.
	DiskStates func(split int) (experiments.States, error)
	// CutBytes is the size of the pieces that inputs are cut into, for several workers
	// to read. The default follows from the inputs' size.
	CutBytes int64
	// RollBytes is about how large a file of the dataset is to become. The default is
	// the experiment file's roll.size, or 128 MiB.
	RollBytes int64
	// TempDir is for the parts of the dataset that are not published yet. The default
	// is the system's.
	TempDir string
	// AcceptGap goes on where label streams end before the windows of the range do.
	AcceptGap bool
	// Before, where set, is called once it is fixed what is read, and before it is, if
	// anything is left to do.
	Before func(ctx context.Context, job *Job) error
	// Fresh refuses to go on where an earlier run ended.
	Fresh bool
	// Now is the wall clock when the backfill is begun. The default is time.Now.
	Now func() time.Time
	// Log is where it tells what it does. The default discards.
	Log *slog.Logger
	// Progress, where set, is told how far the run is.
	Progress *Progress
}

// Progress is how far a run is. Any goroutine may ask it.
type Progress struct {
	tiled, records, total, joined, written atomic.Int64
	joining                                atomic.Bool
}

// Tiled returns about how many records have been read for features.
func (p *Progress) Tiled() int64 { return p.tiled.Load() }

// Read returns how many records have been read of the inputs.
func (p *Progress) Read() int64 { return p.records.Load() }

// Joined returns how many of the records that were read have been joined; joining
// is false as long as some are still to be read.
func (p *Progress) Joined() (records, total int64, joining bool) {
	return p.joined.Load(), p.total.Load(), p.joining.Load()
}

// Written returns how many rows have been written.
func (p *Progress) Written() int64 { return p.written.Load() }

// isFile reports whether a source is read from files, which are JSON lines whatever
// its topic's format, or not at all.
func (j *Job) isFile(source string) bool {
	in := j.Inputs[source]
	if in == nil {
		return true
	}
	if _, ok := in.(Bounded); ok {
		return false
	}
	units := in.Units(math.MaxInt64)
	return len(units) == 0 || !units[0].Topic
}

// ensureDefaults fills in zero fields.
func (j *Job) ensureDefaults() error {
	if len(j.Pipeline.Experiments) != 1 {
		return fmt.Errorf("a backfill takes one experiment, not %d: run one after the other", len(j.Pipeline.Experiments))
	}
	if j.Range == (Range{}) {
		j.Range = always
	}
	if j.Shards == 0 {
		j.Shards = 1
	}
	if j.Workers == 0 {
		j.Workers = 1
	}
	if j.MemoryBytes == 0 {
		j.MemoryBytes = 1 << 30
	}
	if j.Now == nil {
		j.Now = time.Now
	}
	if j.Log == nil {
		j.Log = slog.New(slog.DiscardHandler)
	}
	if j.Progress == nil {
		j.Progress = &Progress{}
	}
	if j.Shard < 0 || j.Shard >= j.Shards {
		return fmt.Errorf("shard %d of %d: shards are numbered from 0", j.Shard, j.Shards)
	}
	if j.Splits < 0 || j.Splits > extsort.MaxSplits {
		return fmt.Errorf("%d splits: at most %d are possible", j.Splits, extsort.MaxSplits)
	}
	if j.Range.FromMS >= j.Range.ToMS {
		return fmt.Errorf("the range from %s to %s is empty", timeText(j.Range.FromMS), timeText(j.Range.ToMS))
	}
	return nil
}
