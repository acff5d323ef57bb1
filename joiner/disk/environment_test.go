package disk_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// TestUnusableDirectory expects errors that name the directory.
func TestUnusableDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below"), "/proc/state"} {
		if _, err := disk.OpenDB(path, disk.Options{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("opening %s: %v", path, err)
		}
	}
}

func TestSecondOpening(t *testing.T) {
	dir := t.TempDir()
	db, err := disk.OpenDB(dir, disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.OpenDB(dir, disk.Options{}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second opening: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = disk.OpenDB(dir, disk.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOpenFiles checks that the files open at a time are bounded.
func TestOpenFiles(t *testing.T) {
	db, err := disk.OpenDB(t.TempDir(), disk.Options{OpenFiles: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	before := openFiles(t)
	s, err := db.OpenStore(task, joiner.StoreOptions{BucketMS: 10, BlockBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	var refs []joiner.Ref
	for i := range int64(200) {
		ref, err := s.Log(joiner.Labels).Append(&joiner.Entry{TimeMS: i * 10})
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
		if _, err := s.Log(joiner.Seen).Append(&joiner.Entry{TimeMS: i * 10}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(nil); err != nil {
		t.Fatal(err)
	}
	var e joiner.Entry
	for i, ref := range refs {
		if err := s.Log(joiner.Labels).Read(ref, &e); err != nil || e.TimeMS != int64(i)*10 {
			t.Fatalf("entry %d: %+v, %v", i, e, err)
		}
	}
	if n := openFiles(t) - before; n > 5 {
		t.Fatalf("%d files are open, want at most 5", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if n := openFiles(t) - before; n > 0 {
		t.Fatalf("%d files are open after closing", n)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not list open files")
	}
	return len(entries)
}

func TestOptions(t *testing.T) {
	db, err := disk.OpenDB(t.TempDir(), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, opts := range []joiner.StoreOptions{{BucketMS: 1 << 40}, {BlockBytes: 1 << 30}} {
		if _, err := db.OpenStore(task, opts); err == nil || !strings.Contains(err.Error(), task) {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	s, err := db.OpenStore(task, joiner.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e := joiner.Entry{Offset: 77, Value: make([]byte, 66<<20)}
	if _, err := s.Log(joiner.Impressions).Append(&e); err == nil || !strings.Contains(err.Error(), "offset 77") {
		t.Errorf("an entry of 66 MiB: %v", err)
	}
	e.Value = nil
	if _, err := s.Log(joiner.Impressions).Append(&e); err != nil {
		t.Errorf("an entry after one that was refused: %v", err)
	}
}
