package featurestest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/features"
)

// spy notes the keys that are written.
type spy struct {
	features.Store
	keys map[string]features.Key
}

func (s *spy) Commit(ctx context.Context, c *features.Commit) error {
	for i := range c.Chunks {
		key := c.Chunks[i].Key
		key.Entity = bytes.Clone(key.Entity)
		s.keys[string(key.Append(nil))] = key
	}
	return s.Store.Commit(ctx, c)
}

// testRemoved removes the features of one entity from a task, and shortens the
// windows of another: their tiles go with the next commit, the others stay.
func testRemoved(k *kit) {
	ctx := context.Background()
	day := 24 * time.Hour
	stays := Define("stays", "views", "count", "", 10*time.Minute, time.Minute, "item")
	long := Define("long", "views", "count", "", 30*day, time.Minute, "item")
	gone := Define("gone", "views", "sum(qty)", "", 7*day, time.Minute, "user")
	s := &spy{Store: k.store, keys: map[string]features.Key{}}
	add := func(from, n int, defs ...features.Definition) *features.Set {
		k.t.Helper()
		set, err := features.Compile(defs, Sources)
		if err != nil {
			k.t.Fatal(err)
		}
		w, err := features.OpenWriter(ctx, set, s, features.WriterOptions{Task: "t", Shard: 2, Slot: Slot, SinceMS: math.MinInt64})
		if err != nil {
			k.t.Fatal(err)
		}
		for i := from; i < from+n; i++ {
			row := make(mortise.Row, len(Row))
			row[Row.Index("item")], row[Row.Index("user")], row[Row.Index("qty")] = mortise.StringValue(fmt.Sprint("i", i%5)), mortise.IntValue(int64(i%7)), mortise.IntValue(1)
			if err := w.Add(0, row, Base+int64(i)*1000); err != nil {
				k.t.Fatal(err)
			}
		}
		if err := w.Commit(ctx, nil, math.MaxInt64); err != nil {
			k.t.Fatal(err)
		}
		return set
	}
	count := func(set *features.Set, feature int, entity string) mortise.Value {
		k.t.Helper()
		r, err := features.OpenReader(ctx, set, s, features.ReaderOptions{Tasks: [][]string{{"t"}, {"t"}}})
		if err == nil {
			err = r.Refresh(ctx)
		}
		l := []features.Lookup{{Group: set.Features[feature].Group, Entity: []byte(entity), AsOfMS: Base + 300_000}}
		if err == nil {
			err = r.Read(ctx, l)
		}
		if err != nil {
			k.t.Fatal(err)
		}
		for at, f := range set.Groups[set.Features[feature].Group].Features {
			if f == feature {
				return l[0].Values[at]
			}
		}
		return mortise.NullValue()
	}
	set := add(0, 280, stays, long, gone)
	if stays, long, gone := count(set, 0, "i1"), count(set, 1, "i1"), count(set, 2, "3"); stays.Int() != 56 || long.Int() != 56 || gone.Int() != 40 {
		k.t.Fatalf("before: %v, %v, %v", stays, long, gone)
	}
	if left := k.left(s); left != len(s.keys) || left < 5*2+7*2 {
		k.t.Fatalf("%d of %d chunks are there", left, len(s.keys))
	}
	k.reopen()
	s.Store = k.store
	before := len(s.keys)
	set = add(280, 5, stays)
	if stays := count(set, 0, "i1"); stays.Int() != 57 {
		k.t.Errorf("what stays is %v, want 57", stays)
	}
	if left := k.left(s); left != 5 { // the finest tiles of five items, in a chunk each
		k.t.Errorf("%d chunks are left of %d, want 5", left, before)
	}
	k.reopen()
	s.Store = k.store
	set = add(285, 5, stays, gone) // it begins anew
	if stays, gone := count(set, 0, "i1"), count(set, 1, "5"); stays.Int() != 58 || gone.Int() != 1 {
		k.t.Errorf("added again: %v, %v", stays, gone)
	}
}

// left counts the keys that are there.
func (k *kit) left(s *spy) (n int) {
	k.t.Helper()
	for _, key := range s.keys {
		if err := s.Read(context.Background(), []features.Key{key}, func(int, []byte) error { n++; return nil }); err != nil {
			k.t.Fatal(err)
		}
	}
	return n
}
