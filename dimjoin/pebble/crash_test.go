package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/pebble"
	"github.com/mortise-dev/mortise/internal/pebblefs/pebblefstest"
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

// writes is the history.
var writes = &pebblefstest.Subject{
	Dir: "/table",
	Open: func(fs vfs.FS, sync bool) (pebblefstest.Writer, error) {
		db, err := pebble.Open(context.Background(), &crashDef, pebble.Options{Create: true, FS: fs, Sync: sync, MemTableBytes: 16 << 10})
		return crashWriter{db}, err
	},
	Check:   func(fs vfs.FS) (int, error) { return checkCrash(pebble.Options{FS: fs}) },
	Corrupt: func(err error) bool { return errors.Is(err, pebble.ErrCorrupt) },
}

type crashWriter struct{ *pebble.DB }

func (w crashWriter) Write(n int) error { return crashWrite(w.DB, n) }

// Use reads rows, which are there still, and does what cannot be done any more.
func (w crashWriter) Use() error {
	ctx := context.Background()
	l := []dimjoin.Lookup{{Key: crashRecord(1)[0].Key, AsOfMS: dimjoin.Latest}}
	for range 2 {
		if err := w.Read(ctx, l); err != nil || l[0].Row == nil {
			return fmt.Errorf("reading what has stopped: %v, %w", l[0].Row, err)
		}
	}
	_, err := w.Prepare(ctx, "next")
	_, noted := w.Notes(ctx, [][]byte{l[0].Key})
	if err == nil || noted == nil || w.Switch(ctx, "next") == nil || w.DiskBytes() != 0 {
		return errors.New("a table that has stopped goes on")
	}
	return nil
}

func TestKillAnywhere(t *testing.T) { pebblefstest.KillAnywhere(t, writes, 60, 60) }

func TestFailsInTheBackground(t *testing.T) { pebblefstest.FailsInTheBackground(t, writes) }

func TestDamageFoundInTheBackground(t *testing.T) {
	pebblefstest.DamageFoundInTheBackground(t, writes)
}
