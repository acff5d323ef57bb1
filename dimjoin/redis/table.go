package redis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Table is a dimension table in Redis: a dimjoin.Table, and dimjoin.Versioned.
type Table struct {
	def    *dimjoin.Definition
	opts   Options
	prefix string
	rows   layout
	client redis.UniversalClient
	many   bool // of several servers

	version atomic.Pointer[string] // that rows are asked for of; empty: there are no versions
}

// layout is how a row lies under its key.
type layout interface {
	// ask asks for a row.
	ask(ctx context.Context, p redis.Pipeliner, key string) redis.Cmder
	// answer reads what was answered without an error.
	answer(cmd redis.Cmder, l *dimjoin.Lookup)
	// confirm answers lookups that seem to have no row once more, if they could have
	// one. again asks for everything to be read again.
	confirm(ctx context.Context, t *Table, version string, none []*dimjoin.Lookup) (again bool, err error)
	// put writes a row, all of it at once.
	put(ctx context.Context, p redis.Pipeliner, key string, r *dimjoin.Record)
}

// Open connects to the table of a dimension. The error wraps dimjoin.ErrUnreachable
// if no server answers.
func Open(ctx context.Context, def *dimjoin.Definition, opts Options) (*Table, error) {
	opts.EnsureDefaults()
	t := &Table{def: def, opts: opts, prefix: def.Store.Redis.Prefix}
	if t.prefix == "" {
		t.prefix = def.Name
	}
	if err := t.open(ctx); err != nil {
		return nil, t.fail("opening", err)
	}
	return t, nil
}

func (t *Table) open(ctx context.Context) (err error) {
	name := t.def.Store.Redis.Layout
	if name == "" {
		name = LayoutHash
	}
	if err := check(t.def, name); err != nil {
		return err
	}
	if t.rows, err = newLayout(name, t.def); err != nil {
		return err
	}
	t.client = client(&t.def.Store, &t.opts)
	_, t.many = t.client.(*redis.ClusterClient)
	if _, err := t.readVersion(ctx); err != nil {
		if !isReply(err) {
			err = fmt.Errorf("%w: %w", dimjoin.ErrUnreachable, err)
		}
		return errors.Join(err, t.client.Close())
	}
	return nil
}

// isReply reports whether a server has answered, and that was the answer.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// fail says what could not be done, and where.
func (t *Table) fail(doing string, err error) error {
	return fmt.Errorf("%s the dimension %s in Redis at %v, prefix %s: %w", doing, t.def.Name, t.def.Store.Addrs, t.prefix, err)
}

// Keys.

func (t *Table) currentKey() string  { return t.prefix + "@current" }
func (t *Table) versionsKey() string { return t.prefix + "@versions" }

// base is what the keys of a version's rows begin with.
func (t *Table) base(version string) string {
	if version == "" {
		return t.prefix + ":"
	}
	return t.prefix + "@" + version + ":"
}

// readVersion asks which version is current.
func (t *Table) readVersion(ctx context.Context) (string, error) {
	version, err := t.client.Get(ctx, t.currentKey()).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", err
	}
	t.version.Store(&version)
	return version, nil
}

// Close implements dimjoin.Table.
func (t *Table) Close() error {
	if err := t.client.Close(); err != nil {
		return t.fail("closing", err)
	}
	return nil
}
