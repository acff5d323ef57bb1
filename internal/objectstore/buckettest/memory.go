// Package buckettest is what tests of checkpoints and datasets stand on: the
// conformance suite of objectstore.Bucket, a bucket in memory, and wrappers that
// let it fail and hand its calls to a scheduler. It belongs to no stage.
package buckettest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bucket are the methods of objectstore.Bucket that stages use; that has their
// promises.
type Bucket interface {
	Put(ctx context.Context, key string, body io.Reader) error
	Create(ctx context.Context, key string, body io.Reader) error
	Get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error)
	List(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error
	Delete(ctx context.Context, key string) error
	String() string
}

// Memory is a Bucket in memory. Its clock stands still but for Advance.
type Memory struct {
	mu      sync.Mutex
	objects map[string]object
	now     time.Time
}

type object struct {
	data     []byte
	modified time.Time
}

// NewMemory returns an empty bucket.
func NewMemory() *Memory {
	return &Memory{objects: map[string]object{}, now: time.UnixMilli(1_700_000_000_000)}
}

// Advance moves the bucket's clock.
func (m *Memory) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

// Keys returns the keys of all objects that begin with prefix, in order.
func (m *Memory) Keys(prefix string) (keys []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.objects {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Data returns an object's bytes, to be read only; nil when there is none.
func (m *Memory) Data(key string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.objects[key].data
}

// Set stores an object as it is, whatever was there; nil removes it.
func (m *Memory) Set(key string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if data == nil {
		delete(m.objects, key)
		return
	}
	m.objects[key] = object{data, m.now}
}

// Put implements Bucket.
func (m *Memory) Put(ctx context.Context, key string, body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.Set(key, append([]byte{}, data...))
	return nil
}

// Create implements Bucket.
func (m *Memory) Create(ctx context.Context, key string, body io.Reader) error {
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[key]; ok {
		return fmt.Errorf("object %s: %w", key, fs.ErrExist)
	}
	m.objects[key] = object{append([]byte{}, data...), m.now}
	return nil
}

// String implements Bucket.
func (m *Memory) String() string { return "memory" }

// Get implements Bucket.
func (m *Memory) Get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return nil, fmt.Errorf("object %s: %w", key, fs.ErrNotExist)
	}
	data := o.data[min(off, int64(len(o.data))):]
	if lengthBytes >= 0 {
		data = data[:min(lengthBytes, int64(len(data)))]
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// List implements Bucket.
func (m *Memory) List(ctx context.Context, prefix string, each func(key string, sizeBytes int64, modified time.Time) error) error {
	for _, key := range m.Keys(prefix) {
		m.mu.Lock()
		o, ok := m.objects[key]
		m.mu.Unlock()
		if !ok {
			continue
		}
		if err := each(key, int64(len(o.data)), o.modified); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Delete implements Bucket.
func (m *Memory) Delete(ctx context.Context, key string) error {
	m.Set(key, nil)
	return ctx.Err()
}
