package disk_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// ranHistory returns a file system on which the history was run and closed.
func ranHistory(t *testing.T) (*history, *opener) {
	t.Helper()
	h, o := &history{}, onMem(t).(*opener)
	if _, err := o.Open(historyOptions); err != nil {
		t.Fatal(err)
	}
	if err := h.run(o.store, func(int) {}); err != nil {
		t.Fatal(err)
	}
	if err := o.store.Close(); err != nil {
		t.Fatal(err)
	}
	return h, o
}

func readFile(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func writeFile(t *testing.T, fs vfs.FS, path string, data []byte) {
	t.Helper()
	f, err := fs.Create(path, "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(bytes.Clone(data)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedSegments flips every byte of every segment file, one at a time. No
// reader may take it for what was written.
func TestDamagedSegments(t *testing.T) {
	h, o := ranHistory(t)
	for _, name := range o.Files() {
		path := o.fs.PathJoin(o.dir, "tasks", name)
		data := readFile(t, o.fs, path)
		for i := range data {
			o.write(name, int64(i), []byte{data[i] ^ 0x41})
			_, err := h.checkStore(o.db)
			if !errors.Is(err, joiner.ErrCorrupt) || !strings.Contains(err.Error(), name) {
				t.Fatalf("byte %d of %s flipped: %v", i, name, err)
			}
			o.write(name, int64(i), data[i:i+1])
		}
		for i := range data {
			writeFile(t, o.fs, path, data[:i])
			if _, err := h.checkStore(o.db); !errors.Is(err, joiner.ErrCorrupt) || !strings.Contains(err.Error(), name) {
				t.Fatalf("%s cut off at %d: %v", name, i, err)
			}
		}
		if err := o.fs.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := h.checkStore(o.db); !errors.Is(err, joiner.ErrCorrupt) || !strings.Contains(err.Error(), name) {
			t.Fatalf("%s missing: %v", name, err)
		}
		writeFile(t, o.fs, path, data)
		if commit, err := h.checkStore(o.db); err != nil || commit != commits {
			t.Fatalf("%s restored: commit %d, %v", name, commit, err)
		}
	}
}

// TestSwappedSegments puts each file in another's place.
func TestSwappedSegments(t *testing.T) {
	h, o := ranHistory(t)
	files := o.Files()
	for i, name := range files {
		path := o.fs.PathJoin(o.dir, "tasks", name)
		data := readFile(t, o.fs, path)
		for _, other := range slices.Delete(slices.Clone(files), i, i+1) {
			wrong := readFile(t, o.fs, o.fs.PathJoin(o.dir, "tasks", other))
			for len(wrong) < len(data) {
				wrong = append(wrong, 0)
			}
			writeFile(t, o.fs, path, wrong)
			if _, err := h.checkStore(o.db); !errors.Is(err, joiner.ErrCorrupt) {
				t.Fatalf("%s in the place of %s: %v", other, name, err)
			}
		}
		writeFile(t, o.fs, path, data)
	}
}

// TestDamagedManifest flips bytes of the manifest's files. Pebble takes a damaged
// end of its log for the end, so that an earlier commit is a fair answer if its
// files are still there; a mixture of commits never is.
func TestDamagedManifest(t *testing.T) {
	h, o := ranHistory(t)
	if err := o.closeDB(); err != nil {
		t.Fatal(err)
	}
	mem := o.fs.(*vfs.MemFS)
	dir := mem.PathJoin(o.dir, "manifest")
	names, err := mem.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	corrupt := 0
	for _, name := range names {
		path := mem.PathJoin(dir, name)
		data := readFile(t, mem, path)
		for i := 0; i < len(data); i += 1 + len(data)/150 {
			fs := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
			damaged := bytes.Clone(data)
			damaged[i] ^= 0x41
			writeFile(t, fs, path, damaged)
			if commit, err := h.check(fs); errors.Is(err, joiner.ErrCorrupt) {
				corrupt++
			} else if err != nil {
				t.Fatalf("byte %d of %s flipped: commit %d, %v", i, name, commit, err)
			}
		}
	}
	if corrupt == 0 {
		t.Fatal("no damage was noticed")
	}
}

func TestFormat(t *testing.T) {
	_, o := ranHistory(t)
	if err := o.closeDB(); err != nil {
		t.Fatal(err)
	}
	path := o.fs.PathJoin(o.dir, "FORMAT")
	for text, corrupt := range map[string]bool{"mortise state, format 2\n": false, "": true, "something": true} {
		writeFile(t, o.fs, path, []byte(text))
		_, err := disk.OpenDB(o.dir, disk.Options{FS: o.fs})
		if err == nil || errors.Is(err, joiner.ErrCorrupt) != corrupt || !strings.Contains(err.Error(), path) {
			t.Errorf("FORMAT of %q: %v", text, err)
		}
	}
	if err := o.fs.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.OpenDB(o.dir, disk.Options{FS: o.fs}); !errors.Is(err, joiner.ErrCorrupt) {
		t.Errorf("FORMAT missing: %v", err)
	}
}
