package pebble_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/pebble"
)

var history = featurestest.History{Task: "t"}

// checkHistory opens what a crash left and returns the commit that it is at.
func checkHistory(dir string, opts pebble.Options) (commit int, err error) {
	db, err := pebble.Open(dir, opts)
	if err != nil {
		return 0, err
	}
	commit, err = history.Check(db)
	return commit, errors.Join(err, db.Close())
}

// TestKillAnywhere ends the process before every change of the file system, Pebble's
// own in the background included. What is left is the last commit, or the one that
// was under way; without power, and without Sync, any earlier one.
func TestKillAnywhere(t *testing.T) {
	for _, c := range []struct {
		name    string
		sync    bool
		percent int // of what was not synced survives
	}{{"kill", false, 100}, {"power loss, synced", true, 0}, {"power loss", false, 0}, {"power loss, some is left", false, 30}, {"power loss, most is left", false, 80}} {
		t.Run(c.name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			rnd := rand.New(rand.NewPCG(uint64(c.percent), 7))
			var mu sync.Mutex
			var done atomic.Int64
			type crash struct {
				fs          *vfs.MemFS
				least, most int // commits that had returned before and after it was taken
			}
			var all []crash
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					mu.Lock()
					least := int(done.Load())
					left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.percent, RNG: rnd})
					all = append(all, crash{left, least, int(done.Load())})
					mu.Unlock()
				}
				return nil
			}))
			db, err := pebble.Open("/features", pebble.Options{FS: fs, Sync: c.sync, MemTableBytes: 16 << 10})
			if err != nil {
				t.Fatal(err)
			}
			w, _, err := history.Writer(db)
			if err != nil {
				t.Fatal(err)
			}
			for n := 1; n <= 60; n++ {
				if err := history.Commit(w, n); err != nil {
					t.Fatal(err)
				}
				done.Store(int64(n))
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if len(all) < 100 {
				t.Fatalf("only %d changes of the file system", len(all))
			}
			for i, crash := range all {
				commit, err := checkHistory("/features", pebble.Options{FS: crash.fs})
				if kept := c.sync || c.percent == 100; err != nil || commit > crash.most+1 || kept && commit < crash.least {
					t.Fatalf("crash %d, after commit %d: at commit %d, %v", i, crash.least, commit, err)
				}
			}
		})
	}
}

const childVariable = "MORTISE_FEATURES_CRASH_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child commits until it is killed, and says so after each.
func child(dir string) error {
	db, err := pebble.Open(dir, pebble.Options{MemTableBytes: 64 << 10})
	if err != nil {
		return err
	}
	w, n, err := history.Writer(db)
	if err != nil {
		return err
	}
	for {
		n++
		if err := history.Commit(w, n); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// TestKill kills a process that commits, again and again, on a real file system.
func TestKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "features")
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines, last := bufio.NewScanner(out), 0
		for range 50 + rnd.IntN(200) {
			if !lines.Scan() {
				break
			}
			if last, err = strconv.Atoi(strings.TrimSpace(lines.Text())); err != nil {
				t.Fatal(err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it still said before it died
			if n, err := strconv.Atoi(strings.TrimSpace(lines.Text())); err == nil {
				last = n
			}
		}
		cmd.Wait()
		commit, err := checkHistory(dir, pebble.Options{})
		if err != nil || commit != last && commit != last+1 || last == 0 {
			t.Fatalf("killed after commit %d: at commit %d, %v", last, commit, err)
		}
	}
}
