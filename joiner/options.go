package joiner

import (
	"fmt"

	mortise "github.com/mortise-dev/mortise"
)

// MaxExperiments is how many experiments can share one task: a bit each of a mask.
const MaxExperiments = 32

// Late says what becomes of an impression that comes after its window closed.
type Late uint8

const (
	LateEmit       Late = iota // emit at once, flagged late
	LateDeadLetter             // reject with ReasonLate
	LateDrop                   // count and forget
)

// Source is one input of the join, by its index in Options.Sources.
type Source struct {
	// KeySets names, for each key that an event of this source carries, the
	// equality it stands for: two keys can only match within one key set. Set 0
	// is the join key, which identifies the instance; `on` adds others.
	KeySets []int
}

// Window is one label definition: a label of Source matches an impression of
// time t when their keys of KeySet are equal and its own time lies in
// [t-BeforeMS, t+WithinMS).
type Window struct {
	Source             int
	KeySet             int
	BeforeMS, WithinMS int64
}

// Options fixes what one task joins. All experiments that share the task share
// these; what may differ between them is Program's.
type Options struct {
	Sources []Source
	Main    int // index of the main stream in Sources
	Windows []Window
	// DelayMS is how long an impression is held: at least the largest WithinMS.
	DelayMS int64
	// Dedup drops an impression whose key was kept less than DelayMS before it.
	Dedup bool
	// DedupClasses are masks of experiments that accept the same impressions and
	// so agree on which are duplicates. The default is one class of all.
	DedupClasses []uint32
	Late         Late
	// LateGraceMS is how much longer labels are kept so that a late impression
	// still finds them. The default is the largest WithinMS under LateEmit, else 0.
	LateGraceMS int64
	// Early asks for provisional rows as impressions and labels arrive, at the
	// price of an index over pending impressions.
	Early bool
	// FromMS and ToMS keep impressions before the one, and from the other on, out of
	// what is put out. The earlier ones are there for dedup alone; see DedupReachMS.
	// All are dropped as out of range. The default, 0, keeps none out.
	FromMS, ToMS int64
	// Experiments is how many experiments share the task, at most MaxExperiments.
	Experiments int
	// BucketMS is the event-time span of a bucket of impressions; the store must
	// be opened with StoreOptions. The default is DelayMS/120, at least 1 s.
	BucketMS int64
	// Trace, where set, is told what becomes of every event.
	Trace func(Trace)
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.Experiments == 0 {
		o.Experiments = 1
	}
	if len(o.DedupClasses) == 0 {
		o.DedupClasses = []uint32{^uint32(0)}
	}
	if o.BucketMS == 0 {
		o.BucketMS = DefaultBucketMS(o.DelayMS)
	}
	if o.Late == LateEmit && o.LateGraceMS == 0 {
		for _, w := range o.Windows {
			o.LateGraceMS = max(o.LateGraceMS, w.WithinMS)
		}
	}
}

// DedupReachMS is how long before a range of impressions has to be read, so that
// what is a duplicate of what comes out as if all had been.
func (o *Options) DedupReachMS() int64 {
	if !o.Dedup {
		return 0
	}
	return marksDelays * o.DelayMS
}

// DefaultBucketMS is the bucket span that fits a hold time: 120 buckets, but
// none shorter than a second.
func DefaultBucketMS(delayMS int64) int64 { return max(delayMS/120, 1000) }

// coarseBuckets is how many buckets of impressions span one of labels.
const coarseBuckets = 6

// StoreOptions are the spans that the task's store must have.
func (o *Options) StoreOptions() StoreOptions {
	return StoreOptions{BucketMS: o.BucketMS, CoarseMS: coarseBuckets * o.BucketMS}
}

// Validate reports the first contradiction in o.
func (o *Options) Validate() error {
	switch {
	case o.Experiments < 1 || o.Experiments > MaxExperiments:
		return fmt.Errorf("join: %d experiments share one task; at most %d can", o.Experiments, MaxExperiments)
	case o.Main < 0 || o.Main >= len(o.Sources):
		return fmt.Errorf("join: main source %d of %d", o.Main, len(o.Sources))
	case len(o.Windows) > 64:
		return fmt.Errorf("join: %d labels; at most 64 fit one join", len(o.Windows))
	}
	for i, w := range o.Windows {
		if w.Source < 0 || w.Source >= len(o.Sources) || w.BeforeMS < 0 || w.WithinMS < 0 || w.BeforeMS+w.WithinMS <= 0 || w.WithinMS > o.DelayMS {
			return fmt.Errorf("join: label %d: window [-%d ms, %d ms) of source %d does not fit a delay of %d ms", i, w.BeforeMS, w.WithinMS, w.Source, o.DelayMS)
		}
		if keyIndex(o.Sources[w.Source].KeySets, w.KeySet) < 0 || keyIndex(o.Sources[o.Main].KeySets, w.KeySet) < 0 {
			return fmt.Errorf("join: label %d: key set %d is not carried by both sides", i, w.KeySet)
		}
	}
	return nil
}

func keyIndex(sets []int, set int) int {
	for i, s := range sets {
		if s == set {
			return i
		}
	}
	return -1
}

// Event is one cleaned record on its way in. The join copies what it keeps.
type Event struct {
	Source    int
	TimeMS    int64
	Partition int32
	Offset    int64
	Accept    uint32 // experiments that take it
	Bad       uint32 // experiments that cannot read it, for BadReason; the rest filtered it
	BadReason mortise.Reason
	Keys      [][]byte // per Source.KeySets; an impression needs them only under Early
	Value     []byte
}

// Emission is one row to be written for each experiment of Accept.
type Emission struct {
	Accept      uint32
	Late        bool
	Provisional bool // written before the window closed
	// Positives counts the provisional rows written for this impression because
	// a label arrived; ArrivedNegative says that it arrived without any.
	Positives       int
	ArrivedNegative bool
}

// Outcome says, a bit per experiment, what became of an Emission.
type Outcome struct {
	Written  uint32
	Sampled  uint32 // left out by negative sampling
	Positive uint32 // written with at least one label
}

// Program is what the experiments bring to the join: how a raw impression is
// read, which labels count, and what is written. The join calls, for one
// impression, Open, then Key and Match, then Emit; Reject may come in between.
// Entries and keys are valid during the call. One goroutine uses it.
type Program interface {
	// Open reads the impression and returns the experiments of e.Accept for
	// which it is sound. Fault explains the others.
	Open(e *Entry) (sound uint32)
	// Fault says why experiment exp cannot use the open impression.
	Fault(exp int) *mortise.RecordError
	// Key returns the open impression's key of a key set. It is asked only if
	// Open returned some experiment.
	Key(set int) []byte
	// Match offers a label whose key and time fit window w. It returns the
	// experiments of accept for which it counts, and those that cannot read it,
	// with why. Labels of one window come in order of (time, partition, offset).
	Match(w int, label *Entry, accept uint32) (counts, broken uint32, why *mortise.RecordError)
	// Emit writes the open impression's rows.
	Emit(em Emission) (Outcome, error)
	// Reject sends a record to the dead letters of the experiments of mask.
	Reject(e *Entry, mask uint32, why *mortise.RecordError) error
}
