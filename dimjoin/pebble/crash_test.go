package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/pebble"
)

var crashDef = dimjoin.Definition{Name: "item", Key: []string{"id"}, Store: dimjoin.Store{Path: "/table"},
	Fields: mortise.Schema{{Name: "n", Type: mortise.Type{Kind: mortise.Int}}}}

const crashKeys = 7

func crashRecord(n int) []dimjoin.Record {
	return []dimjoin.Record{{Key: fmt.Append(nil, "key ", n%crashKeys), Row: mortise.Row{mortise.IntValue(int64(n))}}}
}

// lastNoted is the last write of a key that had a note beside it: the even ones.
func lastNoted(at, key int) string {
	for n := at; n > 0; n-- {
		if n%crashKeys == key && n%2 == 0 {
			return strconv.Itoa(n)
		}
	}
	return ""
}

// crashWrite is write n, with a position, and if it is even with a note.
func crashWrite(db *pebble.DB, n int) error {
	records, position := crashRecord(n), strconv.AppendInt(nil, int64(n), 10)
	if n%2 == 0 {
		return db.Apply(context.Background(), &dimjoin.Commit{Records: records, Notes: []dimjoin.Note{{Key: records[0].Key, Value: position}}, Name: "task", Position: position})
	}
	return db.Writer().WriteAt(context.Background(), records, map[string][]byte{"task": position})
}

// checkCrash opens what a crash left, and returns the write that it is at.
func checkCrash(opts pebble.Options) (at int, err error) {
	opts.Create = true
	db, err := pebble.Open(context.Background(), &crashDef, opts)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	positions, err := db.Writer().Positions(context.Background())
	if err != nil {
		return 0, err
	}
	if text := string(positions["task"]); text != "" {
		if at, err = strconv.Atoi(text); err != nil {
			return 0, err
		}
	}
	var lookups []dimjoin.Lookup
	for key := range crashKeys {
		lookups = append(lookups, dimjoin.Lookup{Key: crashRecord(key)[0].Key, AsOfMS: dimjoin.Latest})
	}
	if err := db.Read(context.Background(), lookups); err != nil {
		return at, err
	}
	var keys [][]byte
	for _, l := range lookups {
		keys = append(keys, l.Key)
	}
	notes, err := db.Notes(context.Background(), keys)
	if err != nil {
		return at, err
	}
	for key, note := range notes {
		want := lastNoted(at, key)
		if got := string(note); got != want {
			return at, fmt.Errorf("at write %d, the note of key %d is %q, want %q", at, key, got, want)
		}
	}
	for key, l := range lookups {
		want := at - (at-key)%crashKeys // the last write of the key
		if at < key || want == 0 {
			if l.Row != nil {
				return at, fmt.Errorf("at write %d, key %d is there", at, key)
			}
			continue
		}
		if l.Row == nil || l.Row[0].Int() != int64(want) {
			return at, fmt.Errorf("at write %d, key %d is %v, want %d", at, key, l.Row, want)
		}
	}
	return at, nil
}

// TestKillAnywhere ends the process before every change of the file system. What is
// left is some write, rows and position together.
func TestKillAnywhere(t *testing.T) {
	for _, c := range []struct {
		name    string
		sync    bool
		percent int // of what was not synced survives
	}{{"kill", false, 100}, {"power loss, synced", true, 0}, {"power loss", false, 0}, {"power loss, some is left", false, 50}} {
		t.Run(c.name, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			rnd := rand.New(rand.NewPCG(uint64(c.percent), 7))
			var mu sync.Mutex
			var done atomic.Int64
			type crash struct {
				fs          *vfs.MemFS
				least, most int
			}
			var all []crash
			fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
					mu.Lock()
					least := int(done.Load())
					left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.percent, RNG: rnd})
					all = append(all, crash{left, least, int(done.Load())})
					mu.Unlock()
				}
				return nil
			}))
			db, err := pebble.Open(context.Background(), &crashDef, pebble.Options{Create: true, FS: fs, Sync: c.sync, MemTableBytes: 16 << 10})
			if err != nil {
				t.Fatal(err)
			}
			for n := 1; n <= 60; n++ {
				if err := crashWrite(db, n); err != nil {
					t.Fatal(err)
				}
				done.Store(int64(n))
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if len(all) < 60 {
				t.Fatalf("only %d changes of the file system", len(all))
			}
			for i, crash := range all {
				at, err := checkCrash(pebble.Options{FS: crash.fs})
				if kept := c.sync || c.percent == 100; err != nil || at > crash.most+1 || kept && at < crash.least {
					t.Fatalf("crash %d, after write %d: at write %d, %v", i, crash.least, at, err)
				}
			}
		})
	}
}

// A disk that fails in the background is an error of the next write, not the end of
// the process, and rows are read on.
func TestDiskFails(t *testing.T) {
	var broken atomic.Bool
	failure := errors.New("the disk is gone")
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return failure
		}
		return nil
	}))
	ctx := context.Background()
	db, err := pebble.Open(ctx, &crashDef, pebble.Options{Create: true, FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	w := db.Writer()
	if err := w.Write(ctx, crashRecord(1)); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	var failed error
	for n := 0; failed == nil && n < 100; n++ {
		failed = w.Write(ctx, crashRecord(8))
	}
	if failed == nil {
		t.Fatal("a hundred writes to a broken disk succeeded")
	}
	l := []dimjoin.Lookup{{Key: crashRecord(1)[0].Key, AsOfMS: dimjoin.Latest}}
	if err := db.Read(ctx, l); err != nil || l[0].Row == nil {
		t.Errorf("reading after that: %v, %v", l[0].Row, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
