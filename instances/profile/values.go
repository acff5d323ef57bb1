package profile

import (
	"slices"
	"strings"

	"github.com/zeebo/xxh3"
)

// values counts how often each value comes. Up to maxExact different ones are
// counted exactly. From then on it is bounded sketches: which values make up a
// hundredth or more, and about how many different ones there are.
type values struct {
	count   int64
	slots   []int32 // 1 + index in entries, by hash; 0 where there is none
	entries []entry
	text    []byte
	many    *sketch // instead of the above, once there are many
}

// entry is one value; of a long one the text is its beginning.
type entry struct {
	hash     uint64
	count    int64
	from, to int32 // in text
}

const (
	maxExact     = 4096
	maxTextBytes = 256 << 10 // of all exact values of a column
	maxShown     = 96        // bytes of one value
)

func (v *values) add(value []byte) { v.addHashed(xxh3.Hash(value), value, 1) }

func (v *values) addHashed(hash uint64, value []byte, n int64) {
	v.count += n
	if v.many != nil {
		v.many.add(hash, value, n, v.count)
		return
	}
	if len(v.slots) == 0 {
		v.slots = make([]int32, 64)
	}
	mask := uint64(len(v.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		at := v.slots[i]
		if at == 0 {
			v.insert(i, hash, value, n)
			return
		}
		if e := &v.entries[at-1]; e.hash == hash {
			e.count += n
			return
		}
	}
}

func (v *values) insert(slot, hash uint64, value []byte, n int64) {
	value = shown(value)
	if len(v.entries) == maxExact || len(v.text)+len(value) > maxTextBytes {
		v.toMany()
		v.many.add(hash, value, n, v.count)
		return
	}
	from := int32(len(v.text))
	v.text = append(v.text, value...)
	v.entries = append(v.entries, entry{hash, n, from, int32(len(v.text))})
	v.slots[slot] = int32(len(v.entries))
	if 2*len(v.entries) > len(v.slots) {
		v.rehash(4 * len(v.slots))
	}
}

func (v *values) rehash(size int) {
	v.slots = make([]int32, size)
	mask := uint64(size - 1)
	for at := range v.entries {
		i := v.entries[at].hash & mask
		for v.slots[i] != 0 {
			i = (i + 1) & mask
		}
		v.slots[i] = int32(at + 1)
	}
}

func shown(value []byte) []byte { return value[:min(len(value), maxShown)] }

func (v *values) textOf(e *entry) []byte { return v.text[e.from:e.to] }

// toMany goes over to sketches.
func (v *values) toMany() {
	v.many = newSketch()
	for i := range v.entries {
		e := &v.entries[i]
		v.many.add(e.hash, v.textOf(e), e.count, v.count)
	}
	v.slots, v.entries, v.text = nil, nil, nil
}

func (v *values) merge(o *values) {
	if o.many == nil {
		for i := range o.entries {
			e := &o.entries[i]
			v.addHashed(e.hash, o.textOf(e), e.count)
		}
		return
	}
	v.count += o.count
	if v.many == nil {
		v.toMany()
	}
	v.many.merge(o.many, v.count)
}

// distinct returns how many different values there are; exact says whether that
// is the very number.
func (v *values) distinct() (n int64, exact bool) {
	if v.many != nil {
		return v.many.distinct(), false
	}
	return int64(len(v.entries)), true
}

// top returns the most frequent values, the most frequent first; of many, only
// those that make up a hundredth or more, and how often about.
func (v *values) top(n int) []ValueCount {
	var all []ValueCount
	if v.many != nil {
		all = v.many.frequent(v.count)
	}
	for i := range v.entries {
		all = append(all, ValueCount{string(v.textOf(&v.entries[i])), v.entries[i].count})
	}
	slices.SortFunc(all, func(a, b ValueCount) int {
		if a.Count != b.Count {
			return int(min(max(b.Count-a.Count, -1), 1))
		}
		return strings.Compare(a.Value, b.Value)
	})
	return all[:min(n, len(all))]
}
