package disk_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
	"github.com/mortise-dev/mortise/joiner/statetest"
)

const task = "feed-ctr/0"

// opener opens one task's store. On a real directory a crash is closing without
// a commit, now and then of the whole directory; on crashable memory it is what
// the operating system had at that moment, taken without closing anything.
type opener struct {
	t       *testing.T
	dir     string
	fs      vfs.FS
	opts    disk.Options
	db      *disk.DB
	store   *disk.Store
	crashes int
}

func onDir(t *testing.T) statetest.Opener {
	return &opener{t: t, dir: t.TempDir(), fs: vfs.Default}
}

func onMem(t *testing.T) *opener {
	return &opener{t: t, dir: "/state", fs: vfs.NewCrashableMem()}
}

func (o *opener) Open(opts joiner.StoreOptions) (_ joiner.Store, err error) {
	if o.db == nil {
		o.opts.FS = o.fs
		if o.db, err = disk.OpenDB(o.dir, o.opts); err != nil {
			return nil, err
		}
		o.t.Cleanup(func() { _ = o.closeDB() })
	}
	o.store, err = o.db.OpenStore(task, opts)
	return o.store, err
}

func (o *opener) Crash() {
	o.crashes++
	switch _, isMem := o.fs.(*vfs.MemFS); {
	case isMem:
		// All that was written is there, as after kill -9.
		o.fs = o.clone()
	case o.crashes%8 > 0 && o.store != nil:
		if err := o.store.Close(); err != nil {
			o.t.Fatal(err)
		}
		return
	}
	if err := o.closeDB(); err != nil {
		o.t.Fatal(err)
	}
}

func (o *opener) closeDB() error {
	if o.db == nil {
		return nil
	}
	db := o.db
	o.db = nil
	return db.Close()
}

// Files implements statetest.FileOpener.
func (o *opener) Files() (files []string) {
	tasks, err := o.fs.List(o.fs.PathJoin(o.dir, "tasks"))
	if err != nil {
		o.t.Fatal(err)
	}
	for _, task := range tasks {
		names, err := o.fs.List(o.fs.PathJoin(o.dir, "tasks", task))
		if err != nil {
			o.t.Fatal(err)
		}
		for _, name := range names {
			files = append(files, filepath.Join(task, name))
		}
	}
	slices.Sort(files)
	return files
}

// AppendToFiles implements statetest.FileOpener.
func (o *opener) AppendToFiles(data []byte) {
	for _, name := range o.Files() {
		o.write(name, -1, data)
	}
}

// write puts data at byte off of a file, at its end if off is -1.
func (o *opener) write(name string, off int64, data []byte) {
	o.t.Helper()
	f, err := o.fs.OpenReadWrite(o.fs.PathJoin(o.dir, "tasks", name), "test")
	if err != nil {
		o.t.Fatal(err)
	}
	defer f.Close()
	if off < 0 {
		info, err := f.Stat()
		if err != nil {
			o.t.Fatal(err)
		}
		off = info.Size()
	}
	if _, err := f.WriteAt(data, off); err != nil {
		o.t.Fatal(err)
	}
}

func TestStoreOnDirectory(t *testing.T) { statetest.Run(t, onDir) }

func TestStoreOnMemory(t *testing.T) {
	statetest.Run(t, func(t *testing.T) statetest.Opener { return slow{onMem(t)} })
}

// slow is an opener on memory, where Pebble grows files by a byte at a time.
type slow struct{ *opener }

// BigBytes implements statetest.SlowOpener.
func (slow) BigBytes() int { return 2 << 20 }

// TestStoreSmallFiles makes buckets of many files, and few of them open.
func TestStoreSmallFiles(t *testing.T) {
	statetest.Run(t, func(t *testing.T) statetest.Opener {
		o := onMem(t)
		o.opts = disk.Options{OpenFiles: 2, FileBytes: 2000, Sync: true}
		return manyFiles{o}
	})
}

// manyFiles hides the files: there are more than one a bucket.
type manyFiles struct{ statetest.Opener }

// BigBytes implements statetest.SlowOpener.
func (manyFiles) BigBytes() int { return 2 << 20 }

// TestFileNumbers checks that a file that no commit named leaves its number
// unused: its refs are in nobody's hands, but its bytes may be.
func TestFileNumbers(t *testing.T) {
	o := onMem(t)
	seen := map[uint32]bool{}
	for range 5 {
		s, err := o.Open(joiner.StoreOptions{BlockBytes: 1})
		if err != nil {
			t.Fatal(err)
		}
		for kind := range joiner.NumLogs {
			ref, err := s.Log(kind).Append(&joiner.Entry{Value: make([]byte, 100_000)})
			if err != nil {
				t.Fatal(err)
			}
			if seen[ref.File] {
				t.Fatalf("file number %d is used again", ref.File)
			}
			seen[ref.File] = true
		}
		o.Crash()
	}
}

func TestTasks(t *testing.T) {
	db, err := disk.OpenDB("/state", disk.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	names := []string{"a", "A", "a/b", "..", "a.1", strings.Repeat("x", 30)}
	for i, name := range names {
		s, err := db.OpenStore(name, joiner.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Log(joiner.Impressions).Append(&joiner.Entry{Offset: int64(i)}); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit([]byte(name)); err != nil {
			t.Fatal(err)
		}
		if _, err := db.OpenStore(name, joiner.StoreOptions{}); err == nil {
			t.Fatalf("%q opened twice", name)
		}
		if err := db.Reset(name); err == nil {
			t.Fatalf("%q reset while open", name)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Reset("A"); err != nil {
		t.Fatal(err)
	}
	got, err := db.Tasks()
	if want := slices.Sorted(slices.Values(slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == "A" }))); err != nil || !slices.Equal(got, want) {
		t.Fatalf("Tasks: %v, want %v, %v", got, want, err)
	}
	for i, name := range names {
		s, err := db.OpenStore(name, joiner.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprint(1, name)
		if name == "A" {
			want = "0"
		}
		if got := fmt.Sprint(s.Log(joiner.Impressions).Stats().Entries, string(s.Meta())); got != want {
			t.Errorf("task %d %q holds %s, want %s", i, name, got, want)
		}
	}
}
