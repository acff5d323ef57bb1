package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/mortise-dev/mortise/dimjoin"
)

// writer writes the rows of one version.
type writer struct {
	t    *Table
	base string
}

// Writer writes the version that is current now.
func (t *Table) Writer(ctx context.Context) (dimjoin.Writer, error) {
	version, err := t.Current(ctx)
	if err != nil {
		return nil, err
	}
	return &writer{t, t.base(version)}, nil
}

// pipelineBytes is about how much is written in one go.
const pipelineBytes = 4 << 20

// Write implements dimjoin.Writer. Each row is written as a whole; the rows of a
// batch are not.
func (w *writer) Write(ctx context.Context, records []dimjoin.Record) error {
	for len(records) > 0 {
		if err := ctx.Err(); err != nil {
			return w.t.fail("writing to", err)
		}
		n := 0
		_, err := w.t.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for size := 0; n < len(records) && n < w.t.opts.PipelineKeys && size < pipelineBytes; n++ {
				w.t.rows.put(ctx, p, w.base+string(records[n].Key), &records[n])
				for _, v := range records[n].Row {
					size += 16 + len(v.Text())
				}
			}
			return nil
		})
		if err != nil {
			return w.t.fail("writing to", err)
		}
		records = records[n:]
	}
	return nil
}

// Close implements dimjoin.Writer. The table stays open.
func (w *writer) Close() error { return nil }

// Current implements dimjoin.Versioned.
func (t *Table) Current(ctx context.Context) (string, error) {
	version, err := t.readVersion(ctx)
	if err != nil {
		return "", t.fail("reading the version of", err)
	}
	return version, nil
}

// Prepare implements dimjoin.Versioned.
func (t *Table) Prepare(ctx context.Context, version string) (dimjoin.Writer, error) {
	err := checkVersion(version)
	if err == nil {
		err = t.client.SAdd(ctx, t.versionsKey(), version).Err()
	}
	if err != nil {
		return nil, t.fail("preparing version "+version+" of", err)
	}
	return &writer{t, t.base(version)}, nil
}

func checkVersion(version string) error {
	if version == "" || version == "current" || version == "versions" || strings.ContainsAny(version, ":@") {
		return fmt.Errorf("%q is no name of a version: it needs one, without : and @", version)
	}
	return nil
}

// Switch implements dimjoin.Versioned.
func (t *Table) Switch(ctx context.Context, version string) error {
	begun, err := t.client.SIsMember(ctx, t.versionsKey(), version).Result()
	if err == nil && !begun {
		err = errors.New("it was never filled")
	}
	if err == nil {
		err = t.client.Set(ctx, t.currentKey(), version, 0).Err()
	}
	if err != nil {
		return t.fail("switching to version "+version+" of", err)
	}
	return nil
}

// Drop implements dimjoin.Versioned. Finding a version's rows takes a walk over all
// keys of the servers, a thousand at a time.
func (t *Table) Drop(ctx context.Context, version string) error {
	if err := t.drop(ctx, version); err != nil {
		return t.fail("dropping version "+version+" of", err)
	}
	return nil
}

func (t *Table) drop(ctx context.Context, version string) error {
	if err := checkVersion(version); err != nil {
		return err
	}
	current, err := t.readVersion(ctx)
	if err != nil {
		return err
	}
	if current == version {
		return errors.New("it is the one that is read: switch to another first")
	}
	pattern := escapeGlob(t.base(version)) + "*"
	if c, ok := t.client.(*redis.ClusterClient); ok {
		err = c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return unlink(ctx, node, pattern) })
	} else {
		err = unlink(ctx, t.client, pattern)
	}
	if err == nil {
		err = t.client.SRem(ctx, t.versionsKey(), version).Err()
	}
	return err
}

// unlink removes a server's keys of a pattern.
func unlink(ctx context.Context, node redis.Cmdable, pattern string) error {
	var cursor uint64
	for {
		keys, next, err := node.Scan(ctx, cursor, pattern, 1000).Result()
		if err != nil {
			return err
		}
		_, err = node.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, key := range keys { // one by one: slots differ
				p.Unlink(ctx, key)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func escapeGlob(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}
