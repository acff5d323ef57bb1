package checkpoint_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mortise-dev/mortise/internal/objectstore/buckettest"
	"github.com/mortise-dev/mortise/joiner/checkpoint"
)

// saved returns a bucket with three checkpoints, and the worker that made them.
func savedThree(t *testing.T) (*buckettest.Memory, *worker) {
	t.Helper()
	bucket := buckettest.NewMemory()
	w := newWorld().worker(t, 7, bucket, small)
	w.open()
	for range 4 {
		w.step()
		w.step()
		w.save()
	}
	return bucket, w
}

// TestEveryFlippedByte flips bytes all over the bucket, one at a time. Verify
// finds each, and a restore gives a checkpoint that is whole or none.
func TestEveryFlippedByte(t *testing.T) {
	bucket, w := savedThree(t)
	reader := w.world.worker(t, 8, bucket, small)
	if v, err := reader.ck.Verify(ctx, taskName); err != nil || len(v.Faults) > 0 || v.Checkpoints != 3 || v.Bytes == 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	used := map[string]bool{}
	found, err := reader.ck.List(ctx, taskName)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range found {
		for _, o := range l.Manifest.Objects {
			used[folder+"/parts/"+o.Name] = true
		}
	}
	flips := 0
	for _, key := range bucket.Keys(folder) {
		data := bucket.Data(key)
		isPart := strings.Contains(key, "/parts/")
		if isPart && !used[key] {
			continue
		}
		for i := 0; i < len(data); i += 1 + len(data)/40 {
			bad := append([]byte{}, data...)
			bad[i] ^= 0x10
			bucket.Set(key, bad)
			flips++
			v, err := reader.ck.Verify(ctx, taskName)
			if err != nil {
				t.Fatal(err)
			}
			if len(v.Faults) == 0 && !unneeded(found, key, int64(i)) {
				t.Fatalf("byte %d of %d of %s is flipped, and nothing found", i, len(data), key)
			}
			for _, f := range v.Faults {
				if !errors.Is(f.Err, checkpoint.ErrDamaged) && !errors.Is(f.Err, checkpoint.ErrNewer) || len(f.Checkpoints) == 0 {
					t.Fatalf("byte %d of %s: %+v", i, key, f)
				}
			}
			if reader.restore(all) != nil {
				reader.close()
			}
			bucket.Set(key, data)
		}
	}
	if flips < 100 {
		t.Errorf("only %d bytes were flipped", flips)
	}
}

// unneeded reports whether no checkpoint has a part over a byte of an object.
func unneeded(all []checkpoint.Listed, key string, at int64) bool {
	if !strings.Contains(key, "/parts/") {
		return false
	}
	for _, l := range all {
		for _, f := range l.Manifest.Files {
			for _, p := range f.Parts {
				if strings.HasSuffix(key, "/"+l.Manifest.Objects[p.Object].Name) && p.Off <= at && at < p.Off+p.Bytes {
					return false
				}
			}
		}
	}
	return true
}

// TestDamagedManifests replaces the newest manifest. It is named as what it is,
// and the one before is restored.
func TestDamagedManifests(t *testing.T) {
	for name, c := range map[string]struct {
		change func(data, other []byte) []byte
		want   error
		text   string
	}{
		"truncated":     {func(data, _ []byte) []byte { return data[:len(data)-100] }, checkpoint.ErrDamaged, "length or checksum"},
		"first line":    {func(data, _ []byte) []byte { return data[:20] }, checkpoint.ErrDamaged, "first line"},
		"empty":         {func([]byte, []byte) []byte { return []byte{} }, checkpoint.ErrDamaged, "first line"},
		"something":     {func([]byte, []byte) []byte { return []byte("hello\n") }, checkpoint.ErrDamaged, "first line"},
		"another's":     {func(_, other []byte) []byte { return other }, checkpoint.ErrDamaged, "it is a copy of checkpoint"},
		"newer version": {func([]byte, []byte) []byte { return checkpoint.OfVersion(2, []byte(`{"new":"things"}`)) }, checkpoint.ErrNewer, "format 2, and this build reads 1"},
	} {
		t.Run(name, func(t *testing.T) {
			bucket, w := savedThree(t)
			keys := bucket.Keys(folder + "/checkpoints/")
			newest := keys[2]
			data := c.change(bucket.Data(newest), bucket.Data(keys[1]))
			bucket.Set(newest, data)
			if name == "newer version" {
				if _, err := checkpoint.ParseManifest(append([]byte{}, append(data[:len(data)-1], 'x')...)); !errors.Is(err, checkpoint.ErrDamaged) {
					t.Errorf("damaged, it is %v", err)
				}
				bucket.Set(newest, checkpoint.OfVersion(2, []byte(`{"new":"things"}`)))
			}
			reader := w.world.worker(t, 8, bucket, small)
			found, err := reader.ck.List(ctx, taskName)
			if err != nil || !errors.Is(found[0].Err, c.want) || !strings.Contains(found[0].Err.Error(), c.text) {
				t.Fatalf("%+v, %v", found[0], err)
			}
			got := reader.restore(all)
			if got == nil || !strings.HasSuffix(keys[1], got.Name) || !strings.Contains(reader.log.String(), c.text) {
				t.Fatalf("restored %+v; %s", got, reader.log)
			}
			// It is not in the way of those that follow, and a newer version's stays.
			for range 5 {
				reader.step()
				reader.save()
			}
			want := 3
			if errors.Is(c.want, checkpoint.ErrNewer) {
				want = 4
			}
			if n := len(bucket.Keys(folder + "/checkpoints/")); n != want {
				t.Errorf("%d checkpoints are left, want %d", n, want)
			}
		})
	}
}

