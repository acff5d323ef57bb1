package redis

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Read implements dimjoin.Table.
func (t *Table) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	for attempt := 0; ; attempt++ {
		again, err := t.readOnce(ctx, lookups)
		if err != nil {
			return t.fail("reading", err)
		}
		if !again {
			return nil
		}
		const most = 10
		if attempt == most {
			return t.fail("reading", errors.New("its version changed ten times meanwhile"))
		}
	}
}

// readOnce reads all lookups of one version. It asks for another try where that
// is not the current one any more.
func (t *Table) readOnce(ctx context.Context, lookups []dimjoin.Lookup) (again bool, err error) {
	version := *t.version.Load()
	var none []*dimjoin.Lookup
	for at := 0; at < len(lookups); at += t.opts.PipelineKeys {
		part := make([]*dimjoin.Lookup, min(len(lookups)-at, t.opts.PipelineKeys))
		for i := range part {
			part[i] = &lookups[at+i]
		}
		asked, again, err := t.ask(ctx, version, part, t.rows.ask)
		if again || err != nil {
			return again, err
		}
		for i, l := range part {
			if err := t.answer(asked[i], l); err != nil {
				return false, err
			}
			if l.Row == nil && l.Err == nil {
				none = append(none, l)
			}
		}
	}
	if again, err = t.rows.confirm(ctx, t, version, none); again || err != nil {
		return again, err
	}
	if len(none) > 0 && t.many && version != "" {
		current, err := t.readVersion(ctx)
		return current != version, err
	}
	return false, ctx.Err()
}

// replies are what a pipeline was answered.
type replies struct {
	each    []redis.Cmder
	pointer *redis.StringCmd
}

// ask asks for something of each key of a version, and behind that for which one is
// current: if it is another, everything has to be asked again.
func (t *Table) ask(ctx context.Context, version string, part []*dimjoin.Lookup, each func(ctx context.Context, p redis.Pipeliner, key string) redis.Cmder) (asked []redis.Cmder, again bool, err error) {
	keys := make([]string, len(part)) // nothing of the lookups is read behind the caller's back
	base := t.base(version)
	for i := range part {
		keys[i] = base + string(part[i].Key)
	}
	got, err := wait(ctx, func() (replies, error) {
		r := replies{each: make([]redis.Cmder, len(keys))}
		_, err := t.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range keys {
				r.each[i] = each(ctx, p, keys[i])
			}
			r.pointer = p.Get(ctx, t.currentKey())
			return nil
		})
		return r, err
	})
	if err != nil && !isReply(err) {
		return nil, false, err
	}
	current, err := got.pointer.Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, false, err
	}
	if current != version {
		t.version.Store(&current)
	}
	return got.each, current != version, nil
}

// wait is f, but for returning soon after ctx is done: the client library looks at
// deadlines alone. f then goes on until its own timeout, and nobody reads what it
// has found.
func wait[T any](ctx context.Context, f func() (T, error)) (none T, err error) {
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if ctx.Done() == nil {
		return f()
	}
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := f()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// answer reads what was answered for one lookup. The error says that the server
// could not answer.
func (t *Table) answer(cmd redis.Cmder, l *dimjoin.Lookup) error {
	l.Row, l.Err = nil, nil
	switch err := cmd.Err(); {
	case err == nil:
		t.rows.answer(cmd, l)
	case errors.Is(err, redis.Nil):
	case strings.HasPrefix(err.Error(), "WRONGTYPE"):
		l.Err = errors.New("the key holds something else than a row of this layout: " + err.Error())
	default:
		return err
	}
	return nil
}
