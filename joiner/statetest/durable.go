package statetest

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/mortise-dev/mortise/joiner"
)

func (k *kit) meta(want []byte) {
	k.t.Helper()
	if got := k.store.Meta(); !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		k.t.Fatalf("Meta: %q, want %q", got, want)
	}
}

func testCommit(k *kit) {
	k.meta(nil)
	k.must(k.store.Commit([]byte("nothing yet")))
	k.reopen()
	k.meta([]byte("nothing yet"))
	var entries []joiner.Entry
	for i := range int64(20) { // each commit ends a block
		entries = append(entries, at(i*13%100, 0, i), at(i*30, 0, 100+i))
		k.append(entries[2*i:]...)
		meta := fmt.Append(nil, "commit ", i)
		k.must(k.store.Commit(meta))
		if i%3 == 0 {
			k.must(k.store.Close())
			k.reopen()
			k.meta(meta)
			k.each(byBucket(entries)...)
		}
	}
	k.must(k.store.Commit([]byte{}))
	k.reopen()
	k.meta([]byte{})
	k.next(math.MaxInt64, sorted(entries)...)
}

func testCrash(k *kit) {
	kept := disorder(11, 300, 500)
	k.append(kept...)
	k.must(k.log.DropBefore(100))
	kept = slices.DeleteFunc(kept, func(e joiner.Entry) bool { return e.TimeMS < 100 })
	k.must(k.store.Commit([]byte("kept")))
	for range 3 {
		k.append(disorder(12, 300, 1000)...) // lost
		k.must(k.log.DropBefore(300))        // lost
		k.must(k.log.Seek(lowest))
		k.next(400, sorted(slices.DeleteFunc(append(slices.Clone(kept), disorder(12, 300, 1000)...), func(e joiner.Entry) bool { return e.TimeMS < 300 || e.TimeMS >= 400 }))...)
		k.reopen()
		k.meta([]byte("kept"))
		k.each(byBucket(kept)...)
		k.next(math.MaxInt64, sorted(kept)...)
	}
}

func testLogsApart(k *kit) {
	for kind := range joiner.NumLogs {
		k.log = k.store.Log(kind)
		k.append(at(int64(kind), 0, 1), at(50, int32(kind), 2))
	}
	k.must(k.store.Log(k.kind).DropBefore(1000))
	k.must(k.store.Commit(nil))
	k.reopen()
	for kind := range joiner.NumLogs {
		k.log = k.store.Log(kind)
		if kind == k.kind {
			k.each()
			continue
		}
		k.next(1000, at(int64(kind), 0, 1), at(50, int32(kind), 2))
	}
}

func testClosed(k *kit) {
	k.append(at(1, 0, 1))
	k.must(k.store.Close())
	k.must(k.store.Close())
	e := at(2, 0, 2)
	_, appending := k.log.Append(&e)
	_, next := k.log.Next(100, &e)
	for what, err := range map[string]error{
		"Append": appending, "Next": next, "Commit": k.store.Commit(nil), "Seek": k.log.Seek(joiner.Cursor{}), "DropBefore": k.log.DropBefore(0),
		"Read": k.log.Read(joiner.Ref{File: 1}, &e), "Each": k.log.Each(math.MinInt64, func(joiner.Ref, *joiner.Entry) error { return nil }),
	} {
		if err == nil {
			k.t.Errorf("%s after Close: no error", what)
		}
	}
}

func testTornTails(k *kit) {
	files, ok := k.opener.(FileOpener)
	if !ok {
		k.t.Skip("this store keeps no files")
	}
	entries := disorder(13, 100, 300)
	k.append(entries...)
	k.must(k.store.Commit(nil))
	for range 3 {
		k.opener.Crash()
		files.AppendToFiles(bytes.Repeat([]byte("torn "), 1000))
		k.store = nil
		k.reopen()
		k.each(byBucket(entries)...)
		more := disorder(uint64(14+len(entries)), 100, 300)
		k.append(more...)
		entries = append(entries, more...)
		k.must(k.store.Commit(nil))
		k.each(byBucket(entries)...)
	}
	k.next(math.MaxInt64, sorted(entries)...)
}

func testUnlinking(k *kit) {
	files, ok := k.opener.(FileOpener)
	if !ok {
		k.t.Skip("this store keeps no files")
	}
	k.append(disorder(15, 300, 500)...)
	k.must(k.store.Commit(nil))
	before := files.Files()
	if len(before) != 5 {
		k.t.Fatalf("%d files of 5 buckets: %v", len(before), before)
	}
	k.must(k.log.DropBefore(300))
	if after := files.Files(); !slices.Equal(before, after) {
		k.t.Fatalf("files %v before the commit that drops some, want %v", after, before)
	}
	k.must(k.store.Commit(nil))
	if after := files.Files(); len(after) != 2 {
		k.t.Fatalf("files %v after that commit, want two of %v", after, before)
	}
	k.append(disorder(16, 300, 1000)...)
	k.reopen()
	if after := files.Files(); len(after) != 2 {
		k.t.Fatalf("files %v after a crash, want the two that were committed of %v", after, before)
	}
}
