package dimensions

import (
	"context"
	"errors"
	"fmt"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/file"
	"github.com/mortise-dev/mortise/dimjoin/hbase"
	"github.com/mortise-dev/mortise/dimjoin/pebble"
	"github.com/mortise-dev/mortise/dimjoin/redis"
	"github.com/mortise-dev/mortise/dimjoin/sql"
	"github.com/mortise-dev/mortise/experiments/spec"
)

// open opens the store that a definition names.
func (o *Options) open(ctx context.Context, def *dimjoin.Definition) (dimjoin.Table, error) {
	switch def.Store.Kind {
	case "file":
		return opened(file.Open(ctx, def, file.Options{Now: o.Now, OnReload: o.reloaded(def), OpenColumns: openParquet, OpenBucket: openBucket}))
	case "pebble":
		return opened(pebble.Open(ctx, def, pebble.Options{}))
	case "redis":
		return opened(openRedis(ctx, def))
	case "sql":
		return opened(sql.Open(ctx, def, sql.Options{}))
	case "hbase":
		return opened(hbase.Open(ctx, def, hbase.Options{Now: o.Now}))
	}
	return nil, fmt.Errorf("this version has no store of kind %s", def.Store.Kind)
}

// openRedis reads the files of its TLS, now: who replaces them opens it anew.
func openRedis(ctx context.Context, def *dimjoin.Definition) (*redis.Table, error) {
	o := redis.Options{}
	if t := spec.TLS(def.Store.Redis.TLS); t.Enabled {
		var err error
		if o.TLS, err = t.Config(); err != nil {
			return nil, err
		}
	}
	return redis.Open(ctx, def, o)
}

// opened keeps a nil table from looking like one.
func opened[T dimjoin.Table](t T, err error) (dimjoin.Table, error) {
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (o *Options) reloaded(def *dimjoin.Definition) func(rows int, err error) {
	return func(rows int, err error) {
		if err != nil {
			o.Log.Warn("a dimension's file changed, and cannot be read: its rows stay as they were", "dimension", def.Name, "path", def.Store.Path, "err", err)
			return
		}
		o.Log.Info("a dimension's file changed and was read again", "dimension", def.Name, "path", def.Store.Path, "rows", rows)
	}
}

// openSoon opens a table, now or, where its store cannot be reached, as soon as it
// can: rows are served by the declared fallback until then.
func (o *Options) openSoon(ctx context.Context, def *dimjoin.Definition, read *spec.DimensionRead) (dimjoin.Table, error) {
	if def.Store.Kind == "ab" {
		return o.openClusters(ctx, def, read)
	}
	t, err := o.Open(ctx, def)
	if !errors.Is(err, dimjoin.ErrUnreachable) || o.Patient {
		return t, err
	}
	o.Log.Warn("a dimension's store cannot be reached; it is tried again with every read", "dimension", def.Name, "store", def.Store.Kind, "err", err)
	return dimjoin.OpenLater(func(ctx context.Context) (dimjoin.Table, error) { return o.Open(ctx, def) }), nil
}
