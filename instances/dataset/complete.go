package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// end says how many rows a batch's split has.
type end struct {
	Format int   `json:"format"`
	To     int64 `json:"to"`
}

// Finish says that a batch's split has all its rows: those below to, which are
// published. A second call with another number is refused.
func (d *Dataset) Finish(ctx context.Context, origin string, to int64) error {
	if d.opts.Kind != Batch {
		return fmt.Errorf("dataset: only a batch's splits are finished")
	}
	if err := d.checkNext(origin, to); err != nil {
		return err
	}
	key := endKey(origin)
	err := d.create(ctx, key, encode(end{formatVersion, to}))
	if err == nil || !errors.Is(err, fs.ErrExist) {
		return err
	}
	data, err := d.get(ctx, key)
	if err != nil {
		return err
	}
	var found end
	if err := parse(data, &found, &found.Format); err != nil {
		return d.damaged(key, err)
	}
	if found.To != to {
		return fmt.Errorf("%s: split %s has %d rows now and had %d when it was finished first: its input has changed: begin anew in another folder", d.bucket, origin, to, found.To)
	}
	return nil
}

// Finished returns how many of a batch's splits are finished.
func (d *Dataset) Finished(ctx context.Context) (int, error) {
	n := 0
	err := d.bucket.List(ctx, partsFolder, func(key string, _ int64, _ time.Time) error {
		if m, ok := parseMarker(key); ok && m.suffix == endName {
			n++
		}
		return nil
	})
	return n, err
}

// Complete writes _SUCCESS into the folders that hold these event times, ms UTC.
// It is the caller who knows that a folder's rows are all published. A batch must
// have all its splits finished. Rows that come later all the same go into
// further parts beside it.
func (d *Dataset) Complete(ctx context.Context, timesMS ...int64) error {
	if d.opts.Kind == Batch {
		n, err := d.Finished(ctx)
		if err != nil {
			return err
		}
		if n < d.opts.Splits {
			return fmt.Errorf("%s is not complete: %d of %d splits are finished", d.bucket, n, d.opts.Splits)
		}
	}
	var slots []int64
	for _, at := range timesMS {
		slots = append(slots, slotOf(at, d.spanMS))
	}
	slices.Sort(slots)
	for _, number := range slices.Compact(slots) {
		folder := folderOf(number, d.spanMS)
		for _, key := range []string{folder + successName, foldersFolder + folder + completeName} {
			if err := d.create(ctx, key, nil); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	}
	return nil
}

// Incomplete returns an event time, ms UTC, in each folder that ends at or before
// beforeMS, has got rows and has no _SUCCESS.
func (d *Dataset) Incomplete(ctx context.Context, beforeMS int64) ([]int64, error) {
	var open []int64
	complete := "" // the folder that is
	err := d.bucket.List(ctx, foldersFolder, func(key string, _ int64, _ time.Time) error {
		folder, name := path.Split(strings.TrimPrefix(key, foldersFolder))
		number, ok := parseFolder(folder, d.spanMS)
		switch {
		case !ok || d.spanMS != 0 && (number+1)*d.spanMS > beforeMS:
		case name == completeName: // listed first
			complete = key
		case name == rowsName && complete != foldersFolder+folder+completeName:
			open = append(open, number*d.spanMS)
		}
		return nil
	})
	return open, err
}
