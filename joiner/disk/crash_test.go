package disk_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// crash is the file system as a crash just before one of its changes leaves it.
type crash struct {
	before      string
	fs          *vfs.MemFS
	least, most int // commits that had returned before and after it was taken
}

// crashes runs the history and returns a crash before every change that it made
// to the file system, Pebble's own included. Of what was not synced, the given
// percentage of blocks and names survives.
func crashes(t *testing.T, h *history, synced bool, percent int) (all []crash) {
	t.Helper()
	mem := vfs.NewCrashableMem()
	var mu sync.Mutex
	var done atomic.Int64
	r := rand.New(rand.NewPCG(uint64(percent), 7))
	take := func(before string) {
		mu.Lock()
		defer mu.Unlock()
		least := int(done.Load())
		fs := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r})
		all = append(all, crash{before, fs, least, int(done.Load())})
	}
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			take(fmt.Sprintf("operation %d on %s", op.Kind, op.Path))
		}
		return nil
	}))
	db, err := disk.OpenDB("/state", disk.Options{FS: fs, Sync: synced})
	if err != nil {
		t.Fatal(err)
	}
	s, err := db.OpenStore(task, historyOptions)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.run(s, func(commit int) { done.Store(int64(commit)) }); err != nil {
		t.Fatal(err)
	}
	take("nothing")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	take("nothing, after closing")
	return all
}

// TestKillAnywhere ends the process before every change of the file system. What
// is left is the last commit, or the one that was under way.
func TestKillAnywhere(t *testing.T) {
	var h history
	all := crashes(t, &h, false, 100)
	if len(all) < 50 {
		t.Fatalf("only %d changes of the file system", len(all))
	}
	for _, c := range all {
		commit, err := h.check(c.fs)
		if err != nil || commit < c.least || commit > c.most+1 {
			t.Fatalf("killed before %s, after commit %d: at commit %d, %v", c.before, c.least, commit, err)
		}
	}
}

// TestPowerLossSynced loses power before every change of the file system, when
// commits are synced.
func TestPowerLossSynced(t *testing.T) {
	for _, percent := range []int{0, 50} {
		var h history
		for _, c := range crashes(t, &h, true, percent) {
			commit, err := h.check(c.fs)
			if err != nil || commit < c.least || commit > c.most+1 {
				t.Fatalf("power lost before %s, after commit %d, with %d%% of what was not synced: at commit %d, %v", c.before, c.least, percent, commit, err)
			}
		}
	}
}

// TestPowerLossUnsynced loses power when commits are not synced: what is left is
// some commit, whole, or does not verify.
func TestPowerLossUnsynced(t *testing.T) {
	whole, corrupt := 0, 0
	for _, percent := range []int{0, 20, 80, 95} {
		var h history
		for _, c := range crashes(t, &h, false, percent) {
			commit, err := h.check(c.fs)
			switch {
			case errors.Is(err, joiner.ErrCorrupt):
				corrupt++
			case err != nil || commit > c.most+1:
				t.Fatalf("power lost before %s, after commit %d, with %d%% of what was not synced: at commit %d, %v", c.before, c.least, percent, commit, err)
			default:
				whole++
			}
			if err == nil {
				continue
			}
			if err := disk.Wipe("/state", disk.Options{FS: c.fs}); err != nil {
				t.Fatal(err)
			}
			if commit, err := h.check(c.fs); err != nil || commit != 0 {
				t.Fatalf("after wiping: commit %d, %v", commit, err)
			}
		}
	}
	if whole == 0 || corrupt == 0 {
		t.Fatalf("%d crashes left a commit and %d did not: the test sees one side only", whole, corrupt)
	}
}

// TestDiskFull lets every change of the file system fail from some point on. The
// store says so, naming the directory, and refuses to go on; what is left is the
// last commit, or the one that failed.
func TestDiskFull(t *testing.T) {
	for _, pebbleToo := range []bool{false, true} {
		failures := 0
		for n := int64(0); ; n++ {
			var h history
			mem := vfs.NewCrashableMem()
			var left, done atomic.Int64
			left.Store(1 << 40)
			full := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && (pebbleToo || strings.Contains(op.Path, "tasks")) && left.Add(-1) < 0 {
					return syscall.ENOSPC
				}
				return nil
			}))
			db, err := disk.OpenDB("/state", disk.Options{FS: full})
			if err != nil {
				t.Fatal(err)
			}
			s, err := db.OpenStore(task, historyOptions)
			if err != nil {
				t.Fatal(err)
			}
			left.Store(n)
			err = h.run(s, func(commit int) { done.Store(int64(commit)) })
			if err == nil {
				break
			}
			failures++
			if !strings.Contains(err.Error(), "/state") || !strings.Contains(err.Error(), "no space") || !strings.Contains(err.Error(), "make room") || errors.Is(err, joiner.ErrCorrupt) {
				t.Fatalf("change %d fails with %v", n, err)
			}
			left.Store(1 << 40)
			e := joiner.Entry{}
			if _, again := s.Log(joiner.Labels).Append(&e); again == nil || again.Error() != err.Error() {
				t.Fatalf("after %v, Append: %v", err, again)
			}
			if again := s.Commit(nil); again == nil {
				t.Fatalf("after %v, Commit: no error", err)
			}
			after := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
			commit, err := h.check(after)
			if err != nil || int64(commit) != done.Load() && int64(commit) != done.Load()+1 {
				t.Fatalf("change %d failed after commit %d: at commit %d, %v", n, done.Load(), commit, err)
			}
			if err := db.Close(); err != nil && !pebbleToo {
				t.Fatal(err)
			}
		}
		if failures < 20 {
			t.Fatalf("only %d changes of the file system", failures)
		}
	}
}
