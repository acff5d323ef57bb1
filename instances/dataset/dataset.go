package dataset

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
)

// Dataset is a folder that instances are published to. Its methods may be called
// concurrently.
type Dataset struct {
	bucket   Bucket
	opts     Options
	spanMS   int64
	memory   budget
	encoders chan *encoder
	ratio    atomic.Uint64 // bits: of a file's size to its rows', as learned

	mu      sync.Mutex
	next    map[string]int64 // of origins: all parts before it are done
	hasRows map[int64]bool   // folders that are known to be marked so
}

// Open opens a dataset, and makes it where the folder is empty. It refuses a
// folder that holds other things than this experiment's rows in this layout, a
// mix of stream and batch, a batch of another plan, and columns whose types have
// changed: the *MismatchError says what to do. Columns that are new, or no longer
// there, are no mismatch: readers see null in the files that lack them.
func Open(ctx context.Context, b Bucket, o Options) (*Dataset, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	d := &Dataset{bucket: b, opts: o, spanMS: o.spanMS(), encoders: make(chan *encoder, o.Encoders), next: map[string]int64{}, hasRows: map[int64]bool{}}
	d.memory.left.Store(o.MemoryBytes)
	d.ratio.Store(math.Float64bits(startRatio))
	for range o.Encoders {
		d.encoders <- newEncoder(&d.opts)
	}
	if err := d.claim(ctx); err != nil {
		return nil, err
	}
	if err := d.agree(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// Close releases what is held for reuse. Parts that are not published are gone.
func (d *Dataset) Close() error { return nil }

// NewPart begins a part of an origin at an offset: Position.Next. Nothing of it is
// seen before Publish.
func (d *Dataset) NewPart(origin string, from int64) *PartWriter {
	return &PartWriter{dataset: d, origin: origin, from: from, version: d.opts.Version, config: d.opts.Config}
}

// checkNext makes sure that all before a part is known to be done: a part may
// only follow another.
func (d *Dataset) checkNext(origin string, from int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	next, ok := d.next[origin]
	if !ok {
		return fmt.Errorf("dataset: a part of %s from %d is to be published, and Next has not said where one begins", origin, from)
	}
	if next != from {
		return fmt.Errorf("dataset: a part of %s from %d is to be published, and the next one begins at %d", origin, from, next)
	}
	return nil
}

func (d *Dataset) known(origin string) (next int64, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	next, ok = d.next[origin]
	return next, ok
}

func (d *Dataset) setNext(origin string, next int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.next[origin] = max(d.next[origin], next) // what is done stays done
}

func (d *Dataset) forgetNext(origin string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.next, origin)
}

// startRatio is how much smaller files are than their rows, before any is known.
const startRatio = 0.25

// estimate is how large rows will be as files.
func (d *Dataset) estimate(bytes int64) int64 {
	return int64(float64(bytes) * math.Float64frombits(d.ratio.Load()))
}

// learn notes how much rows have shrunk; a lot of rows tells more than a few.
func (d *Dataset) learn(from, to int64) {
	const trust = 16 << 20 // bytes that count as much as all before
	if from == 0 {
		return
	}
	weight := float64(from) / float64(from+trust)
	old := math.Float64frombits(d.ratio.Load())
	d.ratio.Store(math.Float64bits(old + weight*(float64(to)/float64(from)-old)))
}
