package disk_test

import (
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

	"github.com/mortise-dev/mortise/internal/pebblefs/pebblefstest"
	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// busyCommits is how many commits of busyMeta bytes make Pebble flush and compact
// in the background, several times.
const (
	busyCommits = 150
	busyMeta    = 100 << 10
)

// commitMuch commits until something fails. Each commit's meta names it.
func commitMuch(s joiner.Store) (commits int, err error) {
	rng := rand.New(rand.NewPCG(1, 2))
	filler := make([]byte, busyMeta)
	for i := range filler {
		filler[i] = byte(rng.Uint32()) // that does not compress
	}
	for ; commits < busyCommits && err == nil; commits++ {
		rng.Shuffle(64, func(i, j int) { filler[i], filler[j] = filler[j], filler[i] })
		err = s.Commit(append(fmt.Appendf(nil, "%d ", commits), filler...))
	}
	return commits - 1, err
}

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

// TestFailsInTheBackground lets what Pebble does on its own goroutines fail, from
// some moment on or once: it is an error of the next commit, with its reason, not the end of
// the process, and what was committed is there when the directory is opened again.
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
		{"a compaction's table is made", func(op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && isTable(op) }, 5},
		{"a table is written", func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && isTable(op) }, 20},
		{"a table is synced", func(op errorfs.Op) bool {
			return op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind >= errorfs.OpFileSync && isTable(op)
		}, 3},
		{"the manifest is written", func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && isManifest(op) }, 2},
		{"the manifest is synced", func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileSync && isManifest(op) }, 3},
		{"the directory is synced", func(op errorfs.Op) bool {
			return op.Kind == errorfs.OpFileSync && strings.HasSuffix(op.Path, "/manifest")
		}, 2},
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
				db, err := disk.OpenDB("/state", disk.Options{FS: fs})
				if err != nil {
					t.Fatal(err)
				}
				s, err := db.OpenStore(task, historyOptions)
				if err != nil {
					t.Fatal(err)
				}
				armed.Store(true)
				var commits int
				within(t, "committing", func() { commits, err = commitMuch(s) })
				if err == nil || errors.Is(err, joiner.ErrCorrupt) || !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), "make room") {
					t.Errorf("after %d commits: %v", commits, err)
				}
				within(t, "using what has stopped", func() {
					if _, err := db.Tasks(); err == nil {
						t.Error("tasks are listed by a manifest that has stopped")
					}
					if err := db.Reset("another"); err == nil {
						t.Error("state is discarded by a manifest that has stopped")
					}
				})
				left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(3, 4))})
				within(t, "closing", func() { _ = db.Close() })
				armed.Store(false)
				commitsThere(t, fs, commits) // there is room again, in this process
				commitsThere(t, left, commits)
			})
		}
	}
}

// commitsThere opens what is left: all commits that went well, and maybe the one that failed.
func commitsThere(t *testing.T, left vfs.FS, commits int) {
	t.Helper()
	db, err := disk.OpenDB("/state", disk.Options{FS: left})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := db.OpenStore(task, historyOptions)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Meta()) == 0 && commits < 0 {
		return
	}
	var there int
	if _, err := fmt.Sscanf(string(s.Meta()[:10]), "%d ", &there); err != nil || there < commits-1 || there > commits {
		t.Errorf("commit %d is there, %v; %d went well", there, err, commits)
	}
}

// TestDamageFoundInTheBackground flips a byte of a table that a compaction reads:
// the next commit says so, and whoever opens the directory is told that it does
// not verify, until it is wiped.
func TestDamageFoundInTheBackground(t *testing.T) {
	mem := vfs.NewMem()
	db, err := disk.OpenDB("/state", disk.Options{FS: mem})
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.OpenStore(task, historyOptions)
	if err != nil {
		t.Fatal(err)
	}
	damaged := map[string]bool{}
	within(t, "committing", func() {
		for range 20 {
			if _, err = commitMuch(s); err != nil {
				return
			}
			pebblefstest.DamageTables(t, mem, "/state/manifest", damaged) // those of before may not be read any more
		}
	})
	if len(damaged) == 0 || !errors.Is(err, joiner.ErrCorrupt) {
		t.Fatalf("damaged %d tables: %v", len(damaged), err)
	}
	within(t, "closing", func() { _ = db.Close() })
	for range 2 {
		if _, err := disk.OpenDB("/state", disk.Options{FS: mem}); !errors.Is(err, joiner.ErrCorrupt) || !strings.Contains(err.Error(), "while it was in use") {
			t.Fatalf("opened again: %v", err)
		}
	}
	if err := disk.Wipe("/state", disk.Options{FS: mem}); err != nil {
		t.Fatal(err)
	}
	if db, err = disk.OpenDB("/state", disk.Options{FS: mem}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
