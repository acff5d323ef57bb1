package checkpoint_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/internal/objectstore"
	"github.com/mortise-dev/mortise/internal/objectstore/s3test"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/checkpoint"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// held is a task on disk in the steady state: an hour of impressions of 1 KB in
// buckets of 10 s, of which s2 leaves a third.
type held struct {
	b      *testing.B
	db     *disk.DB
	store  *disk.Store
	values [][]byte
	n      int64
	bytes  int64 // appended
}

const (
	heldPerSecond = 100
	heldHourMS    = 3_600_000
)

func newHeld(b *testing.B) *held {
	b.Helper()
	db, err := disk.OpenDB(b.TempDir(), disk.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	h := &held{b: b, db: db}
	if h.store, err = db.OpenStore(taskName, joiner.StoreOptions{}); err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		v := make([]byte, 0, 1000)
		for k := 0; len(v) < 980; k++ {
			v = fmt.Appendf(v, `,"feature_number_%d":0.%d`, k, r.IntN(10000))
		}
		h.values = append(h.values, v)
	}
	return h
}

// run takes in seconds of traffic, drops what is an hour old, and commits.
func (h *held) run(seconds int) {
	h.b.Helper()
	log := h.store.Log(joiner.Impressions)
	for range seconds * heldPerSecond {
		h.n++
		v := h.values[h.n%int64(len(h.values))]
		h.bytes += int64(len(v))
		if _, err := log.Append(&joiner.Entry{TimeMS: h.n * 1000 / heldPerSecond, Offset: h.n, Value: v}); err != nil {
			h.b.Fatal(err)
		}
	}
	if err := log.DropBefore(h.n*1000/heldPerSecond - heldHourMS); err != nil {
		h.b.Fatal(err)
	}
	if err := h.store.Commit([]byte("meta")); err != nil {
		h.b.Fatal(err)
	}
}

func (h *held) diskBytes() int64 { return h.store.Log(joiner.Impressions).Stats().Bytes }

func (h *held) capture() *disk.Capture {
	h.b.Helper()
	c, err := h.store.Capture()
	if err != nil {
		h.b.Fatal(err)
	}
	return c
}

func (h *held) save(ck *checkpoint.Checkpoints) checkpoint.Saved {
	h.b.Helper()
	saved, err := ck.Save(ctx, taskName, h.capture())
	if err != nil {
		h.b.Fatal(err)
	}
	return saved
}

func places(b *testing.B, run func(b *testing.B, place string)) {
	b.Run("directory", func(b *testing.B) { run(b, b.TempDir()) })
	b.Run("s3", func(b *testing.B) { run(b, s3test.Start(b).Bucket(b)) })
}

// BenchmarkSaveMinute copies a minute's change of an hour that is held.
func BenchmarkSaveMinute(b *testing.B) {
	places(b, func(b *testing.B, place string) {
		h := newHeld(b)
		bucket := openPlace(b, place)
		ck := checkpoint.New(bucket, checkpoint.Options{})
		for range 60 {
			h.run(60)
			h.save(ck)
		}
		var copied, written, objects int64
		var held time.Duration
		b.ResetTimer()
		for range b.N {
			b.StopTimer()
			before := h.store.Log(joiner.Impressions).Stats().Entries
			h.run(60)
			written += h.diskBytes() * 60 * heldPerSecond / before
			began := time.Now()
			c := h.capture()
			held = max(held, time.Since(began))
			b.StartTimer()
			saved, err := ck.Save(ctx, taskName, c)
			if err != nil {
				b.Fatal(err)
			}
			copied, objects = copied+saved.Bytes, objects+int64(saved.Objects)
		}
		b.ReportMetric(float64(copied)/float64(written), "copied/changed")
		b.ReportMetric(float64(copied)/1e6/float64(b.N), "MB/op")
		b.ReportMetric(float64(objects)/float64(b.N), "objects")
		b.ReportMetric(float64(held.Microseconds()), "longest-pause-µs")
	})
}

// BenchmarkSaveAll copies a state for the first time.
func BenchmarkSaveAll(b *testing.B) {
	places(b, func(b *testing.B, place string) {
		h := newHeld(b)
		h.run(heldSeconds())
		n := 0 // a task of its own each time: everything is new
		b.SetBytes(h.diskBytes())
		bucket := openPlace(b, place)
		for b.Loop() {
			n++
			saved, err := checkpoint.New(bucket, checkpoint.Options{}).Save(ctx, fmt.Sprint(taskName, n), h.capture())
			if err != nil || saved.Bytes != h.diskBytes() {
				b.Fatal(saved, err)
			}
		}
	})
}

func heldSeconds() int {
	if testing.Short() {
		return 60
	}
	return 3600
}

// BenchmarkRestore brings a state of an hour back.
func BenchmarkRestore(b *testing.B) {
	places(b, func(b *testing.B, place string) {
		h := newHeld(b)
		bucket := openPlace(b, place)
		ck := checkpoint.New(bucket, checkpoint.Options{})
		h.run(heldSeconds())
		h.save(ck)
		db, err := disk.OpenDB(b.TempDir(), disk.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		b.SetBytes(h.diskBytes())
		for b.Loop() {
			if got, err := ck.Restore(ctx, taskName, db, all); err != nil || got == nil {
				b.Fatal(got, err)
			}
		}
	})
}

func openPlace(t testing.TB, place string) *objectstore.Bucket {
	t.Helper()
	b, err := objectstore.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}
