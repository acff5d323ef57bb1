package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
)

// Bucket holds objects by key, below what its URL names. Keys are relative paths
// with slashes, without empty, "." or ".." elements. An object is written whole
// or not at all, and what a call has written or deleted when it returns, every
// later call sees. Its methods may be called concurrently.
type Bucket struct {
	url string // without secrets
	driver
}

// driver is one kind of store. Its errors need not name the bucket.
type driver interface {
	// put stores an object; with create, the error wraps fs.ErrExist when there is one.
	put(ctx context.Context, key string, body io.Reader, create bool) error
	get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error)
	list(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error
	remove(ctx context.Context, key string) error
	close() error
	// advise says what may help against an error; empty when nothing is known.
	advise(err error) string
}

// String returns the bucket's URL, secrets replaced.
func (b *Bucket) String() string { return b.url }

// Put stores what body gives as an object, in place of one that there is. When
// body fails there is no object, or the one there was. Any other error leaves
// open which of the two there is.
func (b *Bucket) Put(ctx context.Context, key string, body io.Reader) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := b.put(ctx, key, body, false); err != nil {
		return b.fault("writing", key, err)
	}
	return nil
}

// Create stores what body gives as an object, if there is none of this key:
// otherwise the error wraps fs.ErrExist, and the one there is stays. Of several
// calls at once one succeeds. When body fails nothing happens. Any other error
// leaves open whether the object is there, or will be. A retry inside may find
// what an earlier try has stored, and give fs.ErrExist for it.
func (b *Bucket) Create(ctx context.Context, key string, body io.Reader) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := b.put(ctx, key, body, true); err != nil {
		return b.fault("creating", key, err)
	}
	return nil
}

// Get reads lengthBytes bytes of an object from byte off on, fewer where it ends
// before, all to its end when lengthBytes is negative. The error wraps
// fs.ErrNotExist when there is no object. The caller closes the reader.
func (b *Bucket) Get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	r, err := b.get(ctx, key, off, lengthBytes)
	if err != nil {
		return nil, b.fault("reading", key, err)
	}
	return r, nil
}

// List calls each for the objects whose keys begin with prefix, in order of key,
// and stops at its first error, which it returns. Objects that come or go
// meanwhile may be there or not; those that stay are.
func (b *Bucket) List(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error {
	var own error
	err := b.list(ctx, prefix, func(key string, sizeBytes int64, modified time.Time) error {
		own = each(key, sizeBytes, modified)
		return own
	})
	if err == nil || own != nil {
		return own
	}
	return b.fault("listing", prefix, err)
}

// Delete removes an object. That there is none is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := b.remove(ctx, key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return b.fault("deleting", key, err)
	}
	return nil
}

// Reach makes a first call, so that a wrong URL or missing credentials are found
// before anything depends on them.
func (b *Bucket) Reach(ctx context.Context) error {
	done := errors.New("one is enough")
	err := b.List(ctx, "", func(string, int64, time.Time) error { return done })
	if errors.Is(err, done) {
		return nil
	}
	return err
}

// Close releases the bucket's connections.
func (b *Bucket) Close() error { return b.close() }

// fault names the bucket, the object and what may help.
func (b *Bucket) fault(doing, key string, err error) error {
	at := strings.TrimSuffix(b.url, "/")
	if key != "" {
		at = fmt.Sprintf("%s in %s", key, at)
	}
	if errors.Is(err, fs.ErrNotExist) && doing == "reading" {
		return fmt.Errorf("reading %s: %w", at, fs.ErrNotExist)
	}
	if errors.Is(err, fs.ErrExist) && doing == "creating" {
		return fmt.Errorf("creating %s: %w", at, fs.ErrExist)
	}
	if advice := b.advise(err); advice != "" {
		return fmt.Errorf("%s %s: %w: %s", doing, at, err, advice)
	}
	return fmt.Errorf("%s %s: %w", doing, at, err)
}

// checkKey refuses keys that could lead outside, or mean two things.
func checkKey(key string) error {
	if !fs.ValidPath(key) || key == "." || strings.ContainsAny(key, "\\\x00") || strings.HasPrefix(key, tempFolder+"/") {
		return fmt.Errorf("%q is no key of an object: it must be a relative path without empty, . or .. elements", key)
	}
	return nil
}
