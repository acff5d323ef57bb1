package checkpoint

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"
)

// Options set up Checkpoints. Zero fields take their defaults.
type Options struct {
	// Keep is how many checkpoints of a task stay. The default is 3. With 1 a
	// process that starts again copies everything anew.
	Keep int
	// Parallel bounds the objects that one task transfers at once. The default is 4.
	Parallel int
	// Writer is a name of this process for people to recognize. The default is "worker".
	Writer string
	// Owner says what the tasks are of, for people to recognize.
	Owner string
	// ObjectBytes is the size at which a new object is begun. The default is 64 MiB.
	ObjectBytes int64
	// PartBytes bounds one part of a file. The default is 16 MiB.
	PartBytes int64
	// MaxParts bounds the parts of a file, beyond those of full size. The default is 8.
	MaxParts int
	// MaxObjects bounds the objects that one checkpoint names, beyond those of full
	// size. The default is 512.
	MaxObjects int
	// PinFor is how long a process that died holds on to what it was reading or
	// writing. It is longer than a restore or a checkpoint ever takes. The default
	// is 24 h.
	PinFor time.Duration
	// NowMS is the time that checkpoints say they were made at, ms UTC. Nothing
	// depends on it. The default is the system's clock.
	NowMS func() int64
	// Random makes names unique. The default is crypto/rand's.
	Random io.Reader
	// Log is told what goes wrong without being an error. The default discards.
	Log *slog.Logger
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	setDefault(&o.Keep, 3)
	setDefault(&o.Parallel, 4)
	setDefault(&o.ObjectBytes, 64<<20)
	setDefault(&o.PartBytes, 16<<20)
	o.PartBytes = min(o.PartBytes, o.ObjectBytes)
	setDefault(&o.MaxParts, 8)
	setDefault(&o.MaxObjects, 512)
	setDefault(&o.PinFor, 24*time.Hour)
	if o.Writer == "" {
		o.Writer = "worker"
	}
	if o.NowMS == nil {
		o.NowMS = func() int64 { return time.Now().UnixMilli() }
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T int | int64 | time.Duration](p *T, v T) {
	if *p <= 0 {
		*p = v
	}
}

// Checkpoints reads and writes the checkpoints of a bucket. Its methods may be
// called concurrently; those of one task wait for each other.
type Checkpoints struct {
	bucket Bucket
	opts   Options
	writer string // unique to this value

	mu    sync.Mutex
	tasks map[string]*task
}

// New returns the checkpoints in a bucket, which stays the caller's.
func New(bucket Bucket, opts Options) *Checkpoints {
	opts.EnsureDefaults()
	c := &Checkpoints{bucket: bucket, opts: opts, tasks: map[string]*task{}}
	c.writer = plainName(opts.Writer) + "." + c.random()
	return c
}

func (c *Checkpoints) random() string {
	var b [6]byte
	if _, err := io.ReadFull(c.opts.Random, b[:]); err != nil {
		_, _ = rand.Read(b[:]) // never fails
	}
	return hex.EncodeToString(b[:])
}

// task is what is known of one task's checkpoints.
type task struct {
	c    *Checkpoints
	name string

	mu      sync.Mutex
	loaded  bool
	base    *Manifest           // the newest that is sure to be whole; nil when there is none
	last    uint64              // sequence number that was used or seen last
	uploads int                 // that were begun
	upload  *upload             // under way, or failed; nil after a checkpoint
	oldPin  string              // of the upload before
	refs    map[string][]string // checkpoint → the objects that it names
}

func (c *Checkpoints) task(name string) *task {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tasks[name]
	if t == nil {
		t = &task{c: c, name: name, refs: map[string][]string{}}
		c.tasks[name] = t
	}
	return t
}

// Release forgets a task that another process may go on with.
func (c *Checkpoints) Release(task string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tasks, task)
}

// read returns an object as a whole.
func (c *Checkpoints) read(ctx context.Context, key string) ([]byte, error) {
	r, err := c.bucket.Get(ctx, key, 0, maxManifestBytes)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxManifestBytes))
	return data, errors.Join(err, r.Close())
}

// maxManifestBytes bounds what is read of a manifest: one of a terabyte of state
// has some 100 MB.
const maxManifestBytes = 1 << 30

// each runs work for 0 to n-1, Parallel at a time, until the first error.
func (c *Checkpoints) each(ctx context.Context, n int, work func(ctx context.Context, i int) error) error {
	if c.opts.Parallel == 1 || n < 2 {
		for i := range n {
			if err := work(ctx, i); err != nil {
				return err
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	next, first := 0, error(nil)
	for range min(c.opts.Parallel, n) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := i >= n || first != nil
				mu.Unlock()
				if stop {
					return
				}
				if err := work(ctx, i); err != nil {
					mu.Lock()
					if first == nil {
						first = err
					}
					mu.Unlock()
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return first
}

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
