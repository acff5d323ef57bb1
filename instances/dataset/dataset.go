package dataset

import (
	"context"
	"errors"
	"fmt"
)

// Dataset is a folder that instances are published to. Its methods may be called
// concurrently.
type Dataset struct {
	bucket Bucket
	opts   Options
}

// Range are the offsets [From, To) of an origin.
type Range struct{ From, To int64 }

// Position is how far an origin is published.
type Position struct {
	// Next is the offset that the next part begins with. It is 0 when there is no
	// part yet; a stream's first part may begin later.
	Next int64
	// Parts is how many parts there are.
	Parts int
	// Redo, where set, is a part that has been begun and must be published before
	// any other: exactly its rows, in their order. Its From is Next.
	Redo *Range
	// Finished says that a batch's split has all its rows.
	Finished bool
}

var errNotBuilt = errors.New("dataset: not built yet")

// Open opens a dataset, and makes it where the folder is empty. It refuses a
// folder that holds other things than this experiment's rows in this layout, a
// mix of stream and batch, a batch of another plan, and columns whose types have
// changed: the *MismatchError says what to do. Columns that are new, or no longer
// there, are no mismatch: readers see null in the files that lack them.
func Open(ctx context.Context, b Bucket, o Options) (*Dataset, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Dataset{bucket: b, opts: o}, ctx.Err()
}

// Close releases what is held for reuse. Parts that are not published are gone.
func (d *Dataset) Close() error { return nil }

// Next says how far an origin is published, by what lies in the folder. An error
// leaves it unknown.
func (d *Dataset) Next(ctx context.Context, origin string) (Position, error) {
	return Position{}, errNotBuilt
}

// NewPart begins a part of an origin at an offset: Position.Next, or later where
// there is no part yet. Nothing of it is seen before Publish.
func (d *Dataset) NewPart(origin string, from int64) *PartWriter {
	return &PartWriter{dataset: d, origin: origin, from: from}
}

// Finish says that a batch's split has all its rows: those below to. A second
// call with another number is refused.
func (d *Dataset) Finish(ctx context.Context, origin string, to int64) error { return errNotBuilt }

// Finished returns how many of a batch's splits are finished.
func (d *Dataset) Finished(ctx context.Context) (int, error) { return 0, errNotBuilt }

// Complete writes _SUCCESS into the folders that hold these event times, ms UTC.
// It is the caller who knows that an hour's rows are all published. A batch must
// have all its splits finished. Rows that come later all the same go into
// further parts beside it.
func (d *Dataset) Complete(ctx context.Context, timesMS ...int64) error { return errNotBuilt }

// TakenError says that another writer has fixed the part that begins at From as
// Range: ask Next, and go on from there.
type TakenError struct {
	Origin string
	Range
}

// Error says which part, and what to do.
func (e *TakenError) Error() string {
	return fmt.Sprintf("part %s-%d-%d is another writer's, who began at the same offset: ask where to go on", e.Origin, e.From, e.To)
}
