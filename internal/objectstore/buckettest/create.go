package buckettest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
)

// chunked are sizes below and above what a store takes in one piece.
var chunked = []int{0, 1, 100_000, 20 << 20}

func testCreate(k *kit) {
	for _, size := range chunked {
		key := fmt.Sprintf("dt=2026-01-31/hour=07/part-p00000-0-%d.parquet", size)
		if err := k.bucket.Create(k.ctx, key, &failing{size}); !errors.Is(err, errBody) {
			k.t.Fatalf("after %d bytes: %v", size, err)
		}
		k.missing(key)
		data := bytes.Repeat([]byte{7}, size)
		k.must(k.bucket.Create(k.ctx, key, struct{ io.Reader }{bytes.NewReader(data)}))
		for _, again := range [][]byte{data, []byte("other"), bytes.Repeat([]byte{8}, 20<<20)} {
			if err := k.bucket.Create(k.ctx, key, struct{ io.Reader }{bytes.NewReader(again)}); !errors.Is(err, fs.ErrExist) {
				k.t.Fatalf("%s is there and is created: %v", key, err)
			}
		}
		if got := k.get(key, 0, 1<<30); !bytes.Equal(got, data) {
			k.t.Fatalf("%s has %d bytes, want %d, or others", key, len(got), size)
		}
		k.list("dt=", key)
		k.must(k.bucket.Delete(k.ctx, key))
	}
	k.put("put", []byte("x"))
	if err := k.bucket.Create(k.ctx, "put", bytes.NewReader(nil)); !errors.Is(err, fs.ErrExist) {
		k.t.Errorf("what was put is created: %v", err)
	}
}

// testCreateAtOnce lets several create the same object: one succeeds, and its
// bytes are there.
func testCreateAtOnce(k *kit) {
	for _, size := range []int{10, 20 << 20} {
		key := fmt.Sprint("shared/", size)
		const writers = 4
		errs := make([]error, writers)
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				errs[i] = k.bucket.Create(k.ctx, key, struct{ io.Reader }{bytes.NewReader(bytes.Repeat([]byte{byte(i)}, size))})
			})
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			if err == nil && winner >= 0 {
				k.t.Fatalf("%d and %d have both created %s", winner, i, key)
			}
			if err == nil {
				winner = i
			} else if !errors.Is(err, fs.ErrExist) {
				k.t.Logf("%d: %v", i, err) // two at once may be told to come again
			}
		}
		if winner < 0 {
			k.t.Fatalf("nobody has created %s: %v", key, errors.Join(errs...))
		}
		if got := k.get(key, 0, 1<<30); len(got) != size || bytes.Count(got, []byte{byte(winner)}) != size {
			k.t.Errorf("%s is not what %d has created", key, winner)
		}
	}
}
