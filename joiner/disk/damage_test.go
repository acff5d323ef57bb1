package disk_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// ranHistory returns a file system on which the history was run and closed.
func ranHistory(t *testing.T) (*history, *opener) {
	t.Helper()
	h, o := &history{}, onMem(t)
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
		for i := 0; i < len(data); i += 1 + i/20 {
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
	mem := o.fs
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
			fs := o.clone()
			damaged := bytes.Clone(data)
			damaged[i] ^= 0x41
			writeFile(t, fs, path, damaged)
			if commit, err := h.check(fs); errors.Is(err, joiner.ErrCorrupt) {
				corrupt++
				if err := disk.Wipe(o.dir, disk.Options{FS: fs}); err != nil {
					t.Fatalf("byte %d of %s flipped: wiping: %v", i, name, err)
				}
				if commit, err := h.check(fs); err != nil || commit != 0 {
					t.Fatalf("byte %d of %s flipped: after wiping: commit %d, %v", i, name, commit, err)
				}
			} else if err != nil {
				t.Fatalf("byte %d of %s flipped: commit %d, %v", i, name, commit, err)
			}
		}
	}
	if corrupt == 0 {
		t.Fatal("no damage was noticed")
	}
}

// TestDamagedRows deletes each row of the store's manifest in turn.
func TestDamagedRows(t *testing.T) {
	h, o := ranHistory(t)
	if err := o.closeDB(); err != nil {
		t.Fatal(err)
	}
	for key := range rows(t, o.fs) {
		fs := o.clone()
		edit(t, fs, map[string][]byte{key: nil})
		if commit, err := h.check(fs); key[0] == 's' && !errors.Is(err, joiner.ErrCorrupt) {
			t.Fatalf("row %q deleted: commit %d, %v", key, commit, err)
		}
	}
}

// TestMixedCommits puts all rows of one file back to what they were one commit
// earlier, as if a batch of Pebble's log had been lost between two others. The
// rows agree with one another; only the head's digest can tell.
func TestMixedCommits(t *testing.T) {
	h, o := ranHistory(t)
	if err := o.closeDB(); err != nil {
		t.Fatal(err)
	}
	var earlier vfs.FS
	for _, c := range crashes(t, &history{}, false, 100) {
		if c.least == commits-1 {
			earlier = c.fs
			break
		}
	}
	now, before := rows(t, o.fs), rows(t, earlier)
	back := map[string]map[string][]byte{} // by number of a file that both commits have
	for key, value := range now {
		if len(key) < 14 || bytes.Equal(before[key], value) {
			continue
		}
		if file := key[10:14]; before[key[:9]+"f"+file] != nil {
			if back[file] == nil {
				back[file] = map[string][]byte{}
			}
			back[file][key] = before[key]
		}
	}
	if len(back) < 2 {
		t.Fatalf("%d files changed with the last commit", len(back))
	}
	for file, changes := range back {
		fs := o.clone()
		edit(t, fs, changes)
		if commit, err := h.check(fs); !errors.Is(err, joiner.ErrCorrupt) {
			t.Fatalf("file %q as of the commit before: commit %d, %v", file, commit, err)
		}
	}
}

// clone returns a copy of the opener's file system.
func (o *opener) clone() vfs.FS {
	return o.fs.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
}

// quiet is a pebble.Logger that speaks up for fatal errors only.
type quiet struct{ t *testing.T }

func (quiet) Infof(string, ...any)                {}
func (quiet) Errorf(string, ...any)               {}
func (q quiet) Fatalf(format string, args ...any) { q.t.Fatalf(format, args...) }

// rows reads the manifest as Pebble has it.
func rows(t *testing.T, fs vfs.FS) map[string][]byte {
	t.Helper()
	pdb, err := pebble.Open("/state/manifest", &pebble.Options{FS: fs, Logger: quiet{t}})
	if err != nil {
		t.Fatal(err)
	}
	defer pdb.Close()
	it, err := pdb.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	all := map[string][]byte{}
	for ok := it.First(); ok; ok = it.Next() {
		all[string(it.Key())] = bytes.Clone(it.Value())
	}
	return all
}

// edit sets rows of the manifest; nil deletes one.
func edit(t *testing.T, fs vfs.FS, changes map[string][]byte) {
	t.Helper()
	pdb, err := pebble.Open("/state/manifest", &pebble.Options{FS: fs, Logger: quiet{t}})
	if err != nil {
		t.Fatal(err)
	}
	defer pdb.Close()
	for key, value := range changes {
		if value == nil {
			err = pdb.Delete([]byte(key), pebble.Sync)
		} else {
			err = pdb.Set([]byte(key), value, pebble.Sync)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
