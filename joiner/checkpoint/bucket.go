package checkpoint

import (
	"context"
	"io"
	"time"
)

// Bucket is where checkpoints are kept. Keys are made of a-z, 0-9, '.', '_',
// '~', '-' and '/'. Any number of goroutines and processes use it at once.
//
// It must be strongly consistent, as S3, GCS, Azure and directories are: what one
// call has written or deleted when it returns, every call that begins later sees,
// List included. An error of Put or Delete leaves open whether it happened, or
// happens later.
type Bucket interface {
	// Put stores what body gives as an object, whole or not at all. When body
	// fails there is no object.
	Put(ctx context.Context, key string, body io.Reader) error
	// Get reads lengthBytes bytes from byte off on; fewer where the object ends
	// before. The error wraps fs.ErrNotExist when there is no object. The caller
	// closes the reader.
	Get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error)
	// List calls each for the objects whose keys begin with prefix, in order of
	// key, and stops at its first error. Objects that come or go meanwhile may be
	// there or not; those that stay are. The time is when the object was written,
	// by one clock for the whole bucket.
	List(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error
	// Delete removes an object. That there is none is no error.
	Delete(ctx context.Context, key string) error
}
