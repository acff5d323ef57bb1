package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/pebble"
	"github.com/mortise-dev/mortise/internal/pebblefs/pebblefstest"
)

// within fails the test when fn hangs.
func within(t *testing.T, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s hangs", what)
	}
}

// commitMuch commits until something fails, or so often that Pebble has flushed and
// compacted several times. It returns the last commit that went well.
func commitMuch(db *pebble.DB) (last int, err error) {
	w, last, err := history.Writer(db)
	for n := last + 1; err == nil && n <= last+3000; n++ {
		if err := history.Commit(w, n); err != nil {
			return n - 1, err
		}
	}
	return last, err
}

// TestFailsInTheBackground lets what Pebble does on its own goroutines fail, from
// some moment on or once: the next commit says why, instead of the end of the
// process or a wait for ever, and what was committed is there when the directory is
// opened again.
func TestFailsInTheBackground(t *testing.T) {
	isTable := func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".sst") }
	isManifest := func(op errorfs.Op) bool { return strings.Contains(op.Path, "/MANIFEST-") }
	isLog := func(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".log") }
	for _, c := range []struct {
		name  string
		match func(errorfs.Op) bool
		skip  int64 // that many of them are well
	}{
		{"a table is made", func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && isTable(op) }, 0},
		{"a compaction's table is made", func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && isTable(op) }, 4},
		{"a table is written", func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && isTable(op) }, 2},
		{"a table is synced", func(op errorfs.Op) bool {
			return op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind >= errorfs.OpFileSync && isTable(op)
		}, 1},
		{"the manifest is written", func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && isManifest(op) }, 1},
		{"a log is made", func(op errorfs.Op) bool {
			return (op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite) && isLog(op)
		}, 1},
		{"a log is written", func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && isLog(op) }, 20},
	} {
		for _, once := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, once %t", c.name, once), func(t *testing.T) {
				mem := vfs.NewCrashableMem()
				var armed atomic.Bool
				var met atomic.Int64
				fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
					if !armed.Load() || !c.match(op) {
						return nil
					}
					if n := met.Add(1) - c.skip; n < 1 || once && n > 1 {
						return nil
					}
					return syscall.ENOSPC
				}))
				db, err := pebble.Open("/features", pebble.Options{FS: fs, MemTableBytes: 16 << 10})
				if err != nil {
					t.Fatal(err)
				}
				armed.Store(true)
				var last int
				within(t, "committing", func() { last, err = commitMuch(db) })
				if err == nil || errors.Is(err, features.ErrCorrupt) || !strings.Contains(err.Error(), "no space left") {
					t.Errorf("after commit %d: %v", last, err)
				}
				within(t, "using what has stopped", func() {
					err := db.Read(context.Background(), []features.Key{{Entity: []byte("i0")}}, func(int, []byte) error { return nil })
					_, another := db.Numbers(context.Background(), "s", []string{"new"})
					if err == nil || another == nil {
						t.Errorf("a store that has stopped is read: %v, written: %v", err, another)
					}
				})
				left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(3, 4))})
				within(t, "closing", func() { _ = db.Close() })
				armed.Store(false)
				for _, fs := range []vfs.FS{fs, left} { // there is room again, in this process and after its end
					if at, err := checkHistory("/features", pebble.Options{FS: fs}); err != nil || at < last || at > last+1 {
						t.Errorf("at commit %d after %d, %v", at, last, err)
					}
				}
			})
		}
	}
}

// TestDamageFoundInTheBackground flips bytes of the tables that a compaction reads:
// a commit says so, and whoever opens the directory is told that it does not verify.
func TestDamageFoundInTheBackground(t *testing.T) {
	mem := vfs.NewMem()
	opts := pebble.Options{FS: mem, MemTableBytes: 16 << 10}
	db, err := pebble.Open("/features", opts)
	if err != nil {
		t.Fatal(err)
	}
	damaged := map[string]bool{}
	within(t, "committing", func() {
		for range 20 {
			if _, err = commitMuch(db); err != nil {
				return
			}
			pebblefstest.DamageTables(t, mem, "/features", damaged) // those of before may not be read any more
		}
	})
	if len(damaged) == 0 || !errors.Is(err, features.ErrCorrupt) {
		t.Fatalf("damaged %d tables: %v", len(damaged), err)
	}
	within(t, "closing", func() { _ = db.Close() })
	for range 2 {
		if _, err := pebble.Open("/features", opts); !errors.Is(err, features.ErrCorrupt) || !strings.Contains(err.Error(), "in use") {
			t.Fatalf("opened again: %v", err)
		}
	}
}
