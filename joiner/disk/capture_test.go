package disk_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// image is a capture that was copied.
type image struct {
	head disk.Head
	rows [][]byte
	data [][]byte
}

func copyCapture(c *disk.Capture) (image, error) {
	im := image{head: c.Head}
	for i := range c.Files {
		f := &c.Files[i]
		handle, err := f.Open()
		if err != nil {
			return im, err
		}
		data := make([]byte, f.LengthBytes)
		if _, err := handle.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
			return im, err
		}
		im.rows, im.data = append(im.rows, f.AppendRows(nil)), append(im.data, data)
		if err := handle.Close(); err != nil {
			return im, err
		}
	}
	return im, nil
}

func (im *image) restore(db *disk.DB) error {
	r, err := db.RestoreStore(task, im.head, im.rows)
	if err != nil {
		return err
	}
	for i, data := range im.data {
		f, err := r.Open(i)
		if err == nil {
			_, err = f.WriteAt(data, 0)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			return errors.Join(err, r.Abort())
		}
	}
	return errors.Join(r.Commit(), r.Abort())
}

// captured runs the history on o and returns a capture of every commit.
func captured(t *testing.T, h *history, o *opener) (all []*disk.Capture) {
	t.Helper()
	if _, err := o.Open(historyOptions); err != nil {
		t.Fatal(err)
	}
	err := h.run(o.store, func(int) {
		c, err := o.store.Capture()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestCaptures takes a capture after each commit, goes on to the end of the
// history and closes the store. Each capture still restores its own commit, and
// the files that only captures held are gone once these are closed.
func TestCaptures(t *testing.T) {
	for _, sync := range []bool{false, true} {
		var h history
		o := onMem(t)
		o.opts = disk.Options{OpenFiles: 2, FileBytes: 500, Sync: sync}
		all := captured(t, &h, o)
		if err := o.store.Close(); err != nil {
			t.Fatal(err)
		}
		held := len(o.Files())
		other := onMem(t)
		other.opts = o.opts
		if _, err := other.Open(historyOptions); err != nil {
			t.Fatal(err)
		}
		if err := other.store.Close(); err != nil {
			t.Fatal(err)
		}
		for _, n := range rand.New(rand.NewPCG(1, 1)).Perm(len(all)) {
			im, err := copyCapture(all[n])
			if err == nil {
				err = im.restore(other.db)
			}
			if err != nil {
				t.Fatal(err)
			}
			if commit, err := h.checkStore(other.db); err != nil || commit != n+1 {
				t.Fatalf("capture of commit %d restores %d, %v", n+1, commit, err)
			}
			if got := len(other.Files()); got != len(im.rows) {
				t.Fatalf("%d files of a task of %d: the state before is still there", got, len(im.rows))
			}
			if err := errors.Join(all[n].Close(), all[n].Close()); err != nil {
				t.Fatal(err)
			}
		}
		if commit, err := h.checkStore(o.db); err != nil || commit != commits {
			t.Fatalf("the captured store is at commit %d, %v", commit, err)
		}
		im, err := copyCapture(all[commits-1])
		if err != nil {
			t.Fatal(err)
		}
		if left := len(o.Files()); left != len(im.rows) || left >= held {
			t.Fatalf("%d files are left of %d, the last commit has %d", left, held, len(im.rows))
		}
	}
}

// TestCaptureWhileRunning copies captures in other goroutines while the store
// appends, drops and unlinks. The race detector watches.
func TestCaptureWhileRunning(t *testing.T) {
	var h history
	o := onMem(t)
	if _, err := o.Open(historyOptions); err != nil {
		t.Fatal(err)
	}
	images := make([]image, commits)
	var wg sync.WaitGroup
	err := h.run(o.store, func(commit int) {
		c, err := o.store.Capture()
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			im, err := copyCapture(c)
			if err := errors.Join(err, c.Close()); err != nil {
				t.Error(err)
			}
			images[commit-1] = im
		})
	})
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	for n := range images {
		other := onMem(t)
		if _, err := other.Open(historyOptions); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(other.store.Close(), images[n].restore(other.db)); err != nil {
			t.Fatal(err)
		}
		if commit, err := h.checkStore(other.db); err != nil || commit != n+1 {
			t.Fatalf("capture of commit %d restores %d, %v", n+1, commit, err)
		}
	}
}

func TestCaptureUncommitted(t *testing.T) {
	o := onMem(t)
	if _, err := o.Open(joiner.StoreOptions{BlockBytes: 1}); err != nil {
		t.Fatal(err)
	}
	refuses := func(what string) {
		t.Helper()
		if _, err := o.store.Capture(); err == nil || !strings.Contains(err.Error(), "since its last commit") || !strings.Contains(err.Error(), task) {
			t.Errorf("%s: %v", what, err)
		}
	}
	commit := func() {
		t.Helper()
		if err := o.store.Commit([]byte("m")); err != nil {
			t.Fatal(err)
		}
		c, err := o.store.Capture()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	refuses("new")
	commit()
	for _, kind := range []joiner.LogKind{joiner.Labels, joiner.Impressions} {
		if _, err := o.store.Log(kind).Append(&joiner.Entry{TimeMS: 5}); err != nil {
			t.Fatal(err)
		}
		refuses("appended")
		commit()
	}
	if err := o.store.Log(joiner.Labels).DropBefore(1 << 40); err != nil {
		t.Fatal(err)
	}
	refuses("dropped")
	commit()
}

// TestRestoreKilled ends the process before every change of the file system that
// a restoration over older state makes: one or the other is there, whole.
func TestRestoreKilled(t *testing.T) {
	var h history
	o := onMem(t)
	all := captured(t, &h, o)
	im, err := copyCapture(all[commits-1])
	if err != nil {
		t.Fatal(err)
	}
	before, err := copyCapture(all[2])
	if err != nil {
		t.Fatal(err)
	}
	for _, synced := range []bool{false, true} {
		mem := vfs.NewCrashableMem()
		var mu sync.Mutex
		var clones []*vfs.MemFS
		recording := false
		r := rand.New(rand.NewPCG(1, 2))
		percent := 100
		if synced {
			percent = 30
		}
		take := func() {
			mu.Lock()
			defer mu.Unlock()
			if recording {
				clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r}))
			}
		}
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				take()
			}
			return nil
		}))
		db, err := disk.OpenDB("/state", disk.Options{FS: fs, Sync: synced})
		if err != nil {
			t.Fatal(err)
		}
		if err := before.restore(db); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		recording = true
		mu.Unlock()
		if err := im.restore(db); err != nil {
			t.Fatal(err)
		}
		take()
		seen := map[int]int{}
		for i, clone := range clones {
			commit, err := h.check(clone)
			if err != nil || commit != 3 && commit != commits {
				t.Fatalf("synced %v, killed before change %d of %d: commit %d, %v", synced, i, len(clones), commit, err)
			}
			seen[commit]++
			if stray := strays(t, clone); stray != "" {
				t.Fatalf("change %d: %s is left", i, stray)
			}
		}
		if seen[3] < 5 || seen[commits] == 0 {
			t.Fatalf("commits found: %v", seen)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// strays names a folder of segment files beside the one that the task has.
func strays(t *testing.T, fs vfs.FS) string {
	t.Helper()
	names, err := fs.List("/state/tasks")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != 1 {
		return fmt.Sprint(names)
	}
	return ""
}

func TestRestoreRefuses(t *testing.T) {
	var h history
	o := onMem(t)
	all := captured(t, &h, o)
	im, err := copyCapture(all[commits-1])
	if err != nil {
		t.Fatal(err)
	}
	if err := im.restore(o.db); err == nil || !strings.Contains(err.Error(), "it is open") {
		t.Errorf("an open task: %v", err)
	}
	if err := o.store.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := o.db.RestoreStore(task, im.head, im.rows)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.db.OpenStore(task, historyOptions); err == nil {
		t.Error("a task being restored was opened")
	}
	if err := errors.Join(r.Abort(), r.Abort()); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(im *image){
		"missing file":   func(im *image) { im.data[0] = nil },
		"short file":     func(im *image) { im.data[0] = im.data[0][:len(im.data[0])-1] },
		"header":         func(im *image) { im.data[0][20] ^= 1 },
		"last block":     func(im *image) { im.data[0][len(im.data[0])-1] ^= 1 },
		"swapped":        func(im *image) { im.data[0], im.data[1] = im.data[1], im.data[0] },
		"rows cut off":   func(im *image) { im.rows[0] = im.rows[0][:len(im.rows[0])-1] },
		"rows empty":     func(im *image) { im.rows[0] = nil },
		"rows twice":     func(im *image) { im.rows[0] = im.rows[1] },
		"number too big": func(im *image) { im.head.NextFile = 1 },
		"no bucket":      func(im *image) { im.head.BucketMS = 0 },
		"endless bucket": func(im *image) { im.head.CoarseMS = 1 << 40 },
	} {
		bad := image{im.head, cloneAll(im.rows), cloneAll(im.data)}
		damage(&bad)
		if err := bad.restore(o.db); !errors.Is(err, joiner.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if commit, err := h.checkStore(o.db); err != nil || commit != commits {
			t.Fatalf("%s: the state before is at commit %d, %v", name, commit, err)
		}
		if stray := strays(t, o.fs); stray != "" {
			t.Errorf("%s: %s is left", name, stray)
		}
	}
}

func cloneAll(all [][]byte) (out [][]byte) {
	for _, b := range all {
		out = append(out, slices.Clone(b))
	}
	return out
}

// BenchmarkCapture measures how long a task stands still for a checkpoint.
func BenchmarkCapture(b *testing.B) {
	for _, files := range []int{100, 1000} {
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			db, err := disk.OpenDB("/state", disk.Options{FS: vfs.NewMem()})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			s, err := db.OpenStore(task, joiner.StoreOptions{})
			if err != nil {
				b.Fatal(err)
			}
			for i := range files {
				if _, err := s.Log(joiner.Impressions).Append(&joiner.Entry{TimeMS: int64(i) * 10_000}); err != nil {
					b.Fatal(err)
				}
			}
			if err := s.Commit(nil); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				c, err := s.Capture()
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := c.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
