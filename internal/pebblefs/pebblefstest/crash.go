package pebblefstest

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// crash is the file system as the end of the process or of the power leaves it.
type crash struct {
	fs          *vfs.MemFS
	least, most int // writes that had returned before and after it was taken
}

// KillAnywhere ends the process before every change of the file system, Pebble's own
// in the background included. What is left is the last write, or the one that was
// under way; without power, and without sync, any earlier one. The history is of
// as many writes, and changes the file system at least that often.
func KillAnywhere(t *testing.T, s *Subject, writes, least int) {
	for _, c := range []struct {
		name    string
		sync    bool
		percent int // of what was not synced survives
	}{
		{"kill", false, 100},
		{"power loss, synced", true, 0},
		{"power loss, synced, some is left", true, 50},
		{"power loss", false, 0},
		{"power loss, some is left", false, 30},
		{"power loss, most is left", false, 80},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := s.crashes(t, writes, c.sync, c.percent)
			if len(all) < least {
				t.Fatalf("only %d changes of the file system", len(all))
			}
			for i, crash := range all {
				at, err := s.Check(crash.fs)
				if kept := c.sync || c.percent == 100; err != nil || at > crash.most+1 || kept && at < crash.least {
					t.Fatalf("crash %d, after write %d: at write %d, %v", i, crash.least, at, err)
				}
			}
		})
	}
}

// crashes makes the history, and returns what a crash before every change leaves.
func (s *Subject) crashes(t *testing.T, writes int, synced bool, percent int) (all []crash) {
	mem := vfs.NewCrashableMem()
	rnd := rand.New(rand.NewPCG(uint64(percent), 7))
	var mu sync.Mutex
	var done atomic.Int64
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			mu.Lock()
			defer mu.Unlock()
			least := int(done.Load())
			left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rnd})
			all = append(all, crash{left, least, int(done.Load())})
		}
		return nil
	}))
	w, err := s.Open(fs, synced)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= writes; n++ {
		if err := w.Write(n); err != nil {
			t.Fatal(err)
		}
		done.Store(int64(n))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}
