package file

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Table is a dimension table in memory: a dimjoin.Table.
type Table struct {
	def   *dimjoin.Definition
	opts  Options
	place place
	now   atomic.Pointer[contents]

	nextMS atomic.Int64 // when the file is looked at next
	mu     sync.Mutex   // held while the file is looked at
	loaded stamp        // what the contents are of
	seen   stamp        // how the file looked last
	broken stamp        // what was tried and cannot be read

	cancel atomic.Pointer[context.CancelFunc] // of looking at the file behind reads
	behind sync.WaitGroup
}

// errChanging says that the file changed while it was read.
var errChanging = errors.New("the file is being written")

// Open reads the file of a dimension. The error names the file, and the line and
// column of what is wrong with it.
func Open(ctx context.Context, def *dimjoin.Definition, opts Options) (*Table, error) {
	opts.EnsureDefaults()
	t := &Table{def: def, opts: opts}
	c, err := t.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the dimension %s: %w", def.Name, err)
	}
	t.now.Store(c)
	t.nextMS.Store(opts.Now().Add(opts.Every).UnixMilli())
	return t, nil
}

func (t *Table) open(ctx context.Context) (*contents, error) {
	if err := t.def.History.Check(); err != nil {
		return nil, err
	}
	var err error
	if t.place, err = find(ctx, t.def.Store.Path, &t.opts); err != nil {
		return nil, err
	}
	at, err := t.place.stamp(ctx)
	var c *contents
	if err == nil {
		t.loaded, t.seen = at, at
		c, err = t.load(ctx, at)
	}
	if err != nil {
		return nil, errors.Join(err, t.place.close())
	}
	return c, nil
}

func (t *Table) load(ctx context.Context, at stamp) (*contents, error) {
	f, err := t.place.open(ctx)
	if err != nil {
		return nil, err
	}
	c, err := load(ctx, t.name(), f, at.sizeBytes, t.def, &t.opts)
	if closing := f.Close(); err == nil && closing != nil {
		return nil, closing
	}
	return c, err
}

// Read implements dimjoin.Table.
func (t *Table) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	t.lookBehind()
	c := t.now.Load()
	for i := range lookups {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		c.answer(&lookups[i])
	}
	return nil
}

// Rows is how many rows the table has.
func (t *Table) Rows() int { return t.now.Load().rows }

// MemoryBytes is what they take.
func (t *Table) MemoryBytes() int { return t.now.Load().bytes() }

// lookBehind has the file looked at when it is time for that, without waiting.
func (t *Table) lookBehind() {
	if t.opts.Every < 0 {
		return
	}
	now, next := t.opts.Now(), t.nextMS.Load()
	if now.UnixMilli() < next || !t.nextMS.CompareAndSwap(next, now.Add(t.opts.Every).UnixMilli()) || !t.mu.TryLock() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background()) // the file is everybody's, not this read's
	t.cancel.Store(&cancel)
	t.behind.Go(func() {
		defer cancel()
		defer t.mu.Unlock()
		t.look(ctx)
	})
}

// Look looks at the file, as reads do every so often: if it changed and has looked
// the same twice, it is read, and takes the place of what was there.
func (t *Table) Look(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.look(ctx)
}

func (t *Table) look(ctx context.Context) {
	at, err := t.place.stamp(ctx)
	before := t.seen
	t.seen = at
	switch {
	case err != nil: // gone, or out of reach: it may come back
		if before != (stamp{}) && ctx.Err() == nil {
			t.opts.OnReload(0, fmt.Errorf("looking at the dimension %s: %w; its rows stay as they were", t.def.Name, err))
		}
		return
	case at != before || at == t.loaded || at == t.broken:
		return
	}
	c, err := t.load(ctx, at)
	if err == nil {
		if after, again := t.place.stamp(ctx); again != nil || after != at {
			err = errChanging
		}
	}
	switch {
	case ctx.Err() != nil, errors.Is(err, errChanging):
		return
	case err != nil:
		t.broken = at
		t.opts.OnReload(0, fmt.Errorf("reading the dimension %s again: %w; its rows stay as they were", t.def.Name, err))
		return
	}
	t.loaded, t.broken = at, stamp{}
	t.now.Store(c)
	t.opts.OnReload(c.rows, nil)
}

// Close implements dimjoin.Table.
func (t *Table) Close() error {
	t.nextMS.Store(math.MaxInt64)
	if cancel := t.cancel.Load(); cancel != nil {
		(*cancel)()
	}
	t.behind.Wait()
	return t.place.close()
}

// name is the file's, without the parameters of a URL, which may be secret.
func (t *Table) name() string {
	name, _, _ := strings.Cut(t.def.Store.Path, "?")
	return name
}
