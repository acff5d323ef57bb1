package statetest

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mortise-dev/mortise/joiner"
)

// sorted returns the entries in scan order.
func sorted(entries []joiner.Entry) []joiner.Entry {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b joiner.Entry) int {
		switch {
		case a.Position().Less(b.Position()):
			return -1
		case b.Position().Less(a.Position()):
			return 1
		}
		return 0
	})
	return entries
}

// disorder makes n entries over spanMS of event time, shuffled, of three partitions.
func disorder(seed uint64, n int, spanMS int64) (entries []joiner.Entry) {
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range n {
		entries = append(entries, at(r.Int64N(spanMS), int32(r.IntN(3)), int64(i)))
	}
	return entries
}

func testEmpty(k *kit) {
	k.next(math.MaxInt64)
	k.next(math.MinInt64)
	k.each()
	lows := map[uint16]int64{}
	if k.log.Lows(lows); len(lows) != 0 {
		k.t.Fatalf("Lows of an empty log: %v", lows)
	}
	k.must(k.log.DropBefore(1000))
	k.must(k.log.Seek(joiner.Cursor{TimeMS: 5}))
	k.next(math.MaxInt64)
}

func testFields(k *kit) {
	entries := []joiner.Entry{
		{},
		{TimeMS: 1, Value: []byte("v")},
		{TimeMS: 2, Key: []byte("k")},
		{TimeMS: 3, Partition: math.MaxInt32, Offset: math.MaxInt64, Source: math.MaxUint16, Flags: math.MaxUint16, Accept: math.MaxUint32, Key: []byte("key"), Value: []byte("value")},
		{TimeMS: 4, Partition: math.MinInt32, Offset: math.MinInt64, Source: 1, Flags: 2, Accept: 3, Key: make([]byte, 100), Value: bytes.Repeat([]byte{255}, 100)},
		{TimeMS: 99, Partition: 7, Offset: 1 << 40, Source: 300, Flags: 128, Accept: 1 << 31},
	}
	k.append(entries...)
	k.each(entries...)
	k.next(100, entries...)
	k.must(k.store.Commit(nil))
	k.reopen()
	k.each(entries...)
	k.next(100, entries...)
}

func testOrder(k *kit) {
	entries := disorder(1, 3000, 1000)
	k.append(entries...)
	k.next(math.MaxInt64, sorted(entries)...)
	k.must(k.store.Commit(nil))
	k.reopen()
	k.next(math.MaxInt64, sorted(entries)...)
}

func testTies(k *kit) {
	var entries []joiner.Entry
	for i := range 300 {
		e := at(int64(i/100), int32(i%3), int64(-i%7))
		e.Key = fmt.Append(nil, i) // in one position, append order
		entries = append(entries, e)
	}
	slices.Reverse(entries)
	k.append(entries...)
	k.next(math.MaxInt64, sorted(entries)...)
	k.must(k.store.Commit(nil))
	k.reopen()
	k.next(math.MaxInt64, sorted(entries)...)
}

func testBefore(k *kit) {
	k.append(at(250, 0, 2), at(100, 0, 0), at(199, 0, 1))
	k.next(100)
	k.next(101, at(100, 0, 0))
	k.next(199)
	k.next(200, at(199, 0, 1))
	k.next(200)
	k.next(251, at(250, 0, 2))
	k.next(math.MaxInt64)
}

func testAppendWhileScanning(k *kit) {
	k.append(at(10, 0, 0), at(30, 0, 1))
	var e joiner.Entry
	ok, err := k.log.Next(1000, &e)
	k.must(err)
	if want := at(10, 0, 0); !ok || !equal(&e, &want) {
		k.t.Fatalf("Next: %v %s", ok, describe(&e))
	}
	k.append(at(20, 0, 2), at(5, 0, 3), at(10, 0, -1), at(10, 0, 4)) // the second and third behind
	k.next(15, at(10, 0, 4))
	k.append(at(12, 0, 5), at(250, 0, 6))
	k.next(31, at(12, 0, 5), at(20, 0, 2), at(30, 0, 1))
	for i := range int64(200) { // enough for blocks to be written in between
		k.append(at(40+i/4, 0, 10+i))
		k.next(100, at(40+i/4, 0, 10+i))
	}
	var rest []joiner.Entry
	for i := range int64(200) {
		rest = append(rest, at(251-i/10, 1, 500+i))
		k.append(rest[i])
		k.next(200)
	}
	k.next(300, sorted(append(rest, at(250, 0, 6)))...)
}

func testAppendEarlier(k *kit) {
	k.append(at(10, 0, 0), at(350, 0, 1))
	k.next(320, at(10, 0, 0)) // looks into the bucket of 350
	k.append(at(220, 0, 2), at(120, 0, 3), at(310, 0, 4))
	k.next(340, at(120, 0, 3), at(220, 0, 2), at(310, 0, 4))
	k.append(at(150, 0, 5)) // behind
	k.next(math.MaxInt64, at(350, 0, 1))
}

func testSeek(k *kit) {
	entries := sorted(disorder(2, 1000, 1000))
	shuffled := slices.Clone(entries)
	rand.New(rand.NewPCG(3, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	k.append(shuffled...)
	for _, reopen := range []bool{false, true} {
		if reopen {
			k.must(k.store.Commit(nil))
			k.reopen()
		}
		for _, i := range []int{500, 499, 0, 999, 7} {
			k.must(k.log.Seek(entries[i].Position()))
			k.next(math.MaxInt64, entries[i:]...)
		}
		k.must(k.log.Seek(joiner.Cursor{TimeMS: 5000}))
		k.next(math.MaxInt64)
		k.must(k.log.Seek(joiner.Cursor{TimeMS: math.MinInt64}))
		k.next(entries[20].TimeMS, entries[:slices.IndexFunc(entries, func(e joiner.Entry) bool { return e.TimeMS == entries[20].TimeMS })]...)
	}
}

func testAliasing(k *kit) {
	entries := sorted(disorder(4, 200, 1000))
	refs := k.append(entries...)
	busy := func(e *joiner.Entry, want *joiner.Entry) {
		for i := range int64(50) { // writes blocks, reuses buffers
			k.append(at(2000+i*10, 0, 10_000+i))
		}
		k.must(k.log.DropBefore(want.TimeMS - 100))
		k.same("entry after appending", e, want)
	}
	var e joiner.Entry
	for i := range entries[:40] {
		ok, err := k.log.Next(math.MaxInt64, &e)
		k.must(err)
		if !ok {
			k.t.Fatal("Next: no entry")
		}
		busy(&e, &entries[i])
	}
	for i := len(refs) - 40; i < len(refs); i++ {
		k.must(k.log.Read(refs[i], &e))
		busy(&e, &entries[i])
		k.must(k.store.Commit(nil))
		k.same("entry after a commit", &e, &entries[i])
	}
}
