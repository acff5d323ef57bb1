package hbase

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/tsuna/gohbase"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Options say how HBase is talked to. Zero fields take their defaults. Where it is
// says the dimension's store.
type Options struct {
	// Concurrency bounds the rows of a batch that are asked for at once; what is asked
	// at once goes to a region server as one request. The default is 256.
	Concurrency int
	// Gather is how long a request is held for more rows to join it. The default is
	// 500 µs.
	Gather time.Duration
	// Timeout bounds the wait for a region server, and for opening, besides a read's
	// own deadline. The default is 10 s.
	Timeout time.Duration
	// Now is the clock that cells are written by. The default is time.Now.
	Now func() time.Time
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.Concurrency <= 0 {
		o.Concurrency = 256
	}
	if o.Gather <= 0 {
		o.Gather = 500 * time.Microsecond
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// DefaultFamily is the column family where the store names none.
const DefaultFamily = "d"

// rowColumn says of its time which fields are null, or that the row has ended.
const rowColumn = "@row"

// Table is a dimension table in HBase: a dimjoin.Table, and dimjoin.Versioned.
type Table struct {
	def    *dimjoin.Definition
	opts   Options
	family string
	client gohbase.Client

	version atomic.Pointer[version] // that rows are asked for of
}

// silence keeps the client library's log out of the command's output: errors are
// returned.
var silence = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })

// Open connects to the table of a dimension. The error wraps dimjoin.ErrUnreachable
// if neither ZooKeeper nor a region server answers.
func Open(ctx context.Context, def *dimjoin.Definition, opts Options) (*Table, error) {
	opts.EnsureDefaults()
	silence()
	t := &Table{def: def, opts: opts, family: def.Store.HBase.Family}
	if t.family == "" {
		t.family = DefaultFamily
	}
	if err := t.open(ctx); err != nil {
		return nil, t.fail("opening", err)
	}
	return t, nil
}

func (t *Table) open(ctx context.Context) error {
	if err := t.def.History.Check(); err != nil {
		return err
	}
	if t.def.Store.HBase.ZK == "" || t.def.Store.HBase.Table == "" {
		return errors.New("name the ZooKeeper quorum and the table")
	}
	t.client = gohbase.NewClient(t.def.Store.HBase.ZK, gohbase.RpcQueueSize(t.opts.Concurrency), gohbase.FlushInterval(t.opts.Gather),
		gohbase.RegionLookupTimeout(t.opts.Timeout), gohbase.RegionReadTimeout(t.opts.Timeout), gohbase.ZookeeperTimeout(t.opts.Timeout))
	bounded, cancel := context.WithTimeout(ctx, t.opts.Timeout)
	defer cancel()
	err := wait(bounded, func() error {
		_, err := t.readVersion(bounded)
		return err
	})
	if err == nil {
		return nil
	}
	t.client.Close()
	switch {
	case errors.Is(err, gohbase.TableNotFound):
		return errors.New("there is no such table: make it, or correct its name")
	case strings.Contains(err.Error(), "NoSuchColumnFamilyException"):
		return fmt.Errorf("it has no column family %s: make it, or name the table's own", t.family)
	}
	return fmt.Errorf("%w: %w", dimjoin.ErrUnreachable, err)
}

// fail says what could not be done, and where.
func (t *Table) fail(doing string, err error) error {
	at := t.def.Store.HBase
	return fmt.Errorf("%s the dimension %s in HBase at %s, table %s: %w", doing, t.def.Name, at.ZK, at.Table, err)
}

// Close implements dimjoin.Table.
func (t *Table) Close() error {
	t.client.Close()
	return nil
}

// wait is f, but for returning soon after ctx is done: looking for a region server
// does not always look at it.
func wait(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
