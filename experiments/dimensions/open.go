package dimensions

import (
	"context"
	"fmt"

	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/file"
	"github.com/mortise-dev/mortise/dimjoin/pebble"
)

// openTable opens the table that a definition names in its store.
func openTable(ctx context.Context, def *dimjoin.Definition, o *Options) (dimjoin.Table, error) {
	switch def.Store.Kind {
	case "file":
		t, err := file.Open(ctx, def, file.Options{Now: o.Now, OnReload: func(rows int, err error) {
			if err != nil {
				o.Log.Warn("a dimension's file changed, and cannot be read: its rows stay as they were", "dimension", def.Name, "path", def.Store.Path, "err", err)
				return
			}
			o.Log.Info("a dimension's file changed and was read again", "dimension", def.Name, "path", def.Store.Path, "rows", rows)
		}})
		if err != nil {
			return nil, err
		}
		return t, nil
	case "pebble":
		db, err := pebble.Open(ctx, def, pebble.Options{})
		if err != nil {
			return nil, err
		}
		return db, nil
	}
	return nil, fmt.Errorf("this version has no store of kind %s", def.Store.Kind)
}

// openWriter opens the store that a definition names for writing.
func openWriter(_ context.Context, def *dimjoin.Definition) (dimjoin.Writer, error) {
	return nil, fmt.Errorf("this version cannot write to a store of kind %s", def.Store.Kind)
}
