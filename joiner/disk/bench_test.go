package disk_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// countingFS counts the bytes written, of segments and of the manifest.
type countingFS struct {
	vfs.FS
	segments, manifest atomic.Int64
}

func (fs *countingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	return fs.count(name, f), err
}

func (fs *countingFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, category, opts...)
	return fs.count(name, f), err
}

func (fs *countingFS) ReuseForWrite(oldName, newName string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldName, newName, category)
	return fs.count(newName, f), err
}

func (fs *countingFS) count(name string, f vfs.File) vfs.File {
	if strings.Contains(name, "tasks") {
		return countingFile{f, &fs.segments}
	}
	return countingFile{f, &fs.manifest}
}

type countingFile struct {
	vfs.File
	bytes *atomic.Int64
}

func (f countingFile) Write(data []byte) (int, error) {
	f.bytes.Add(int64(len(data)))
	return f.File.Write(data)
}

func (f countingFile) WriteAt(data []byte, off int64) (int, error) {
	f.bytes.Add(int64(len(data)))
	return f.File.WriteAt(data, off)
}

// values makes JSON of about valueBytes that s2 compresses about threefold, as
// impressions of one stream do.
func values(n, valueBytes int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([][]byte, n)
	for i := range out {
		v := fmt.Appendf(nil, `{"impression_id":"%016x","ts":%d,"user_segment":"seg_%d","item_id":"item-%d","position":%d`, r.Uint64(), 1_700_000_000_000+int64(i), r.IntN(100), r.IntN(100000), r.IntN(10))
		for k := 0; len(v) < valueBytes-20; k++ {
			v = fmt.Appendf(v, `,"feature_number_%d":0.%d`, k, r.IntN(10000))
		}
		out[i] = append(v, '}')
	}
	return out
}

// BenchmarkCycle takes impressions in, closes them a minute of event time later,
// in order, and drops their buckets, committing every 100,000: the steady state.
// Event times are out of order by up to two seconds, at 5,000 a second.
func BenchmarkCycle(b *testing.B) {
	for _, size := range []int{200, 1000} {
		b.Run(fmt.Sprintf("value=%d", size), func(b *testing.B) {
			fs := &countingFS{FS: vfs.Default}
			db, err := disk.OpenDB(b.TempDir(), disk.Options{FS: fs})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			s, err := db.OpenStore(task, joiner.StoreOptions{})
			if err != nil {
				b.Fatal(err)
			}
			c := cycle{s: s, log: s.Log(joiner.Impressions), values: values(5000, size), r: rand.New(rand.NewPCG(1, 3)), holdMS: 60_000}
			for range 400_000 { // the hold fills
				c.step(b)
			}
			fs.segments.Store(0)
			fs.manifest.Store(0)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			cpu := cpuTime(b)
			for b.Loop() {
				c.step(b)
			}
			b.ReportMetric(float64(cpuTime(b)-cpu)/float64(b.N), "cpu-ns/entry")
			st := c.log.Stats()
			perEntry := float64(st.Bytes) / float64(st.Entries)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(perEntry, "disk-B/entry")
			b.ReportMetric(float64(fs.segments.Load()+fs.manifest.Load())/float64(b.N)/perEntry, "write-amp")
			b.ReportMetric(float64(fs.manifest.Load())/float64(b.N), "manifest-B/entry")
		})
	}
}

// cpuTime is what the process has spent, Pebble's goroutines and the kernel
// included; unlike time on the clock, it does not count waiting for the device.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cycle is a stream of impressions going through a log.
type cycle struct {
	s      *disk.Store
	log    joiner.Log
	values [][]byte
	r      *rand.Rand
	holdMS int64
	n      int64
	e      joiner.Entry
}

func (c *cycle) step(b *testing.B) {
	c.n++
	nowMS := c.n / 5
	e := &c.e
	*e = joiner.Entry{TimeMS: nowMS - c.r.Int64N(2000), Offset: c.n, Accept: 1, Key: c.values[0][:8], Value: c.values[c.n%int64(len(c.values))]}
	if _, err := c.log.Append(e); err != nil {
		b.Fatal(err)
	}
	if c.n%1000 > 0 {
		return
	}
	closeMS := nowMS - 2000 - c.holdMS
	for {
		ok, err := c.log.Next(closeMS, e)
		if err != nil {
			b.Fatal(err)
		}
		if !ok {
			break
		}
	}
	if err := c.log.DropBefore(closeMS); err != nil {
		b.Fatal(err)
	}
	if c.n%100_000 == 0 {
		if err := c.s.Commit([]byte("meta")); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReopen opens a store with many impressions pending.
func BenchmarkReopen(b *testing.B) {
	for _, n := range []int{1_000_000, 4_000_000} {
		b.Run(fmt.Sprintf("pending=%d", n), func(b *testing.B) {
			dir := b.TempDir()
			db, err := disk.OpenDB(dir, disk.Options{})
			if err != nil {
				b.Fatal(err)
			}
			s, err := db.OpenStore(task, joiner.StoreOptions{})
			if err != nil {
				b.Fatal(err)
			}
			c := cycle{s: s, log: s.Log(joiner.Impressions), values: values(5000, 1000), r: rand.New(rand.NewPCG(1, 3)), holdMS: 1 << 40}
			for range n {
				c.step(b)
			}
			if err := s.Commit(nil); err != nil {
				b.Fatal(err)
			}
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
			var mem0, mem1 runtime.MemStats
			for b.Loop() {
				start := time.Now()
				db, err := disk.OpenDB(dir, disk.Options{})
				if err != nil {
					b.Fatal(err)
				}
				opened := time.Now()
				runtime.GC()
				runtime.ReadMemStats(&mem0)
				started := time.Now()
				s, err := db.OpenStore(task, joiner.StoreOptions{})
				if err != nil {
					b.Fatal(err)
				}
				took := time.Since(started)
				runtime.GC()
				runtime.ReadMemStats(&mem1)
				b.ReportMetric(opened.Sub(start).Seconds()*1000, "open-db-ms")
				b.ReportMetric(took.Seconds()*1000, "open-store-ms")
				b.ReportMetric(float64(mem1.HeapAlloc-mem0.HeapAlloc)/1024, "heap-KiB")
				if got := s.Log(joiner.Impressions).Stats().Entries; got < int64(n)*9/10 {
					b.Fatalf("%d entries", got)
				}
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReadLabel reads labels of 320 bytes at random from half a million, in
// the page cache.
func BenchmarkReadLabel(b *testing.B) {
	db, err := disk.OpenDB(b.TempDir(), disk.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	s, err := db.OpenStore(task, joiner.StoreOptions{})
	if err != nil {
		b.Fatal(err)
	}
	log, vs := s.Log(joiner.Labels), values(1000, 320)
	var refs []joiner.Ref
	for i := range 500_000 {
		ref, err := log.Append(&joiner.Entry{TimeMS: int64(i) / 5, Offset: int64(i), Value: vs[i%len(vs)]})
		if err != nil {
			b.Fatal(err)
		}
		refs = append(refs, ref)
	}
	r := rand.New(rand.NewPCG(1, 4))
	b.ReportAllocs()
	var e joiner.Entry
	for b.Loop() {
		if err := log.Read(refs[r.IntN(len(refs))], &e); err != nil {
			b.Fatal(err)
		}
	}
}
