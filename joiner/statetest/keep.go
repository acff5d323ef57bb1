package statetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mortise-dev/mortise/joiner"
)

// byBucket returns the entries in the order of Each: buckets of 100 ms by time,
// append order within.
func byBucket(entries []joiner.Entry) []joiner.Entry {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b joiner.Entry) int {
		x, y := bucketOf(a.TimeMS, 100), bucketOf(b.TimeMS, 100)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return entries
}

func bucketOf(timeMS, bucketMS int64) int64 {
	b := timeMS / bucketMS
	if b*bucketMS > timeMS {
		b--
	}
	return b
}

func testEach(k *kit) {
	entries := disorder(5, 1000, 1000)
	k.append(entries[:600]...)
	k.each(byBucket(entries[:600])...)
	k.must(k.store.Commit(nil))
	k.append(entries[600:]...)
	k.each(byBucket(entries)...)
	for _, sinceMS := range []int64{-1, 99, 100, 101, 550, 999, 1000, math.MaxInt64} {
		late := slices.DeleteFunc(byBucket(entries), func(e joiner.Entry) bool { return bucketOf(e.TimeMS, 100) < bucketOf(sinceMS, 100) })
		k.must(k.log.Each(sinceMS, func(_ joiner.Ref, e *joiner.Entry) error {
			if len(late) == 0 {
				return fmt.Errorf("Each since %d: %s is one too many", sinceMS, describe(e))
			}
			k.same("Each", e, &late[0])
			late = late[1:]
			return nil
		}))
		if len(late) > 0 {
			k.t.Fatalf("Each since %d: %d entries are missing", sinceMS, len(late))
		}
	}
	stop := errors.New("stop")
	calls := 0
	err := k.log.Each(math.MinInt64, func(joiner.Ref, *joiner.Entry) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		k.t.Fatalf("Each after an error: %d calls, %v", calls, err)
	}
}

func testRead(k *kit) {
	entries := disorder(6, 1000, 1000)
	var refs []joiner.Ref
	var e joiner.Entry
	for i := range entries {
		refs = append(refs, k.append(entries[i])...)
		for _, j := range []int{i, i / 2, i * 7 % (i + 1)} {
			k.must(k.log.Read(refs[j], &e))
			k.same("Read", &e, &entries[j])
		}
	}
	seen := map[joiner.Ref]bool{}
	for _, ref := range refs {
		if seen[ref] {
			k.t.Fatalf("two entries at %+v", ref)
		}
		seen[ref] = true
	}
	k.must(k.store.Commit(nil))
	k.reopen()
	more := k.append(disorder(7, 100, 1000)...)
	for i := range entries {
		k.must(k.log.Read(refs[i], &e))
		k.same("Read after reopening", &e, &entries[i])
	}
	for _, ref := range append(more, joiner.Ref{}) {
		if seen[ref] {
			k.t.Fatalf("%+v was given twice", ref)
		}
	}
	if err := k.log.Read(joiner.Ref{File: 1 << 30}, &e); err == nil {
		k.t.Fatal("Read of a ref that was never given: no error")
	}
}

func testDrop(k *kit) {
	entries := disorder(8, 500, 1000)
	refs := k.append(entries...)
	for _, timeMS := range []int64{0, 99, 100, 101, 399, 400, 950, 1000, 2000} {
		k.must(k.log.DropBefore(timeMS))
		left := slices.Clone(entries)
		left = slices.DeleteFunc(left, func(e joiner.Entry) bool { return (e.TimeMS/100+1)*100 <= timeMS })
		k.each(byBucket(left)...)
	}
	var e joiner.Entry
	if err := k.log.Read(refs[0], &e); err == nil {
		k.t.Fatal("Read of a dropped entry: no error")
	}
	k.append(at(50, 0, 1)) // a dropped bucket begins anew
	k.each(at(50, 0, 1))
	k.next(100, at(50, 0, 1))
}

func testDropWhileScanning(k *kit) {
	entries := sorted(disorder(9, 500, 1000))
	k.append(entries...)
	var e joiner.Entry
	for i := range 30 {
		ok, err := k.log.Next(1000, &e)
		k.must(err)
		if !ok {
			k.t.Fatal("Next: no entry")
		}
		k.same("Next", &e, &entries[i])
	}
	k.must(k.log.DropBefore(300))
	rest := slices.IndexFunc(entries, func(e joiner.Entry) bool { return e.TimeMS >= 300 })
	k.next(1000, entries[rest:]...)
	k.must(k.log.DropBefore(2000))
	k.next(math.MaxInt64)
	k.append(at(1500, 0, 0))
	k.next(math.MaxInt64, at(1500, 0, 0))
}

