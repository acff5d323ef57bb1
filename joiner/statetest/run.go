// Package statetest is the conformance suite of joiner.Store: what the joiner's
// core, stage 2, relies on, run against every implementation.
package statetest

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/mortise-dev/mortise/joiner"
)

// Opener opens one store again and again, as restarts of a process do.
type Opener interface {
	// Open opens the store at its last commit. None is open.
	Open(opts joiner.StoreOptions) (joiner.Store, error)
	// Crash ends the open store, if any, as kill -9 would.
	Crash()
}

// FileOpener is an Opener of a store that keeps files.
type FileOpener interface {
	Opener
	// Files returns the names of the files that hold entries.
	Files() []string
	// AppendToFiles adds bytes at the end of all of them. No store is open.
	AppendToFiles(data []byte)
}

// SlowOpener is an Opener of a medium on which the largest entries, of 64 MiB,
// take too long.
type SlowOpener interface {
	Opener
	// BigBytes is the size of value to try instead.
	BigBytes() int
}

// Run runs the suite. Each call of open makes a new, empty store.
func Run(t *testing.T, open func(t *testing.T) Opener) {
	for kind := joiner.Impressions; kind < joiner.NumLogs; kind++ {
		for _, test := range []struct {
			name string
			run  func(k *kit)
		}{
			{"empty", testEmpty},
			{"fields", testFields},
			{"order", testOrder},
			{"ties", testTies},
			{"before", testBefore},
			{"append while scanning", testAppendWhileScanning},
			{"append to an earlier bucket", testAppendEarlier},
			{"seek", testSeek},
			{"each", testEach},
			{"read", testRead},
			{"aliasing", testAliasing},
			{"drop", testDrop},
			{"drop while scanning", testDropWhileScanning},
			{"lows", testLows},
			{"extreme times", testExtremeTimes},
			{"many buckets", testManyBuckets},
			{"big entries", testBigEntries},
			{"commit", testCommit},
			{"crash", testCrash},
			{"logs are apart", testLogsApart},
			{"closed", testClosed},
			{"torn tails", testTornTails},
			{"unlinking", testUnlinking},
		} {
			t.Run(fmt.Sprintf("log %d/%s", kind, test.name), func(t *testing.T) {
				k := &kit{t: t, opener: open(t), kind: kind, opts: joiner.StoreOptions{BucketMS: 100, BlockBytes: 400, BufferBytes: 3 << 10}}
				k.reopen()
				test.run(k)
				k.opener.Crash()
			})
		}
	}
	t.Run("random", func(t *testing.T) { testRandom(t, open) })
}

// kit is an open store and the log under test, with errors that end the test.
type kit struct {
	t      *testing.T
	opener Opener
	kind   joiner.LogKind
	opts   joiner.StoreOptions
	store  joiner.Store
	log    joiner.Log
}

// reopen opens the store, after a crash if it was open.
func (k *kit) reopen() {
	k.t.Helper()
	if k.store != nil {
		k.opener.Crash()
	}
	s, err := k.opener.Open(k.opts)
	k.must(err)
	k.store, k.log = s, s.Log(k.kind)
}

func (k *kit) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

// at makes an entry at a position, with a value that tells it from others.
func at(timeMS int64, partition int32, offset int64) joiner.Entry {
	return joiner.Entry{TimeMS: timeMS, Partition: partition, Offset: offset, Value: fmt.Appendf(nil, "%d/%d/%d", timeMS, partition, offset)}
}

func (k *kit) append(entries ...joiner.Entry) (refs []joiner.Ref) {
	k.t.Helper()
	for i := range entries {
		ref, err := k.log.Append(&entries[i])
		k.must(err)
		refs = append(refs, ref)
	}
	return refs
}

// next expects Next to return exactly the entries, and then none below beforeMS.
func (k *kit) next(beforeMS int64, want ...joiner.Entry) {
	k.t.Helper()
	var e joiner.Entry
	for i := range want {
		ok, err := k.log.Next(beforeMS, &e)
		k.must(err)
		if !ok {
			k.t.Fatalf("Next before %d: no entry, want %s, the %dth", beforeMS, describe(&want[i]), i)
		}
		k.same("Next", &e, &want[i])
	}
	ok, err := k.log.Next(beforeMS, &e)
	k.must(err)
	if ok {
		k.t.Fatalf("Next before %d: %s, want no entry", beforeMS, describe(&e))
	}
}

// each expects Each to return exactly the entries, and Read the same by their refs.
func (k *kit) each(want ...joiner.Entry) {
	k.t.Helper()
	var got []joiner.Entry
	var refs []joiner.Ref
	k.must(k.log.Each(math.MinInt64, func(ref joiner.Ref, e *joiner.Entry) error {
		refs, got = append(refs, ref), append(got, clone(e))
		return nil
	}))
	if len(got) != len(want) {
		k.t.Fatalf("Each: %d entries, want %d", len(got), len(want))
	}
	var e joiner.Entry
	for i := range got {
		k.same("Each", &got[i], &want[i])
		k.must(k.log.Read(refs[i], &e))
		k.same("Read", &e, &want[i])
	}
	if n := k.log.Stats().Entries; n != int64(len(want)) {
		k.t.Fatalf("Stats: %d entries, want %d", n, len(want))
	}
}

func (k *kit) same(what string, got, want *joiner.Entry) {
	k.t.Helper()
	if !equal(got, want) {
		k.t.Fatalf("%s: %s, want %s", what, describe(got), describe(want))
	}
}

func equal(a, b *joiner.Entry) bool {
	return a.Position() == b.Position() && a.Source == b.Source && a.Flags == b.Flags && a.Accept == b.Accept &&
		bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
}

func clone(e *joiner.Entry) joiner.Entry {
	c := *e
	c.Key, c.Value = bytes.Clone(e.Key), bytes.Clone(e.Value)
	return c
}

func describe(e *joiner.Entry) string {
	value := e.Value
	if len(value) > 40 {
		value = value[:40]
	}
	return fmt.Sprintf("{time %d, partition %d, offset %d, source %d, flags %d, accept %d, key %q, value of %d bytes %q}",
		e.TimeMS, e.Partition, e.Offset, e.Source, e.Flags, e.Accept, e.Key, len(e.Value), value)
}
