package pebble_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/features/pebble"
	"github.com/mortise-dev/mortise/internal/pebblefs/pebblefstest"
)

func TestKillAnywhere(t *testing.T) { pebblefstest.KillAnywhere(t, subject, 60, 100) }

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
