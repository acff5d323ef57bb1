package simulation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mortise-dev/mortise/instances/dataset"
	"github.com/mortise-dev/mortise/joiner/checkpoint"
)

// Bucket is an object store. What it has said is there stays there; it may be
// slow, and fail with what was asked done or not.
type Bucket struct {
	FailEvery int           // one call in so many; 0 none
	Slow      time.Duration // the most that a call in eight takes longer

	schedule *Schedule
	objects  map[string]object
}

type object struct {
	data     []byte
	modified time.Time
}

// NewBucket makes an empty one.
func (s *Schedule) NewBucket() *Bucket { return &Bucket{schedule: s, objects: map[string]object{}} }

// Objects is how many there are.
func (b *Bucket) Objects() int { return len(b.objects) }

// Each calls f for the objects in order of their keys.
func (b *Bucket) Each(f func(key string, data []byte)) {
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		f(key, b.objects[key].data)
	}
}

// For returns the bucket as a process sees it.
func (b *Bucket) For(p *Process) *Access { return &Access{b, p} }

// Access is a process's connection to a Bucket.
type Access struct {
	bucket  *Bucket
	process *Process
}

var (
	_ checkpoint.Bucket = (*Access)(nil)
	_ dataset.Bucket    = (*Access)(nil)
)

// String implements dataset.Bucket.
func (a *Access) String() string { return "sim://bucket" }

// Create implements dataset.Bucket. An answer that was lost may be asked for again
// by the client, who then finds what it has stored itself.
func (a *Access) Create(ctx context.Context, key string, body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	done, err := a.call(ctx, "create "+key)
	_, exists := a.bucket.objects[key]
	if done && !exists {
		a.bucket.objects[key] = object{data, time.Now()}
		exists = err == nil && a.bucket.FailEvery > 0 && a.bucket.schedule.Chance(4*a.bucket.FailEvery)
	}
	if err == nil && exists {
		return fmt.Errorf("object %s: %w", key, fs.ErrExist)
	}
	return err
}

var errBucket = errors.New("the object store answers 503")

// call waits until a call is answered, and says whether it is done, and whether
// that is told.
func (a *Access) call(ctx context.Context, what string) (done bool, err error) {
	b, s := a.bucket, a.bucket.schedule
	if err := a.process.Request(what); err != nil {
		return false, err
	}
	if b.Slow > 0 && s.Chance(8) {
		if err := a.process.Await(what+", slowly", s.Between(0, b.Slow), func() bool { return ctx.Err() != nil }); err != nil {
			return false, err
		}
	}
	switch {
	case ctx.Err() != nil:
		return s.Chance(2), ctx.Err()
	case s.Chance(b.FailEvery):
		s.Tracef("%s: %s fails", a.process.Name, what)
		return s.Chance(2), errBucket
	}
	return true, nil
}

// Put implements checkpoint.Bucket.
func (a *Access) Put(ctx context.Context, key string, body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	done, err := a.call(ctx, "put "+key)
	if done {
		a.bucket.objects[key] = object{data, time.Now()}
	}
	return err
}

// Get implements checkpoint.Bucket.
func (a *Access) Get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error) {
	if _, err := a.call(ctx, fmt.Sprintf("get %s at %d", key, off)); err != nil {
		return nil, err
	}
	o, ok := a.bucket.objects[key]
	if !ok {
		return nil, fmt.Errorf("object %s: %w", key, fs.ErrNotExist)
	}
	data := o.data[min(off, int64(len(o.data))):]
	if lengthBytes >= 0 {
		data = data[:min(lengthBytes, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// List implements checkpoint.Bucket.
func (a *Access) List(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error {
	if _, err := a.call(ctx, "list "+prefix); err != nil {
		return err
	}
	var keys []string
	for key := range a.bucket.objects {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		o := a.bucket.objects[key]
		if err := each(key, int64(len(o.data)), o.modified); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements checkpoint.Bucket.
func (a *Access) Delete(ctx context.Context, key string) error {
	done, err := a.call(ctx, "delete "+key)
	if done {
		delete(a.bucket.objects, key)
	}
	return err
}