// TestPartRemoved removes an object that the next checkpoint would build on: it is
// missed, and the checkpoint made anew is whole.
func TestPartRemoved(t *testing.T) {
	bucket, w := savedThree(t)
	for _, key := range bucket.Keys(folder + "/parts/") {
		bucket.Set(key, nil)
	}
	w.step()
	saved := w.save()
	if saved.Bytes != saved.TotalBytes || !strings.Contains(w.log.String(), "made anew") {
		t.Errorf("%+v; %s", saved, w.log)
	}
	reader := w.world.worker(t, 8, bucket, small)
	if got := reader.restore(all); got == nil || got.Name != saved.Name {
		t.Fatalf("restored %+v", got)
	}
}

// breaking is a bucket whose nth read breaks off in the middle.
type breaking struct {
	checkpoint.Bucket
	left *int
}

var errBroken = errors.New("connection reset")

func (b breaking) Get(ctx context.Context, key string, off, lengthBytes int64) (io.ReadCloser, error) {
	r, err := b.Bucket.Get(ctx, key, off, lengthBytes)
	if *b.left--; *b.left >= 0 || err != nil {
		return r, err
	}
	return io.NopCloser(io.MultiReader(io.LimitReader(r, lengthBytes/2), failingReader{})), nil
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errBroken }

// TestRestoreBrokenOff lets reading fail from each request on. What the directory
// had before is there still, and the next attempt succeeds.
func TestRestoreBrokenOff(t *testing.T) {
	bucket, w := savedThree(t)
	left := 0
	opts := small
	opts.Parallel = 1
	reader := w.world.worker(t, 8, breaking{bucket, &left}, opts)
	left = 1000
	older := reader.restore(func(meta []byte) bool {
		return string(meta) != string(w.store.Meta()) && !strings.HasSuffix(string(meta), " 6")
	})
	if older == nil {
		t.Fatal("nothing to restore")
	}
	reader.close()
	n := 0
	for ; ; n++ {
		left = n
		got, err := reader.ck.Restore(ctx, taskName, reader.db, all)
		if err == nil {
			reader.check(got)
			break
		}
		if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), taskName) {
			t.Fatal(err)
		}
		reader.check(older)
		reader.close()
	}
	if n < 5 {
		t.Errorf("only %d requests", n)
	}
	if pins := bucket.Keys(folder + "/pins/read"); len(pins) > 0 {
		t.Errorf("pins are left: %q", pins)
	}
}

// TestRestoreAccepts checks that what is not accepted is passed over, and that
// nothing to restore is no error.
func TestRestoreAccepts(t *testing.T) {
	bucket, w := savedThree(t)
	reader := w.world.worker(t, 8, bucket, small)
	var asked []string
	got := reader.restore(func(meta []byte) bool {
		asked = append(asked, string(meta))
		return len(asked) == 3
	})
	if got == nil || string(got.Meta) != asked[2] || len(asked) != 3 {
		t.Fatalf("asked %q, got %+v", asked, got)
	}
	reader.close()
	if got := reader.restore(func([]byte) bool { return false }); got != nil {
		t.Fatalf("%+v", got)
	}
	if got, err := reader.ck.Restore(ctx, "another task", reader.db, all); got != nil || err != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := reader.ck.RestoreNamed(ctx, taskName, "000000000099.x.00", reader.db, all); err == nil || !strings.Contains(err.Error(), "no such checkpoint") {
		t.Fatal(err)
	}
	if tasks, err := reader.ck.Tasks(ctx); err != nil || fmt.Sprint(tasks) != "["+taskName+"]" {
		t.Fatalf("%q, %v", tasks, err)
	}
}

func FuzzParseManifest(f *testing.F) {
	bucket := buckettest.NewMemory()
	w := newWorld().worker(f, 7, bucket, small)
	w.open()
	w.step()
	w.save()
	f.Add(bucket.Data(bucket.Keys(folder + "/checkpoints/")[0]))
	f.Add(checkpoint.OfVersion(1, []byte(`{"checkpoint":"000000000001.w.00","objects":[{"name":"w.00.1.000001","bytes":5}],"files":[{"number":1,"bytes":5,"parts":[{"o":0,"at":-1,"n":5}]}]}`)))
	f.Add(checkpoint.OfVersion(1, []byte(`{}`)))
	f.Add(checkpoint.OfVersion(3, nil))
	f.Add([]byte("mortise-checkpoint 1 0 0000000000000000\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := checkpoint.ParseManifest(data)
		if err != nil {
			if m != nil || !errors.Is(err, checkpoint.ErrDamaged) && !errors.Is(err, checkpoint.ErrNewer) {
				t.Fatal(err)
			}
			// The checksum keeps a fuzzer out: try what it guards too.
			if m, err = checkpoint.ParseManifest(checkpoint.OfVersion(1, data)); err != nil {
				return
			}
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := checkpoint.ParseManifest(again); err != nil {
			t.Fatalf("what is encoded does not parse: %v", err)
		}
	})
}
