package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// Check reads the first rows of a dimension's file, at most that many, and says what
// Open would find wrong with them: a column that it lacks, a value of another type, a
// key twice. A file that is not there, or not on this machine, is not looked at.
func Check(ctx context.Context, def *dimjoin.Definition, opts Options, rows int) error {
	opts.OpenBucket = nil
	opts.firstRows = rows
	t := &Table{def: def, opts: opts}
	var err error
	if t.place, err = find(ctx, def.Store.Path, &t.opts); err != nil {
		return nil //nolint:nilerr // it is elsewhere
	}
	at, err := t.place.stamp(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		_, err = t.load(ctx, at)
	}
	if err != nil {
		return fmt.Errorf("the dimension %s cannot be read: %w", def.Name, err)
	}
	return nil
}

// firstRows are rows that end early.
type firstRows struct {
	rows
	left int
}

func (r *firstRows) next(values []mortise.Value) (int, error) {
	if r.left--; r.left < 0 {
		return 0, io.EOF
	}
	return r.rows.next(values)
}
