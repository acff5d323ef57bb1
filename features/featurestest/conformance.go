package featurestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/features"
)

// kit is one store under test.
type kit struct {
	t      *testing.T
	opener Opener
	store  features.Store
}

func newKit(t *testing.T, open func(t *testing.T) Opener) *kit {
	k := &kit{t: t, opener: open(t)}
	k.reopen()
	t.Cleanup(k.opener.Crash)
	return k
}

// reopen ends the store as kill -9 does and opens it again.
func (k *kit) reopen() {
	k.t.Helper()
	k.opener.Crash()
	var err error
	if k.store, err = k.opener.Open(); err != nil {
		k.t.Fatal(err)
	}
}

// chunk is a chunk with one count in one tile, as a writer makes it.
func chunk(count byte) []byte { return []byte{1, 0, 2, 0, count} }

func key(shard, group uint16, level uint8, at int32, entity string) features.Key {
	return features.Key{Shard: shard, Group: group, Level: level, Chunk: at, Entity: []byte(entity)}
}

func (k *kit) commit(c features.Commit) {
	k.t.Helper()
	if err := k.store.Commit(context.Background(), &c); err != nil {
		k.t.Fatal(err)
	}
}

// put commits chunks of count 1 for the tasks that write the keys' shards.
func (k *kit) put(keys ...features.Key) {
	k.t.Helper()
	commits := map[uint16]*features.Commit{}
	for _, key := range keys {
		c := commits[key.Shard]
		if c == nil {
			c = k.next(key.Shard)
			commits[key.Shard] = c
		}
		c.Chunks = append(c.Chunks, features.Chunk{Key: key, Data: chunk(1)})
	}
	for _, c := range commits {
		k.commit(*c)
	}
}

// next is an empty commit of the task that writes a shard, from where it is.
func (k *kit) next(shard uint16) *features.Commit {
	k.t.Helper()
	task := taskOf(shard)
	before := k.positions()[task]
	return &features.Commit{Task: task, Shard: shard, Before: before, After: append(slices.Clone(before), 'x')}
}

func taskOf(shard uint16) string { return fmt.Sprint("task ", shard) }

func (k *kit) positions() map[string][]byte {
	k.t.Helper()
	all, err := k.store.Positions(context.Background())
	if err != nil {
		k.t.Fatal(err)
	}
	return all
}

