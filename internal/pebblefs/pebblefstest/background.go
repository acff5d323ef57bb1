package pebblefstest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// most is how many writes make a Pebble with small memtables flush and compact often.
const most = 5000

func isTable(op errorfs.Op) bool    { return strings.HasSuffix(op.Path, ".sst") }
func isManifest(op errorfs.Op) bool { return strings.Contains(op.Path, "/MANIFEST-") }
func isLog(op errorfs.Op) bool      { return strings.HasSuffix(op.Path, ".log") }

// background is what Pebble does on its own goroutines.
var background = []struct {
	name  string
	match func(s *Subject, op errorfs.Op) bool
	skip  int64 // that many of them are well
}{
	{"a table is made", func(_ *Subject, op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && isTable(op) }, 0},
	{"a compaction's table is made", func(_ *Subject, op errorfs.Op) bool { return op.Kind == errorfs.OpCreate && isTable(op) }, 4},
	{"a table is written", func(_ *Subject, op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && isTable(op) }, 2},
	{"a table is synced", func(_ *Subject, op errorfs.Op) bool {
		return op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind >= errorfs.OpFileSync && isTable(op)
	}, 1},
	{"the manifest is written", func(_ *Subject, op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && isManifest(op) }, 1},
	{"the manifest is synced", func(_ *Subject, op errorfs.Op) bool { return op.Kind == errorfs.OpFileSync && isManifest(op) }, 1},
	{"the directory is synced", func(s *Subject, op errorfs.Op) bool { return op.Kind == errorfs.OpFileSync && op.Path == s.Dir }, 2},
	{"a log is made", func(_ *Subject, op errorfs.Op) bool {
		return (op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite) && isLog(op)
	}, 1},
	{"a log is written", func(_ *Subject, op errorfs.Op) bool { return op.Kind == errorfs.OpFileWrite && isLog(op) }, 20},
}

// FailsInTheBackground lets what Pebble does on its own goroutines fail, from some
// moment on or once: the next write says why, instead of the end of the process or a
// wait for ever, and what was written is there when the directory is opened again.
func FailsInTheBackground(t *testing.T, s *Subject) {
	for _, c := range background {
		for _, once := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, once %t", c.name, once), func(t *testing.T) {
				mem := vfs.NewCrashableMem()
				var armed atomic.Bool
				var met atomic.Int64
				fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
					if !armed.Load() || !c.match(s, op) {
						return nil
					}
					if n := met.Add(1) - c.skip; n < 1 || once && n > 1 {
						return nil
					}
					return syscall.ENOSPC
				}))
				s.fails(t, mem, fs, &armed)
			})
		}
	}
}

func (s *Subject) fails(t *testing.T, mem *vfs.MemFS, fs vfs.FS, armed *atomic.Bool) {
	w, err := s.Open(fs, false)
	if err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	var last int
	Within(t, "writing", func() { last, err = writeMuch(w, 0, most) })
	if err == nil || s.Corrupt(err) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("after write %d: %v", last, err)
	}
	Within(t, "using what has stopped", func() {
		if w.Write(last+2) == nil {
			t.Error("what has stopped is written to")
		}
		if err := w.Use(); err != nil {
			t.Error(err)
		}
	})
	left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(3, 4))})
	Within(t, "closing", func() { _ = w.Close() })
	armed.Store(false)
	for _, fs := range []vfs.FS{fs, left} { // there is room again, in this process and after its end
		if at, err := s.Check(fs); err != nil || at < last || at > last+1 {
			t.Errorf("at write %d after %d, %v", at, last, err)
		}
	}
}

// DamageFoundInTheBackground flips bytes of the tables that a compaction reads: a
// write says so, and whoever opens the directory is told that it does not verify.
func DamageFoundInTheBackground(t *testing.T, s *Subject) {
	mem := vfs.NewMem()
	w, err := s.Open(mem, false)
	if err != nil {
		t.Fatal(err)
	}
	damaged := map[string]bool{}
	Within(t, "writing", func() {
		for last := 0; last < 20*most; {
			if last, err = writeMuch(w, last, most); err != nil {
				return
			}
			DamageTables(t, mem, s.Dir, damaged) // those of before may not be read any more
		}
	})
	if len(damaged) == 0 || err == nil || !s.Corrupt(err) {
		t.Fatalf("damaged %d tables: %v", len(damaged), err)
	}
	Within(t, "closing", func() { _ = w.Close() })
	for range 2 {
		if _, err := s.Open(mem, false); err == nil || !s.Corrupt(err) || !strings.Contains(err.Error(), "in use") {
			t.Fatalf("opened again: %v", err)
		}
	}
}
