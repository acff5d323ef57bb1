package dataset

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/mortise-dev/mortise/instances"
)

// Kind says what a dataset's parts are cut from. One folder holds one kind.
type Kind string

const (
	// Stream parts are ranges of offsets of a topic's partitions: there is always
	// a next one.
	Stream Kind = "stream"
	// Batch parts are ranges of row numbers of a backfill's splits, each of which
	// ends.
	Batch Kind = "batch"
)

// Options say what is written, by whom, and within which bounds.
type Options struct {
	// Columns are the rows' columns.
	Columns *instances.Columns
	// Experiment is the experiment's name; a folder belongs to one experiment.
	Experiment string
	// Version and Config are the experiment file's version and hash. They stand in
	// every file's metadata; a stream dataset may go on under others.
	Version int
	Config  string
	// Partition is how rows are put into folders by their event time, UTC: dt and
	// hour, dt alone, or none. The default is dt and hour.
	Partition []string
	// Kind is what the parts are cut from. The default is Stream.
	Kind Kind
	// Source names the topic whose offsets a stream's parts are, in a way that no other
	// topic shares, not one of the same name that is made later: a folder takes parts
	// of one topic only. Empty where that cannot be told, and then not checked.
	Source string
	// Plan is a batch's fingerprint: what is read, which range, which code. A
	// folder takes rows of one plan only. Streams have none.
	Plan string
	// Splits is how many origins a batch has, named by Split: when all are finished,
	// Complete may be called. Streams have none.
	Splits int
	// TempDir is a local directory for what is not published yet, made when it is
	// needed. The files have no names there and end with the process. The default
	// is the system's.
	TempDir string
	// MemoryBytes bounds the rows that are held in memory, over all parts together,
	// but for a few KiB of each folder; what is more waits in TempDir. The default
	// is 128 MiB.
	MemoryBytes int64
	// RowGroupBytes is how much of uncompressed data a row group holds, the unit in
	// which trainers read. Twice as much is held while one is encoded. The default
	// is 64 MiB.
	RowGroupBytes int64
	// Encoders is how many row groups are encoded at once. The default is 1.
	Encoders int
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.Partition == nil {
		o.Partition = []string{"dt", "hour"}
	}
	if o.Kind == "" {
		o.Kind = Stream
	}
	if o.TempDir == "" {
		o.TempDir = os.TempDir()
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 128 << 20
	}
	if o.RowGroupBytes == 0 {
		o.RowGroupBytes = 64 << 20
	}
	if o.Encoders == 0 {
		o.Encoders = 1
	}
}

// Validate says what is wrong with options whose defaults are filled in.
func (o *Options) Validate() error {
	switch {
	case o.Columns == nil:
		return fmt.Errorf("dataset: Options.Columns is missing")
	case o.Experiment == "":
		return fmt.Errorf("dataset: Options.Experiment is missing")
	case o.Kind != Stream && o.Kind != Batch:
		return fmt.Errorf("dataset: Options.Kind is %q: it is stream or batch", o.Kind)
	case o.Kind == Batch && (o.Plan == "" || o.Splits < 1):
		return fmt.Errorf("dataset: a batch needs Options.Plan and at least one of Options.Splits")
	case o.Kind == Batch && o.Source != "":
		return fmt.Errorf("dataset: a batch has no Options.Source")
	case o.Kind == Stream && (o.Plan != "" || o.Splits != 0):
		return fmt.Errorf("dataset: a stream has neither Options.Plan nor Options.Splits")
	case o.MemoryBytes < 0 || o.RowGroupBytes < 0 || o.Encoders < 0:
		return fmt.Errorf("dataset: Options.MemoryBytes, RowGroupBytes and Encoders are not negative")
	}
	return validatePartition(o.Partition)
}

func validatePartition(p []string) error {
	if !slices.Equal(p, []string{"dt", "hour"}) && !slices.Equal(p, []string{"dt"}) && len(p) > 0 {
		return fmt.Errorf("dataset: Options.Partition is [%s]: it is [dt, hour], [dt] or []", strings.Join(p, ", "))
	}
	return nil
}

var originPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// Split names split i of n, from 0 on, as an origin: s0003-of-0016.
func Split(i, n int) string { return fmt.Sprintf("s%04d-of-%04d", i, n) }

// Partition names partition p of a stream's topic as an origin: p00003.
func Partition(p int32) string { return fmt.Sprintf("p%05d", p) }
