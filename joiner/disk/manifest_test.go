package disk_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// manifestFS counts what is written into the manifest.
type manifestFS struct {
	vfs.FS
	bytes *atomic.Int64
}

func (c manifestFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, category)
	if err != nil || !strings.Contains(name, "/manifest/") {
		return f, err
	}
	return manifestFile{f, c.bytes}, nil
}

type manifestFile struct {
	vfs.File
	bytes *atomic.Int64
}

func (c manifestFile) Write(p []byte) (int, error) {
	c.bytes.Add(int64(len(p)))
	return c.File.Write(p)
}

// manifestBytes appends so many entries in each of a hundred buckets, reads them
// back and drops them, a commit for every bucket, and returns what that wrote into
// the manifest.
func manifestBytes(t *testing.T, entries int) int64 {
	t.Helper()
	fs := manifestFS{vfs.NewMem(), new(atomic.Int64)}
	db, err := disk.OpenDB("/state", disk.Options{FS: fs, Quiet: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := db.OpenStore(task, joiner.StoreOptions{BucketMS: 1000, BlockBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	log, e := s.Log(joiner.Impressions), joiner.Entry{}
	value := make([]byte, 8)
	for bucket := range int64(100) {
		for i := range entries {
			in := joiner.Entry{TimeMS: bucket*1000 + int64(i)%1000, Offset: bucket*int64(entries) + int64(i), Value: value}
			if _, err := log.Append(&in); err != nil {
				t.Fatal(err)
			}
		}
		for ok := true; ok; {
			if ok, err = log.Next((bucket-1)*1000, &e); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.DropBefore((bucket - 1) * 1000); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(nil); err != nil {
			t.Fatal(err)
		}
	}
	return fs.bytes.Load()
}

// TestManifestCostsByFiles: no entry is looked up, deleted or given a timer in
// Pebble, so what is written there does not grow with how many there are.
func TestManifestCostsByFiles(t *testing.T) {
	few, many := manifestBytes(t, 100), manifestBytes(t, 2000)
	if few == 0 || many > few*5/4 {
		t.Errorf("20 times the entries write %d bytes into the manifest, and %d at first", many, few)
	}
}