func testLows(k *kit) {
	want := func(want map[uint16]int64) {
		k.t.Helper()
		got := map[uint16]int64{}
		k.log.Lows(got)
		if len(got) != len(want) {
			k.t.Fatalf("Lows: %v, want %v", got, want)
		}
		for source, offset := range want {
			if got[source] != offset {
				k.t.Fatalf("Lows: %v, want %v", got, want)
			}
		}
	}
	put := func(timeMS int64, source uint16, offset int64) {
		e := at(timeMS, 0, offset)
		e.Source = source
		k.append(e)
	}
	put(50, 0, 10)
	put(150, 0, 7)
	put(250, 0, 20)
	put(60, 1, 5)
	put(260, 1, 6)
	put(170, 2, 3)
	want(map[uint16]int64{0: 7, 1: 5, 2: 3})
	k.must(k.store.Commit(nil))
	k.reopen()
	want(map[uint16]int64{0: 7, 1: 5, 2: 3})
	k.must(k.log.DropBefore(100))
	want(map[uint16]int64{0: 7, 1: 6, 2: 3})
	put(255, 1, 4)
	k.must(k.log.DropBefore(200))
	want(map[uint16]int64{0: 20, 1: 4})
	merged := map[uint16]int64{0: 8, 1: 9}
	k.log.Lows(merged)
	if merged[0] != 8 || merged[1] != 4 {
		k.t.Fatalf("Lows into a map that has lower ones: %v", merged)
	}
}

func testExtremeTimes(k *kit) {
	const year2100MS = 4_102_444_800_000
	entries := []joiner.Entry{
		at(-1, 0, 0), at(0, 0, 1), at(-100, 0, 2), at(-101, 0, 3), at(-250, 0, 4), at(year2100MS, 0, 5), at(-2_208_988_800_000, 0, 6),
		at(math.MaxInt64, 0, 7), at(math.MinInt64, 0, 8), at(math.MaxInt64-150, 0, 9), at(math.MinInt64+150, 0, 10),
	}
	k.append(entries...)
	k.each(byBucket(entries)...)
	last := len(entries) - 1
	k.next(math.MaxInt64, sorted(entries)[:last]...) // no time is after the last
	k.must(k.store.Commit(nil))
	k.reopen()
	k.next(0, sorted(entries)[:7]...)
	k.must(k.log.DropBefore(-100))
	k.next(year2100MS, at(0, 0, 1))
	k.must(k.log.DropBefore(math.MinInt64))
	k.must(k.log.DropBefore(math.MaxInt64))
	k.each(entries[7])
}

func testManyBuckets(k *kit) {
	r := rand.New(rand.NewPCG(10, 0))
	var entries []joiner.Entry
	for i := range int64(2000) {
		entries = append(entries, at(r.Int64N(500)*100+r.Int64N(100), 0, i))
	}
	k.append(entries[:1000]...)
	k.must(k.store.Commit(nil))
	k.append(entries[1000:]...)
	k.must(k.store.Commit(nil))
	k.reopen()
	k.each(byBucket(entries)...)
	k.next(math.MaxInt64, sorted(entries)...)
}

func testBigEntries(k *kit) {
	big := func(e joiner.Entry, size int) joiner.Entry {
		e.Value = bytes.Repeat([]byte("a big value "), size/12+1)[:size]
		return e
	}
	most := 64 << 20
	if slow, ok := k.opener.(SlowOpener); ok {
		most = slow.BigBytes()
	}
	entries := []joiner.Entry{at(10, 0, 0), big(at(11, 0, 1), most), at(12, 0, 2), big(at(13, 0, 3), 1<<20), big(at(9, 0, 4), 399), big(at(8, 0, 5), 401), at(14, 0, 6)}
	refs := k.append(entries...)
	var e joiner.Entry
	for i := range refs {
		k.must(k.log.Read(refs[i], &e))
		k.same("Read", &e, &entries[i])
	}
	k.must(k.store.Commit(nil))
	k.reopen()
	for i := range refs {
		k.must(k.log.Read(refs[i], &e))
		k.same("Read after reopening", &e, &entries[i])
	}
	k.next(100, sorted(entries)...)
}
