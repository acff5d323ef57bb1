package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"time"
)

// Run is the conformance suite of Bucket. Each call of open makes an empty bucket.
func Run(t *testing.T, open func(t *testing.T) Bucket) {
	for _, test := range []struct {
		name string
		run  func(k *kit)
	}{
		{"empty", testEmpty},
		{"round trip", testRoundTrip},
		{"ranges", testRanges},
		{"list", testList},
		{"stop a list", testStop},
		{"overwrite", testOverwrite},
		{"create", testCreate},
		{"create at once", testCreateAtOnce},
		{"delete", testDelete},
		{"failing body", testFailingBody},
		{"cancelled", testCancelled},
		{"concurrent", testConcurrent},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(&kit{t, open(t), t.Context()}) })
	}
}

type kit struct {
	t      *testing.T
	bucket Bucket
	ctx    context.Context //nolint:containedctx // of one test
}

func (k *kit) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) put(key string, data []byte) {
	k.t.Helper()
	k.must(k.bucket.Put(k.ctx, key, struct{ io.Reader }{bytes.NewReader(data)}))
}

func (k *kit) get(key string, off, lengthBytes int64) []byte {
	k.t.Helper()
	r, err := k.bucket.Get(k.ctx, key, off, lengthBytes)
	k.must(err)
	data, err := io.ReadAll(r)
	k.must(errors.Join(err, r.Close()))
	return data
}

func (k *kit) missing(key string) {
	k.t.Helper()
	r, err := k.bucket.Get(k.ctx, key, 0, 10)
	if err == nil {
		_, err = io.ReadAll(r)
		_ = r.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		k.t.Fatalf("Get of %s, which is not there: %v", key, err)
	}
}

func (k *kit) list(prefix string, want ...string) {
	k.t.Helper()
	var got []string
	k.must(k.bucket.List(k.ctx, prefix, func(key string, _ int64, _ time.Time) error {
		got = append(got, key)
		return nil
	}))
	if !slices.Equal(got, want) {
		k.t.Fatalf("List of %q: %q, want %q", prefix, got, want)
	}
}

func testEmpty(k *kit) {
	k.list("")
	k.list("a/")
	k.missing("a/b")
	k.must(k.bucket.Delete(k.ctx, "a/b"))
	k.put("a/b", nil)
	k.list("", "a/b")
	if data := k.get("a/b", 0, 10); len(data) > 0 {
		k.t.Fatalf("an empty object has %q", data)
	}
}

func testRoundTrip(k *kit) {
	before := time.Time{}
	for i, size := range []int{1, 4095, 1 << 20, 11<<20 + 3} {
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(j * (i + 3) >> 5)
		}
		key := fmt.Sprintf("task~2f0/parts/w.%d", i)
		k.put(key, data)
		if got := k.get(key, 0, 1<<30); !bytes.Equal(got, data) {
			k.t.Fatalf("%d bytes came back as %d, or others", size, len(got))
		}
		k.must(k.bucket.List(k.ctx, key, func(listed string, sizeBytes int64, modified time.Time) error {
			if listed != key || sizeBytes != int64(size) || modified.Before(before) || modified.IsZero() {
				k.t.Fatalf("listed %s with %d bytes of %s after %s, want %d bytes", listed, sizeBytes, modified, before, size)
			}
			before = modified
			return nil
		}))
	}
}

func testRanges(k *kit) {
	k.put("a", []byte("0123456789"))
	for _, c := range []struct {
		off, length int64
		want        string
	}{{0, 1, "0"}, {3, 4, "3456"}, {9, 1, "9"}, {8, 5, "89"}, {0, 1 << 30, "0123456789"}} {
		if got := string(k.get("a", c.off, c.length)); got != c.want {
			k.t.Errorf("%d bytes from %d on: %q, want %q", c.length, c.off, got, c.want)
		}
	}
}

