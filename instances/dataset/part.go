package dataset

import (
	"context"

	"github.com/mortise-dev/mortise/instances"
)

// PartWriter collects the rows of one part. One goroutine uses it.
type PartWriter struct {
	dataset *Dataset
	origin  string
	from    int64
}

// PartInfo is a published part.
type PartInfo struct {
	Origin string
	Range
	Rows  int64
	Bytes int64
	Files []FileInfo // by key, one a folder; none when there were no rows
}

// FileInfo is one file of a part.
type FileInfo struct {
	Key    string // below the dataset's folder
	Rows   int64
	Bytes  int64
	SHA256 string // hex
	MinMS  int64  // the least event time, ms UTC
	MaxMS  int64  // the greatest
}

// Append adds one row, copied. Rows come in the origin's order. An error is of
// the local disk: the part cannot be published any more.
func (w *PartWriter) Append(in *instances.Instance) error { return errNotBuilt }

// Rows returns how many rows have been appended.
func (w *PartWriter) Rows() int64 { return 0 }

// Bytes returns how large the part's files would be about, if it were published
// now.
func (w *PartWriter) Bytes() int64 { return 0 }

// Publish publishes the rows as the part [from, to). When it returns nil they are
// all there, and the part is done for good. After a *TakenError nothing of them
// is. After any other error it is open what is: call Publish again with the same
// to, or let Next say. Its rows are kept until Publish succeeds or Abort.
func (w *PartWriter) Publish(ctx context.Context, to int64) (PartInfo, error) {
	return PartInfo{}, errNotBuilt
}

// Abort drops what has not been published. Calling it after Publish is allowed.
func (w *PartWriter) Abort() error { return nil }
