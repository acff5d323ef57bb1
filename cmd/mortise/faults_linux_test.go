package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mortise-dev/mortise/internal/provisioned"
)

// smallDisk mounts a file system of 4 MiB of which only so much is free until
// room is called.
func smallDisk(t *testing.T, freeKB int) (dir string, room func()) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		provisioned.Missing(t, "a small file system", err.Error()+": mounting one takes root")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast := write(t, filepath.Join(dir, "ballast"), strings.Repeat("x", (4096-freeKB)<<10))
	return dir, func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDiskFull fills the disk that state lies on, at one size after the other: a
// run that meets it ends with what is full where and what to do, and one that
// has room again comes to the rows of a run that was let be.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := write(t, filepath.Join(folder, "feed.yaml"), strings.Replace(once, "within: 2s", "within: 60s", 1))
	inputs := record(t, folder, 4000)
	calm := filepath.Join(folder, "calm")
	runToEnd(t, append(inputs, file, "--embedded", calm)...)
	want := tailed(t, "f.instances", "--embedded", calm)
	full := 0
	for _, freeKB := range []int{0, 4, 8, 12, 16, 20, 24, 28, 36, 44, 80} {
		dir, room := smallDisk(t, freeKB)
		state, data := filepath.Join(dir, "state"), t.TempDir()
		args := append([]string{"--listen", "127.0.0.1:0", file, "--embedded", data, "--state", state}, inputs...)
		if r := execute(t, append([]string{"run", "--until-end"}, args...)...); r.code != exitDone {
			full++
			for _, text := range []string{"mortise: ", state, "no space left on device", "make room"} {
				if r.code != exitFailed || !strings.Contains(r.errOut, text) {
					t.Errorf("%d KB free: exit code %d; stderr should say %q:\n%s", freeKB, r.code, text, r.errOut)
				}
			}
		}
		room()
		r := atEnd(t, succeed(t, append([]string{"run", "--until-end", "--json"}, args...)...))
		if r.Impressions.In != 4000 || r.Instances != 4000 || r.Positives != 400 {
			t.Errorf("%d KB free, then room: %+v", freeKB, *r)
		}
		same(t, fmt.Sprintf("with %d KB free, then room", freeKB), tailed(t, "f.instances", "--embedded", data), want)
	}
	if full < 4 {
		t.Errorf("the disk was full in %d runs only", full)
	}
}

// TestReadOnlyState gives run a state directory that it may not write in, before
// there is state and after.
func TestReadOnlyState(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := write(t, filepath.Join(folder, "feed.yaml"), feed)
	dir, room := smallDisk(t, 4096)
	room()
	data := t.TempDir()
	args := append([]string{"run", "--until-end", "--listen", "127.0.0.1:0", file, "--embedded", data, "--state", filepath.Join(dir, "state")}, record(t, folder, 20)...)
	mode := func(flags uintptr) {
		if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, "size=4m"); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		mode(syscall.MS_RDONLY)
		fails(t, exitFailed, []string{filepath.Join(dir, "state"), "read-only file system", "may write in", "--state"}, args...)
		mode(0)
		succeed(t, args...)
	}
	if rows := tailed(t, "f.instances", "--embedded", data); len(rows) != 20 {
		t.Errorf("%d rows, want 20", len(rows))
	}
}
