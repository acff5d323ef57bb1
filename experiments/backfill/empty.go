package backfill

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// Eraser is a Bucket whose objects can be deleted.
type Eraser interface {
	Bucket
	// Delete removes an object. That there is none is no error.
	Delete(ctx context.Context, key string) error
}

// Empty removes the dataset that lies in a folder, whatever it is of: all that a
// backfill, or a stream, has written there, and nothing else. When it is stopped
// the folder takes no rows until it has been called again.
func Empty(ctx context.Context, b Eraser) error {
	var own, rows []string
	err := b.List(ctx, "", func(key string, _ int64, _ time.Time) error {
		name := path.Base(key)
		switch {
		case strings.HasPrefix(key, "_mortise/"):
			own = append(own, key)
		case name == "_SUCCESS", strings.HasPrefix(name, "part-") && strings.HasSuffix(name, ".parquet"):
			rows = append(rows, key)
		}
		return nil
	})
	if err != nil || len(own)+len(rows) == 0 {
		return err
	}
	if len(own) == 0 {
		return fmt.Errorf("%s holds Parquet files, and not as a dataset of mortise's: they are not removed; name another folder with --out", b)
	}
	// What says that a folder is a dataset goes first, so that nobody takes what is
	// left for a whole one; what says that it was one goes last.
	slices.SortFunc(own, func(a, b string) int { return weight(a) - weight(b) })
	for _, key := range slices.Concat(own[:1], rows, own[1:]) {
		if err := b.Delete(ctx, key); err != nil {
			return errors.Join(fmt.Errorf("removing the dataset: %w; the same command goes on", err))
		}
	}
	return nil
}

func weight(key string) int {
	if key == "_mortise/dataset.json" {
		return 0
	}
	return 1
}
