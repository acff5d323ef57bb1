package disk_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

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

// handleFS counts the segment files that are open.
type handleFS struct {
	vfs.FS
	open, most int
}

func (fs *handleFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.Open(name, opts...)
	return fs.count(name, f, err)
}

func (fs *handleFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, category, opts...)
	return fs.count(name, f, err)
}

func (fs *handleFS) count(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.Contains(name, "tasks") {
		return f, err
	}
	fs.open++
	fs.most = max(fs.most, fs.open)
	return &handle{f, fs}, nil
}

type handle struct {
	vfs.File
	fs *handleFS
}

func (h *handle) Close() error {
	h.fs.open--
	return h.File.Close()
}

// TestOpenFiles checks that the files open at a time are bounded.
func TestOpenFiles(t *testing.T) {
	fs := &handleFS{FS: vfs.NewMem()}
	db, err := disk.OpenDB("/state", disk.Options{FS: fs, OpenFiles: 5})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	opts := joiner.StoreOptions{BucketMS: 10, BlockBytes: 1}
	s, err := db.OpenStore(task, opts)
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
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if fs.open != 0 {
		t.Fatalf("%d files are open after closing", fs.open)
	}
	if s, err = db.OpenStore(task, opts); err != nil {
		t.Fatal(err)
	}
	var e joiner.Entry
	for i, ref := range refs {
		if err := s.Log(joiner.Labels).Read(ref, &e); err != nil || e.TimeMS != int64(i)*10 {
			t.Fatalf("entry %d: %+v, %v", i, e, err)
		}
	}
	if fs.most != 5 {
		t.Fatalf("%d files were open at a time, want at most 5", fs.most)
	}
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
