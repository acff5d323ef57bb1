package joiner_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/disk"
)

// TestDamage is the metamorphic test on a disk that loses and changes bytes of
// any file between one process and the next. Whatever it does is either noticed,
// as joiner.ErrCorrupt and nothing else, and the state rebuilt; or without effect.
func TestDamage(t *testing.T) {
	first, runs := uint64(1), *runsFlag
	if *seedFlag != 0 {
		first, runs = *seedFlag, 1
	}
	noticed, harmless := 0, 0
	for seed := first; seed < first+uint64(runs); seed++ {
		ok := t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			w := newWorld(t, seed)
			d := &badDisk{t: t, mem: vfs.NewMem(), rng: rand.New(rand.NewPCG(seed, 3))}
			defer d.close()
			w.disk = d
			w.run()
			noticed, harmless = noticed+d.noticed, harmless+d.harmed-d.noticed
		})
		if !ok {
			t.Fatalf("replay with: go test ./joiner -run TestDamage -seed %d", seed)
		}
	}
	if runs > 1 && (noticed < runs/4 || harmless < runs/20) {
		t.Fatalf("%d damages were noticed and %d had no effect: the test sees one side only", noticed, harmless)
	}
}

// badDisk is a state directory that is opened anew for every process, and harmed
// in between.
type badDisk struct {
	t   *testing.T
	mem vfs.FS
	rng *rand.Rand
	db  *disk.DB

	harmed, noticed int
}

const badDir = "/state"

func (d *badDisk) close() {
	if d.db != nil {
		if err := d.db.Close(); err != nil {
			d.t.Error(err)
		}
		d.db = nil
	}
}

func (d *badDisk) open(o joiner.StoreOptions) (joiner.Store, error) {
	if d.close(); d.rng.IntN(2) == 0 {
		d.harm()
	}
	var err error
	if d.db, err = disk.OpenDB(badDir, disk.Options{FS: d.mem}); errors.Is(err, joiner.ErrCorrupt) {
		d.noticed++
		if err := disk.Wipe(badDir, disk.Options{FS: d.mem}); err != nil {
			return nil, err
		}
		d.db, err = disk.OpenDB(badDir, disk.Options{FS: d.mem})
	}
	if err != nil {
		return nil, err
	}
	o.BlockBytes, o.BufferBytes = 200, 2000
	return d.openStore(o)
}

func (d *badDisk) openStore(o joiner.StoreOptions) (joiner.Store, error) {
	s, err := d.db.OpenStore("task", o)
	if err != nil {
		return nil, err // not a nil *disk.Store, which would not be a nil joiner.Store
	}
	return s, nil
}

func (d *badDisk) wipe() error { return d.db.Reset("task") }

// discard is what follows when damage is noticed in use.
func (d *badDisk) discard() error {
	d.noticed++
	return d.wipe()
}

// harm flips a bit of one file, cuts it short, fills it with another's bytes or removes it.
func (d *badDisk) harm() {
	var files []string
	var walk func(dir string)
	walk = func(dir string) {
		names, err := d.mem.List(dir)
		if err != nil {
			return // there is nothing yet
		}
		slices.Sort(names)
		for _, name := range names {
			path := d.mem.PathJoin(dir, name)
			if info, err := d.mem.Stat(path); err == nil && info.IsDir() {
				walk(path)
			} else if name != "LOCK" {
				files = append(files, path)
			}
		}
	}
	walk(badDir)
	if len(files) == 0 {
		return
	}
	d.harmed++
	path := files[d.rng.IntN(len(files))]
	data := readAll(d.t, d.mem, path)
	switch n := d.rng.IntN(10); {
	case n < 6 && len(data) > 0:
		data[d.rng.IntN(len(data))] ^= 1 << d.rng.IntN(8)
	case n < 8:
		data = data[:d.rng.IntN(len(data)+1)]
	case n < 9:
		data = readAll(d.t, d.mem, files[d.rng.IntN(len(files))])
	default:
		if err := d.mem.Remove(path); err != nil {
			d.t.Fatal(err)
		}
		return
	}
	f, err := d.mem.Create(path, "test")
	if err == nil {
		_, err = f.Write(data)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func readAll(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, info.Size())
	if n, err := f.ReadAt(data, 0); n < len(data) {
		t.Fatal(err)
	}
	return data
}
