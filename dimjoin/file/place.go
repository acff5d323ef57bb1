package file

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// stamp tells two states of a file apart.
type stamp struct {
	sizeBytes int64
	modified  time.Time
}

// content is an open file.
type content interface {
	io.Reader
	io.ReaderAt
	io.Closer
}

// place is where the file lies.
type place interface {
	stamp(ctx context.Context) (stamp, error)
	open(ctx context.Context) (content, error)
	close() error
}

// local is a file of this machine.
type local string

func (l local) stamp(context.Context) (stamp, error) {
	info, err := os.Stat(string(l))
	if err != nil {
		return stamp{}, err
	}
	if info.IsDir() {
		return stamp{}, fmt.Errorf("%s is a folder: name a file", string(l))
	}
	return stamp{info.Size(), info.ModTime()}, nil
}

func (l local) open(context.Context) (content, error) { return os.Open(string(l)) }
func (l local) close() error                          { return nil }

// Bucket is the part of an object store that is used: the object of a key, and what
// objects begin with a text.
type Bucket interface {
	Get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error)
	List(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error
	Close() error
}

// object is one in a bucket.
type object struct {
	bucket Bucket
	key    string
}

// find finds where a path leads.
func find(ctx context.Context, path string, o *Options) (place, error) {
	scheme, rest, isURL := strings.Cut(path, "://")
	if !isURL {
		return local(path), nil
	}
	if scheme == "file" {
		return local(rest), nil
	}
	if o.OpenBucket == nil {
		return nil, fmt.Errorf("%s is a URL, and this program reads none", scheme+"://…")
	}
	whole, query, hasQuery := strings.Cut(path, "?")
	at := strings.LastIndexByte(whole, '/')
	bucket, key := whole[:at], whole[at+1:]
	if key == "" || len(bucket) <= len(scheme+"://") {
		return nil, fmt.Errorf("the URL names no object: write %s://bucket/file", scheme)
	}
	if hasQuery {
		bucket += "?" + query
	}
	b, err := o.OpenBucket(ctx, bucket)
	if err != nil {
		return nil, err
	}
	return &object{b, key}, nil
}

func (o *object) stamp(ctx context.Context) (out stamp, err error) {
	found := false
	err = o.bucket.List(ctx, o.key, func(key string, sizeBytes int64, modified time.Time) error {
		if key == o.key {
			out, found = stamp{sizeBytes, modified}, true
		}
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("there is no object %s: %w", o.key, fs.ErrNotExist)
	}
	return out, err
}

// open fetches the object: the rows that are made of it take as much memory.
func (o *object) open(ctx context.Context) (content, error) {
	r, err := o.bucket.Get(ctx, o.key, 0, -1)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	if closing := r.Close(); err == nil {
		err = closing
	}
	return fetched{bytes.NewReader(data)}, err
}

type fetched struct{ *bytes.Reader }

func (fetched) Close() error { return nil }

func (o *object) close() error { return o.bucket.Close() }
