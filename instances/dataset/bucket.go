package dataset

import (
	"context"
	"io"
	"time"
)

// Bucket is where a dataset lies. Any number of goroutines and processes use it
// at once; objectstore.Bucket is one. Nothing is ever written twice or deleted.
//
// It must be strongly consistent, as S3, GCS, Azure and directories are: what one
// call has written when it returns, every call that begins later sees, List
// included. An error of Create other than fs.ErrExist leaves open whether it
// happened, or happens later.
type Bucket interface {
	// Create stores what body gives as an object, whole or not at all. The error
	// wraps fs.ErrExist when there is one of this key, whoever wrote it.
	Create(ctx context.Context, key string, body io.Reader) error
	// Get reads lengthBytes bytes from byte off on, fewer where the object ends
	// before, all to its end when lengthBytes is negative. The error wraps
	// fs.ErrNotExist when there is no object. The caller closes the reader.
	Get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error)
	// List calls each for the objects whose keys begin with prefix, in order of
	// key, and stops at its first error, which it returns.
	List(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error
	// String names the place, without secrets, for messages.
	String() string
}
