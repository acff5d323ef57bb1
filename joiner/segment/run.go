package segment

import (
	"slices"

	"github.com/mortise-dev/mortise/joiner"
)

// run walks some entries of a block in cursor order. A key is an entry's time
// since the bucket's start, above 12 bits of its number in the block: sorting
// plain integers is several times faster than comparing cursors.
type run struct {
	block *Block
	keys  []uint64 // ascending
	next  int      // the key to come
}

const entryBits = 12

// open makes the run walk the entries of block numbered from to to that lie at
// or after since. It reuses the keys' memory.
func (r *run) open(block *Block, from, to int, since joiner.Cursor) {
	r.block, r.keys, r.next = block, r.keys[:0], 0
	skip := block.min.Less(since)
	var last uint64
	sorted := true
	for i := from; i < to; i++ {
		if skip && block.Cursor(i).Less(since) {
			continue
		}
		t, _ := uvarint(block.data, int(block.starts[i]))
		key := t<<entryBits | uint64(i)
		sorted = sorted && last <= key
		last = key
		r.keys = append(r.keys, key)
	}
	if !sorted {
		slices.Sort(r.keys)
	}
	r.sortTies()
}

// sortTies puts entries of one event time into order of partition and offset;
// where these are equal too, append order stays.
func (r *run) sortTies() {
	for i := 1; i < len(r.keys); i++ {
		if r.keys[i]>>entryBits != r.keys[i-1]>>entryBits {
			continue
		}
		end := i + 1
		for end < len(r.keys) && r.keys[end]>>entryBits == r.keys[i]>>entryBits {
			end++
		}
		r.sortTie(r.keys[i-1 : end])
		i = end
	}
}

func (r *run) sortTie(keys []uint64) {
	if len(keys) > 32 {
		slices.SortStableFunc(keys, func(a, b uint64) int { return compare(r.at(a), r.at(b)) })
		return
	}
	for i := 1; i < len(keys); i++ {
		for j := i; j > 0 && r.at(keys[j]).Less(r.at(keys[j-1])); j-- {
			keys[j], keys[j-1] = keys[j-1], keys[j]
		}
	}
}

func (r *run) at(key uint64) joiner.Cursor { return r.block.Cursor(int(key & (MaxEntries - 1))) }

// entry is the number in the block of the entry to come.
func (r *run) entry() int { return int(r.keys[r.next] & (MaxEntries - 1)) }

func (r *run) done() bool { return r.next == len(r.keys) }
