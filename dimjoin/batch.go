package dimjoin

import (
	"bytes"
	"hash/maphash"
)

// batch is what one Read works with. It is used again and again, so that a batch
// out of the cache costs no allocation.
type batch struct {
	slots   []int32 // hash table: 1 + index of a group, 0 for free; a power of two, at most half full
	groups  []group // the batch's keys, each once
	open    []open
	refresh []int // answers whose key is worth reading again
}

// group is the answers of one key.
type group struct {
	number  int32 // its own index
	first   int   // an answer with the key
	hash    uint64
	entry   *Entry // what the cache holds
	refresh bool
}

// open is an answer that the cache does not have.
type open struct {
	answer int
	group  int32
	found  place // where its answer will be
}

func (b *batch) begin(answers int) {
	size := 16
	for size < 2*answers {
		size *= 2
	}
	if len(b.slots) < size {
		b.slots = make([]int32, size)
	}
	b.slots = b.slots[:size]
}

// group finds the group of answer i's key, whose entry it looks up where it is new.
// It is valid until the next call.
func (b *batch) group(r *Reader, answers []Answer, i int) *group {
	key := answers[i].Key
	hash := maphash.Bytes(r.seed, key)
	mask := uint64(len(b.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		n := b.slots[at]
		if n == 0 {
			number := int32(len(b.groups))
			b.groups = append(b.groups, group{number: number, first: i, hash: hash, entry: r.cache.Get(key)})
			b.slots[at] = number + 1
			return &b.groups[number]
		}
		if g := &b.groups[n-1]; g.hash == hash && bytes.Equal(answers[g.first].Key, key) {
			return g
		}
	}
}

// end lets go of everything but the memory.
func (b *batch) end() {
	clear(b.slots)
	b.slots = b.slots[:cap(b.slots)]
	clear(b.groups)
	clear(b.open)
	b.groups, b.open, b.refresh = b.groups[:0], b.open[:0], b.refresh[:0]
}
