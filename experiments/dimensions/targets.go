package dimensions

import (
	"context"
	"errors"
	"fmt"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/hbase"
	"github.com/mortise-dev/mortise/dimjoin/pebble"
	"github.com/mortise-dev/mortise/dimjoin/sql"
	"github.com/mortise-dev/mortise/experiments/dimensions/loading"
)

// shared is a store that workers share, as it is written.
type shared interface {
	dimjoin.Versioned
	// Writer writes the version that is current now.
	Writer(ctx context.Context) (dimjoin.Writer, error)
	Close() error
}

func openShared(ctx context.Context, def *dimjoin.Definition) (shared, error) {
	switch def.Store.Kind {
	case "redis":
		t, err := openRedis(ctx, def)
		if err != nil {
			return nil, err
		}
		return t, nil
	case "sql":
		t, err := sql.Open(ctx, def, sql.Options{})
		if err != nil {
			return nil, err
		}
		return t, nil
	case "hbase":
		t, err := hbase.Open(ctx, def, hbase.Options{})
		if err != nil {
			return nil, err
		}
		return t, nil
	}
	return nil, fmt.Errorf("this version cannot write to a store of kind %s", def.Store.Kind)
}

// openWriter opens the store that a definition names for writing.
func openWriter(ctx context.Context, def *dimjoin.Definition) (dimjoin.Writer, error) {
	t, err := openShared(ctx, def)
	if err != nil {
		return nil, err
	}
	return currentWriter{t}, nil
}

// currentWriter writes what readers see, also after a load has had them see other
// rows.
type currentWriter struct{ shared }

// Write implements dimjoin.Writer.
func (w currentWriter) Write(ctx context.Context, records []dimjoin.Record) error {
	one, err := w.Writer(ctx)
	if err != nil {
		return err
	}
	return errors.Join(one.Write(ctx, records), one.Close())
}

// OpenTargets opens the store of a dimension for being filled: of two, both.
func OpenTargets(ctx context.Context, def *dimjoin.Definition) (all []loading.Target, err error) {
	defer func() {
		if err != nil {
			for i := range all {
				err = errors.Join(err, all[i].Close())
			}
		}
	}()
	if def.Store.Kind != "ab" {
		t, err := openTarget(ctx, def, def.Store.Kind)
		if err != nil {
			return nil, err
		}
		return append(all, t), nil
	}
	for i, side := range def.Store.AB {
		own := *def
		own.Store = *side
		t, err := openTarget(ctx, &own, [2]string{"a", "b"}[i])
		if err != nil {
			return all, err
		}
		all = append(all, t)
	}
	return all, nil
}

func openTarget(ctx context.Context, def *dimjoin.Definition, name string) (t loading.Target, err error) {
	switch def.Store.Kind {
	case "pebble":
		db, err := pebble.Open(ctx, def, pebble.Options{Create: true})
		if err != nil {
			return t, err
		}
		return loading.Target{Name: name, Versioned: db, Close: db.Close}, nil
	case "file":
		return t, errors.New("a file is filled by putting another in its place: it is read anew when it changes")
	}
	store, err := openShared(ctx, def)
	if err != nil {
		return t, err
	}
	return loading.Target{Name: name, Versioned: store, Close: store.Close}, nil
}
