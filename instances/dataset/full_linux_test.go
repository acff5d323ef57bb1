package dataset_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mortise-dev/mortise/internal/provisioned"
)

// smallDisk mounts a file system of so much, and returns how to give it all room.
func smallDisk(t *testing.T, sizeKB string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+sizeKB+"k"); err != nil {
		provisioned.Missing(t, "a small file system", err.Error()+": mounting one takes root")
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDiskFull lets the disk run full that rows wait on, and the one that they are
// published to.
func TestDiskFull(t *testing.T) {
	t.Run("rows", func(t *testing.T) {
		o := options(t)
		o.TempDir, o.MemoryBytes, o.Partition = smallDisk(t, "256"), 1, []string{"dt"}
		place := openDir(t, t.TempDir())
		d := open(t, place, o)
		next(t, d, "p0")
		w := d.NewPart("p0", 0)
		var err error
		for offset := int64(0); err == nil && offset < 20_000; offset++ {
			err = w.Append(rowAt("p0", offset))
		}
		isFull(t, err, o.TempDir)
		if err := w.Abort(); err != nil {
			t.Error(err)
		}
		publish(t, d, "p0", 0, 300)
		checkRows(t, place, 24*hourMS, map[string]int64{"p0": 300})
	})
	t.Run("files", func(t *testing.T) {
		o := options(t)
		o.TempDir = smallDisk(t, "32")
		ballast := filepath.Join(o.TempDir, "ballast")
		place := openDir(t, t.TempDir())
		d := open(t, place, o)
		next(t, d, "p0")
		if err := os.WriteFile(ballast, make([]byte, 28<<10), 0o666); err != nil {
			t.Fatal(err)
		}
		w := fill(t, d, "p0", 0, 100)
		_, err := w.Publish(ctx, 100)
		isFull(t, err, o.TempDir)
		if err := syscall.Mount("tmpfs", o.TempDir, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Publish(ctx, 100); err != nil {
			t.Fatal(err)
		}
		checkRows(t, place, hourMS, map[string]int64{"p0": 100})
	})
	t.Run("target", func(t *testing.T) {
		target := smallDisk(t, "64")
		place := openDir(t, target)
		d := open(t, place, options(t))
		next(t, d, "p0")
		w := fill(t, d, "p0", 0, 1000)
		_, err := w.Publish(ctx, 1000)
		isFull(t, err, target)
		if err := syscall.Mount("tmpfs", target, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Publish(ctx, 1000); err != nil {
			t.Fatal(err)
		}
		checkRows(t, place, hourMS, map[string]int64{"p0": 1000})
		if left, err := os.ReadDir(filepath.Join(target, ".incomplete")); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

func isFull(t *testing.T, err error, place string) {
	t.Helper()
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), "make room there") {
		t.Fatalf("%v, want that %s is full, and what to do", err, place)
	}
}
