package disk_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// openError opens a directory, closes it again, and returns why it could not.
func openError(t *testing.T, fsys vfs.FS) error {
	t.Helper()
	db, err := disk.OpenDB("/state", disk.Options{FS: fsys})
	if err == nil {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return err
}

// TestFormat: state of a later build is refused, that of an earlier one is
// rebuilt, and so is damage.
func TestFormat(t *testing.T) {
	_, o := ranHistory(t)
	if err := o.closeDB(); err != nil {
		t.Fatal(err)
	}
	path := o.fs.PathJoin(o.dir, "FORMAT")
	ours := readFile(t, o.fs, path)
	for _, c := range []struct {
		text  string
		words []string
	}{
		{"mortise state, format 9, sum b21df048f3995ba3\n", []string{"format 9", "format 3 at most", "another directory"}},
		{"mortise state, format 1\n", []string{"format 1", "rebuilds as format 3"}},
		{"mortise state, format 2\n", []string{"format 2", "rebuilds as format 3"}},
		{"mortise state, format 9\n", []string{"instead of"}},
		{"", []string{"instead of"}},
		{"something", []string{"instead of"}},
		{strings.Repeat("x", 1000), []string{"instead of"}},
	} {
		writeFile(t, o.fs, path, []byte(c.text))
		err := openError(t, o.fs)
		if err == nil || errors.Is(err, joiner.ErrCorrupt) == strings.Contains(c.text, "9, sum") || !strings.Contains(err.Error(), path) {
			t.Errorf("FORMAT of %.50q: %v", c.text, err)
			continue
		}
		for _, w := range c.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("FORMAT of %.50q: %v; it should say %q", c.text, err, w)
			}
		}
	}
	for i := range ours {
		for bit := range 8 {
			damaged := append([]byte(nil), ours...)
			damaged[i] ^= 1 << bit
			writeFile(t, o.fs, path, damaged)
			if err := openError(t, o.fs); !errors.Is(err, joiner.ErrCorrupt) {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, i, err)
			}
		}
		writeFile(t, o.fs, path, ours[:i])
		if err := openError(t, o.fs); !errors.Is(err, joiner.ErrCorrupt) {
			t.Fatalf("cut off at %d: %v", i, err)
		}
	}
	if err := o.fs.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := openError(t, o.fs); !errors.Is(err, joiner.ErrCorrupt) {
		t.Errorf("FORMAT missing: %v", err)
	}
	if err := disk.Wipe(o.dir, disk.Options{FS: o.fs}); err != nil {
		t.Fatal(err)
	}
	if err := openError(t, o.fs); err != nil {
		t.Errorf("after wiping: %v", err)
	}
}

// TestDamagedFormatAlone damages the FORMAT of a directory that holds nothing yet.
func TestDamagedFormatAlone(t *testing.T) {
	mem := vfs.NewMem()
	if err := openError(t, mem); err != nil {
		t.Fatal(err)
	}
	ours := readFile(t, mem, "/state/FORMAT")
	for _, folder := range []string{"manifest", "tasks"} {
		if err := mem.RemoveAll("/state/" + folder); err != nil {
			t.Fatal(err)
		}
	}
	for i := range ours {
		damaged := append([]byte(nil), ours...)
		damaged[i] ^= 0x10
		for _, text := range [][]byte{damaged, ours[:i]} {
			writeFile(t, mem, "/state/FORMAT", text)
			if err := openError(t, mem); !errors.Is(err, joiner.ErrCorrupt) {
				t.Fatalf("FORMAT of %q: %v", text, err)
			}
		}
	}
}

// TestDirectoryOfAnother gives opening and wiping directories that hold
// something else. Neither may change a thing there.
func TestDirectoryOfAnother(t *testing.T) {
	const format = "mortise state, format 2\n"
	for what, files := range map[string][]string{
		"a folder of the same name":        {"tasks/todo.txt"},
		"another folder of the same name":  {"manifest/deployment.yaml"},
		"a web site":                       {"manifest/MANIFEST-000001", "manifest/index.html"},
		"a store's folder with a note":     {"FORMAT=" + format, "tasks/feed%2f0.1/0000000001.seen", "tasks/feed%2f0.1/note"},
		"a file by the name of a store":    {"FORMAT=" + format, "tasks/feed%2f0.1"},
		"a file of the same name":          {"FORMAT=%PDF-1.7 is another format"},
		"one of the same name and folders": {"FORMAT=#!/bin/sh", "tasks/clean.sh"},
	} {
		mem := vfs.NewMem()
		for _, file := range files {
			name, text, _ := strings.Cut(file, "=")
			path := "/state/" + name
			if err := mem.MkdirAll(mem.PathDir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			writeFile(t, mem, path, []byte(text))
		}
		if err := openError(t, mem); err == nil || errors.Is(err, joiner.ErrCorrupt) || !strings.Contains(err.Error(), "another directory") {
			t.Errorf("%s: opening: %v", what, err)
		}
		if err := disk.Wipe("/state", disk.Options{FS: mem}); err == nil || !strings.Contains(err.Error(), "another directory") {
			t.Errorf("%s: wiping: %v", what, err)
		}
		for _, file := range files {
			name, text, _ := strings.Cut(file, "=")
			if got := string(readFile(t, mem, "/state/"+name)); got != text {
				t.Errorf("%s: %s holds %q now", what, name, got)
			}
		}
		names, err := mem.List("/state")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if _, err := mem.Stat("/state/" + name); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(files, " "), name) {
				t.Errorf("%s: %s was added", what, name)
			}
		}
	}
}

// TestFilesOfOthers puts files among a store's own: opening, discarding and
// committing leave them alone.
func TestFilesOfOthers(t *testing.T) {
	h, o := ranHistory(t)
	folder := o.fs.PathDir(o.fs.PathJoin(o.dir, "tasks", o.Files()[0]))
	notes := []string{o.fs.PathJoin(folder, "note.txt"), o.fs.PathJoin(o.dir, "tasks", "note.txt"), o.fs.PathJoin(o.dir, "note.txt")}
	for _, note := range notes {
		writeFile(t, o.fs, note, []byte("mine"))
	}
	if commit, err := h.checkStore(o.db); err != nil || commit != commits {
		t.Fatalf("commit %d, %v", commit, err)
	}
	if err := o.closeDB(); err != nil {
		t.Fatal(err)
	}
	if commit, err := h.check(o.fs); err != nil || commit != commits {
		t.Fatalf("commit %d, %v", commit, err)
	}
	db, err := disk.OpenDB(o.dir, disk.Options{FS: o.fs})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Reset(task); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, note := range notes {
		if text := string(readFile(t, o.fs, note)); text != "mine" {
			t.Errorf("%s holds %q", note, text)
		}
	}
	names, err := o.fs.List(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(names) != 1 {
		t.Errorf("after discarding, the store's folder holds %q, %v", names, err)
	}
}