// counts reads chunks of one count in one tile; 0 is none.
func (k *kit) counts(keys ...features.Key) []int {
	k.t.Helper()
	out := make([]int, len(keys))
	err := k.store.Read(context.Background(), keys, func(i int, data []byte) error {
		if out[i] != 0 {
			return fmt.Errorf("key %d comes twice", i)
		}
		if len(data) != 5 || !bytes.Equal(data[:4], chunk(0)[:4]) {
			return fmt.Errorf("key %d: chunk %x", i, data)
		}
		out[i] = int(data[4])
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

func (k *kit) want(keys []features.Key, want ...int) {
	k.t.Helper()
	if got := k.counts(keys...); !slices.Equal(got, want) {
		k.t.Errorf("counts %v, want %v", got, want)
	}
}

func testNumbers(k *kit) {
	numbers := func(scope string, names ...string) []uint32 {
		k.t.Helper()
		out, err := k.store.Numbers(context.Background(), scope, names)
		if err != nil {
			k.t.Fatal(err)
		}
		return out
	}
	check := func(got []uint32, want ...uint32) {
		k.t.Helper()
		if !slices.Equal(got, want) {
			k.t.Errorf("numbers %v, want %v", got, want)
		}
	}
	check(numbers("s", "a", "b", "a"), 0, 1, 0)
	check(numbers("s"))
	check(numbers("t", "b"), 0)
	check(numbers("s", "c", "a|b", "", "b"), 2, 3, 4, 1)
	k.reopen()
	check(numbers("s", "", "a|b", "c", "b", "a", "d"), 4, 3, 2, 1, 0, 5)

	// All who ask at once get the same.
	var all [8][]uint32
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() {
			names := []string{"p", "q", "r", "u", "v"}
			slices.SortFunc(names, func(a, b string) int { return int(a[0]*byte(i+1)) - int(b[0]*byte(i+1)) })
			out, err := k.store.Numbers(context.Background(), "many", names)
			if err != nil {
				k.t.Error(err)
				return
			}
			byName := map[string]uint32{}
			for at, name := range names {
				byName[name] = out[at]
			}
			for _, name := range slices.Sorted(maps.Keys(byName)) {
				all[i] = append(all[i], byName[name])
			}
		})
	}
	group.Wait()
	for i := range all {
		check(all[i], all[0]...)
	}
	if sorted := slices.Sorted(slices.Values(all[0])); !slices.Equal(sorted, []uint32{0, 1, 2, 3, 4}) {
		k.t.Errorf("numbers %v", sorted)
	}
}

func testMerge(k *kit) {
	keys := []features.Key{key(0, 0, 0, 5, "e"), key(0, 0, 0, 5, ""), key(0, 0, 0, 5, "e\x00"), key(0, 0, 1, 5, "e"), key(0, 1, 0, 5, "e"),
		key(1, 0, 0, 5, "e"), key(0, 0, 0, -5, "e"), key(math.MaxUint16, math.MaxUint16, 7, math.MaxInt32, "{e}\xff*"), key(0, 0, 0, math.MinInt32, "e")}
	none := make([]int, len(keys))
	k.want(keys, none...)
	k.put(keys[0])
	k.want(keys, 1, 0, 0, 0, 0, 0, 0, 0, 0)
	k.put(keys...)
	k.put(keys[7], keys[0])
	k.want(keys, 3, 1, 1, 1, 1, 1, 1, 2, 1)
	k.reopen()
	k.want(keys, 3, 1, 1, 1, 1, 1, 1, 2, 1)
	k.put(keys...)
	k.want(keys, 4, 2, 2, 2, 2, 2, 2, 3, 2)
	k.want(nil)
}

// The bytes given to a commit are the caller's again, and those given to a reader
// the store's.
func testBuffers(k *kit) {
	data, entity, task, after := chunk(1), []byte("e"), []byte("t"), []byte("here")
	c := features.Commit{Task: string(task), After: after, Chunks: []features.Chunk{{Key: features.Key{Entity: entity}, Data: data}}}
	k.commit(c)
	copy(after, "gone")
	data[4], entity[0] = 9, 'f'
	k.want([]features.Key{key(0, 0, 0, 0, "e"), key(0, 0, 0, 0, "f")}, 1, 0)
	position := k.positions()["t"]
	if string(position) != "here" {
		k.t.Errorf("position %q", position)
	}
	copy(position, "gone")
	if position := k.positions()["t"]; string(position) != "here" {
		k.t.Errorf("position %q", position)
	}
}

func testReadEnds(k *kit) {
	keys := []features.Key{key(0, 0, 0, 0, "a"), key(0, 0, 0, 0, "b"), key(0, 0, 0, 0, "c")}
	k.put(keys...)
	stop, calls := errors.New("stop"), 0
	err := k.store.Read(context.Background(), keys, func(int, []byte) error { calls++; return stop })
	if !errors.Is(err, stop) || calls != 1 {
		k.t.Errorf("%d calls, then %v", calls, err)
	}
}

func testFencing(k *kit) {
	at := key(0, 0, 0, 0, "e")
	k.put(at)
	for _, before := range [][]byte{nil, []byte("y"), []byte("xx")} {
		c := features.Commit{Task: taskOf(0), Before: before, After: []byte("z"), Chunks: []features.Chunk{{Key: at, Data: chunk(5)}}, Drop: []features.Range{{All: true}}}
		if err := k.store.Commit(context.Background(), &c); !errors.Is(err, features.ErrFenced) {
			k.t.Errorf("over %q: %v", before, err)
		}
	}
	c := features.Commit{Task: "unknown", Before: []byte("x"), After: []byte("z")}
	if err := k.store.Commit(context.Background(), &c); !errors.Is(err, features.ErrFenced) {
		k.t.Errorf("of a task that has no position: %v", err)
	}
	k.reopen()
	k.want([]features.Key{at}, 1)
	if got := k.positions(); len(got) != 1 || string(got[taskOf(0)]) != "x" {
		k.t.Errorf("positions %q", got)
	}
	k.commit(features.Commit{Task: taskOf(0), Before: []byte("x")}) // forget it
	k.put(at)
	k.want([]features.Key{at}, 2)
}

// Of two commits over one position one wins.
func testRace(k *kit) {
	at := key(3, 0, 0, 0, "e")
	for round := range 20 {
		before := k.positions()[taskOf(3)]
		var mu sync.Mutex
		var group sync.WaitGroup
		won := 0
		for i := range 4 {
			group.Go(func() {
				c := features.Commit{Task: taskOf(3), Shard: 3, Before: before, After: fmt.Append(nil, round, i), Chunks: []features.Chunk{{Key: at, Data: chunk(1)}}}
				err := k.store.Commit(context.Background(), &c)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !errors.Is(err, features.ErrFenced) {
					k.t.Error(err)
				}
			})
		}
		group.Wait()
		if won != 1 {
			k.t.Fatalf("%d of 4 commits were done", won)
		}
	}
	k.want([]features.Key{at}, 20)
}

func testDrop(k *kit) {
	var keys []features.Key
	for _, shard := range []uint16{0, 1} {
		for _, group := range []uint16{0, 1} {
			for _, level := range []uint8{0, 1} {
				for _, at := range []int32{math.MinInt32, -1, 0, 9, 10, math.MaxInt32} {
					keys = append(keys, key(shard, group, level, at, "a"), key(shard, group, level, at, "\xff\xff"))
				}
			}
		}
	}
	k.put(keys...)
	drop := func(shard uint16, r features.Range) {
		k.t.Helper()
		c := k.next(shard)
		c.Drop, c.Chunks = []features.Range{r}, []features.Chunk{{Key: key(shard, 0, 1, 8, "new"), Data: chunk(1)}}
		k.commit(*c)
	}
	gone := func(is func(key *features.Key) bool) {
		k.t.Helper()
		for i, n := range k.counts(keys...) {
			if want := 1; is(&keys[i]) {
				if n != 0 {
					k.t.Errorf("%v is still there", keys[i])
				}
			} else if n != want {
				k.t.Errorf("%v is gone", keys[i])
			}
		}
	}
	drop(0, features.Range{Group: 0, Level: 1, Before: math.MinInt32})
	gone(func(*features.Key) bool { return false })
	k.want([]features.Key{key(0, 0, 1, 8, "new")}, 1)
	drop(0, features.Range{Group: 0, Level: 1, Before: 10}) // chunks of the same commit, too
	dropped := func(key *features.Key) bool {
		return key.Shard == 0 && key.Group == 0 && key.Level == 1 && key.Chunk < 10
	}
	gone(dropped)
	k.want([]features.Key{key(0, 0, 1, 8, "new")}, 0)
	k.reopen()
	gone(dropped)
	k.put(key(0, 0, 1, 8, "new"))
	k.want([]features.Key{key(0, 0, 1, 8, "new")}, 1)
	drop(1, features.Range{All: true})
	gone(func(key *features.Key) bool { return key.Shard == 1 || dropped(key) })
}

// Many chunks in one commit, and many keys in one read.
func testMany(k *kit) {
	const n = 5000
	var keys []features.Key
	for i := range n {
		keys = append(keys, key(uint16(i%3), 0, 0, int32(i%7), fmt.Sprint("entity ", i)))
	}
	k.put(keys...)
	k.put(keys[:n/2]...)
	k.reopen()
	for i, got := range k.counts(slices.Concat(keys, []features.Key{key(0, 0, 0, 0, "none")})...) {
		want := 1
		if i < n/2 {
			want = 2
		} else if i == n {
			want = 0
		}
		if got != want {
			k.t.Fatalf("key %d: %d, want %d", i, got, want)
		}
	}
}

// Tasks commit and readers read, all at once.
func testConcurrent(k *kit) {
	var group sync.WaitGroup
	const commits = 30
	keys := func(task int) (out []features.Key) {
		for i := range 20 {
			out = append(out, key(uint16(task), 0, 0, int32(i%2), fmt.Sprint(i)))
		}
		return out
	}
	done := make(chan struct{})
	for task := range 3 {
		group.Go(func() {
			var before []byte
			for n := range commits {
				c := features.Commit{Task: taskOf(uint16(task)), Shard: uint16(task), Before: before, After: fmt.Append(nil, n)}
				for _, key := range keys(task) {
					c.Chunks = append(c.Chunks, features.Chunk{Key: key, Data: chunk(1)})
				}
				if err := k.store.Commit(context.Background(), &c); err != nil {
					k.t.Error(err)
					return
				}
				before = c.After
			}
		})
	}
	var readers sync.WaitGroup
	for task := range 3 {
		readers.Go(func() {
			last := 0
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true
				default:
				}
				err := k.store.Read(context.Background(), keys(task), func(i int, data []byte) error {
					if n := int(data[4]); i == 0 && n < last {
						return fmt.Errorf("%d after %d", n, last)
					} else if i == 0 {
						last = n
					}
					return nil
				})
				if err != nil {
					k.t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	close(done)
	readers.Wait()
	for task := range 3 {
		for _, n := range k.counts(keys(task)...) {
			if n != commits {
				k.t.Fatalf("%d of %d commits are there", n, commits)
			}
		}
	}
}

// A caller that has gone is not waited for.
func testCancelled(k *kit) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	at := key(0, 0, 0, 0, "e")
	err := k.store.Commit(ctx, &features.Commit{Task: "t", After: []byte("x"), Chunks: []features.Chunk{{Key: at, Data: chunk(1)}}})
	if n, there := k.counts(at)[0], k.positions()["t"] != nil; (n == 1) != there || err == nil && !there {
		k.t.Errorf("a commit that returned %v left %d and position %v", err, n, there)
	}
}
