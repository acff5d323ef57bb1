package checkpoint_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/internal/objectstore/buckettest"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/checkpoint"
	"github.com/mortise-dev/mortise/joiner/disk"
)

const taskName = "mortise.feed-ctr/3"

var ctx = context.Background()

// worker is a process with one task, whose state lies in memory.
type worker struct {
	t      testing.TB
	r      *rand.Rand
	db     *disk.DB
	store  *disk.Store
	ck     *checkpoint.Checkpoints
	nowMS  int64
	keepMS int64 // how long entries are held
	leapMS int64 // before a step
	log    *strings.Builder
	world  *world
	opts   checkpoint.Options
	to     checkpoint.Bucket
}

// world is what all workers agree on: what the state with a given meta holds.
type world struct {
	digests map[string]uint64
	steps   int
}

func newWorld() *world { return &world{digests: map[string]uint64{}} }

// small makes objects and parts of few bytes, so that every bound is met.
var small = checkpoint.Options{ObjectBytes: 4000, PartBytes: 1500, MaxParts: 3, MaxObjects: 6, Parallel: 3}

func (w *world) worker(t testing.TB, seed uint64, bucket checkpoint.Bucket, opts checkpoint.Options) *worker {
	t.Helper()
	db, err := disk.OpenDB("/state", disk.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	wk := &worker{t: t, r: rand.New(rand.NewPCG(seed, 5)), db: db, keepMS: 6000, log: &strings.Builder{}, world: w, to: bucket}
	opts.Random = random{wk.r}
	opts.Log = logTo(wk.log)
	opts.NowMS = func() int64 { return 1_700_000_000_000 }
	wk.opts = opts
	wk.ck = checkpoint.New(bucket, opts)
	return wk
}

// relog makes the worker know nothing of its checkpoints, as after a restart, and
// log to h.
func (w *worker) relog(h slog.Handler) {
	w.opts.Random, w.opts.Log = random{w.r}, slog.New(h)
	w.ck = checkpoint.New(w.to, w.opts)
}

// random is a deterministic io.Reader.
type random struct{ r *rand.Rand }

func (r random) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.r.Uint32())
	}
	return len(b), nil
}

var storeOptions = joiner.StoreOptions{BucketMS: 1000, CoarseMS: 4000, BlockBytes: 300, BufferBytes: 4 << 10}

func (w *worker) open() {
	w.t.Helper()
	var err error
	if w.store, err = w.db.OpenStore(taskName, storeOptions); err != nil {
		w.t.Fatal(err)
	}
	if meta := w.store.Meta(); meta != nil {
		if w.nowMS, err = strconv.ParseInt(strings.Split(string(meta), " ")[0], 10, 64); err != nil {
			w.t.Fatal(err)
		}
	}
}

// step goes on a little: appends, drops what is old, commits.
func (w *worker) step() {
	w.t.Helper()
	w.nowMS += w.leapMS
	for kind := range joiner.NumLogs {
		log := w.store.Log(kind)
		for range w.r.IntN(12) {
			e := joiner.Entry{TimeMS: w.nowMS + w.r.Int64N(1500), Offset: w.r.Int64N(1 << 40), Value: make([]byte, w.r.IntN(150))}
			for i := range e.Value {
				e.Value[i] = byte(w.r.Uint32())
			}
			if _, err := log.Append(&e); err != nil {
				w.t.Fatal(err)
			}
		}
		if err := log.DropBefore(w.nowMS - w.keepMS); err != nil {
			w.t.Fatal(err)
		}
	}
	w.nowMS += w.r.Int64N(1000)
	w.world.steps++
	meta := fmt.Sprintf("%d %d", w.nowMS, w.world.steps)
	if err := w.store.Commit([]byte(meta)); err != nil {
		w.t.Fatal(err)
	}
	w.world.digests[meta] = w.digest()
}

// digest is a hash of all that the open store holds.
func (w *worker) digest() uint64 {
	w.t.Helper()
	h := fnv.New64a()
	for kind := range joiner.NumLogs {
		err := w.store.Log(kind).Each(math.MinInt64, func(ref joiner.Ref, e *joiner.Entry) error {
			fmt.Fprint(h, kind, ref, e.TimeMS, e.Offset)
			_, err := h.Write(e.Value)
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return h.Sum64()
}

func (w *worker) capture() *disk.Capture {
	w.t.Helper()
	c, err := w.store.Capture()
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *worker) save() checkpoint.Saved {
	w.t.Helper()
	saved, err := w.ck.Save(ctx, taskName, w.capture())
	if err != nil {
		w.t.Fatal(err)
	}
	return saved
}

func all([]byte) bool { return true }

// restore restores the newest checkpoint and checks that it is what it says.
func (w *worker) restore(accept func(meta []byte) bool) *checkpoint.Restored {
	w.t.Helper()
	got, err := w.ck.Restore(ctx, taskName, w.db, accept)
	if err != nil {
		w.t.Fatal(err)
	}
	if got != nil {
		w.check(got)
	}
	return got
}

func (w *worker) check(got *checkpoint.Restored) {
	w.t.Helper()
	w.open()
	if string(w.store.Meta()) != string(got.Meta) {
		w.t.Fatalf("restored %q, the store says %q", got.Meta, w.store.Meta())
	}
	if want, ok := w.world.digests[string(got.Meta)]; !ok || w.digest() != want {
		w.t.Fatalf("what %s restores is not the state at %q", got.Name, got.Meta)
	}
}

func (w *worker) close() {
	w.t.Helper()
	if err := w.store.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// TestRoundTrip lets workers take turns: each restores what the one before saved
// last, and goes on.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			w, bucket := newWorld(), buckettest.NewMemory()
			r := rand.New(rand.NewPCG(seed, 1))
			var last string
			for turn := range 6 {
				a := w.worker(t, seed*10+uint64(turn), bucket, small)
				if got := a.restore(all); got == nil {
					if turn > 0 {
						t.Fatal("nothing to restore")
					}
					a.open()
				} else if string(got.Meta) != last {
					t.Fatalf("restored %q, saved last %q\n%s", got.Meta, last, a.log)
				}
				for range 1 + r.IntN(8) {
					for range r.IntN(4) {
						a.step()
					}
					a.step()
					last = fmt.Sprint(a.nowMS, " ", w.steps)
					a.save()
				}
				a.close()
				if a.log.Len() > 0 {
					t.Fatal(a.log)
				}
			}
			if n := len(bucket.Keys(folder + "/checkpoints/")); n != 3 {
				t.Errorf("%d checkpoints are kept", n)
			}
		})
	}
}

const folder = "mortise.feed-ctr~2f3"