func testList(k *kit) {
	for _, key := range []string{"a/b/2", "a/b/1", "a.b/1", "a/c", "ab", "b/x~2f/y-z_0"} {
		k.put(key, []byte(key))
	}
	k.list("", "a.b/1", "a/b/1", "a/b/2", "a/c", "ab", "b/x~2f/y-z_0")
	k.list("a", "a.b/1", "a/b/1", "a/b/2", "a/c", "ab")
	k.list("a/", "a/b/1", "a/b/2", "a/c")
	k.list("a/b/1", "a/b/1")
	k.list("c")
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprintf("many/%03d", i))
		k.put(many[i], nil)
	}
	k.list("many/", many...)
}

func testStop(k *kit) {
	for i := range 3 {
		k.put(fmt.Sprint(i), nil)
	}
	stop, seen := errors.New("stop"), 0
	err := k.bucket.List(k.ctx, "", func(string, int64, time.Time) error {
		seen++
		return stop
	})
	if !errors.Is(err, stop) || seen != 1 {
		k.t.Errorf("after %d keys: %v", seen, err)
	}
}

func testOverwrite(k *kit) {
	k.put("a", []byte("first, and longer"))
	k.put("a", []byte("second"))
	if got := string(k.get("a", 0, 100)); got != "second" {
		k.t.Errorf("%q", got)
	}
	k.list("", "a")
}

func testDelete(k *kit) {
	k.put("a/b", []byte("x"))
	k.put("a/c", []byte("x"))
	k.must(k.bucket.Delete(k.ctx, "a/b"))
	k.missing("a/b")
	k.missing("a")
	k.list("", "a/c")
	k.must(k.bucket.Delete(k.ctx, "a/b"))
	k.must(k.bucket.Delete(k.ctx, "a/c"))
	k.list("")
	k.put("a/b", []byte("again"))
	k.list("", "a/b")
}

// failing gives n bytes and then an error.
type failing struct{ n int }

var errBody = errors.New("the body fails")

func (f *failing) Read(b []byte) (int, error) {
	if f.n == 0 {
		return 0, errBody
	}
	n := min(len(b), f.n)
	f.n -= n
	return n, nil
}

func testFailingBody(k *kit) {
	k.put("old", []byte("old"))
	for _, size := range []int{0, 1, 100_000, 20 << 20} {
		for _, key := range []string{"new", "old"} {
			if err := k.bucket.Put(k.ctx, key, &failing{size}); !errors.Is(err, errBody) {
				k.t.Fatalf("after %d bytes: %v", size, err)
			}
		}
		k.missing("new")
		k.list("", "old")
		if got := string(k.get("old", 0, 100)); got != "old" {
			k.t.Fatalf("after %d bytes the object is %q", size, got)
		}
	}
}

func testCancelled(k *kit) {
	k.put("a", []byte("x"))
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	_, getting := k.bucket.Get(ctx, "a", 0, 1)
	_, missing := k.bucket.Get(ctx, "z", 0, 1)
	for what, err := range map[string]error{
		"Put": k.bucket.Put(ctx, "b", bytes.NewReader(make([]byte, 100))), "Get": getting, "Get of nothing": missing,
		"Create": k.bucket.Create(ctx, "c", bytes.NewReader(make([]byte, 100))), "Delete": k.bucket.Delete(ctx, "a"),
		"List": k.bucket.List(ctx, "", func(string, int64, time.Time) error { return nil }),
	} {
		if !errors.Is(err, context.Canceled) {
			k.t.Errorf("%s: %v", what, err)
		}
	}
}

func testConcurrent(k *kit) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 5 {
				data := bytes.Repeat([]byte{byte(i)}, 10_000*(j+1))
				if err := k.bucket.Put(k.ctx, "shared", bytes.NewReader(data)); err != nil {
					k.t.Error(err)
				}
				r, err := k.bucket.Get(k.ctx, "shared", 0, 1<<20)
				if err != nil {
					k.t.Error(err)
					return
				}
				got, err := io.ReadAll(r)
				if err = errors.Join(err, r.Close()); err != nil || len(got)%10_000 > 0 || bytes.Count(got, got[:1]) != len(got) {
					k.t.Errorf("a mixture of %d bytes was read, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
	k.list("", "shared")
}
