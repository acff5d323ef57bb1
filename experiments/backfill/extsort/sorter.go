package extsort

import (
	"cmp"
	"slices"
)

// Sorter holds records in memory until they are written, sorted, as one spill.
// One goroutine uses it; it reuses its memory from spill to spill.
type Sorter struct {
	splits int
	limit  int // bytes

	entries []entry
	chunks  [][]byte // the values, each chunk filled up to its length
	chunk   int      // of chunks, the one being filled
	used    int      // bytes

	order []uint32 // entries by split, then in order
	ends  []uint32 // per split: where its entries end in order
	rec   Record
}

// entry is a record whose bytes lie in a chunk.
type entry struct {
	timeMS, position int64
	aheadMS          int32
	unit             uint32
	lane, split      uint16
	chunk, off       uint32
	value, extra     uint32 // lengths
}

const (
	entryBytes = 48
	chunkBytes = 1 << 20
)

// MaxSplits is the greatest number of splits.
const MaxSplits = 1 << 12

// NewSorter makes a sorter that is full at about limitBytes.
func NewSorter(splits, limitBytes int) *Sorter {
	return &Sorter{splits: splits, limit: limitBytes, ends: make([]uint32, splits)}
}

// Add copies a record. It reports whether the sorter is full: time to Spill.
func (s *Sorter) Add(split int, r *Record) (full bool) {
	size := len(r.Value) + len(r.Extra)
	chunk := s.room(size)
	off := len(*chunk)
	*chunk = append(append(*chunk, r.Value...), r.Extra...)
	s.entries = append(s.entries, entry{r.TimeMS, r.Position, r.AheadMS, r.Unit, r.Lane, uint16(split), uint32(s.chunk), uint32(off), uint32(len(r.Value)), uint32(len(r.Extra))})
	s.used += size + entryBytes
	return s.used >= s.limit
}

// room returns a chunk with room for size bytes; a large record gets one of its own.
func (s *Sorter) room(size int) *[]byte {
	for ; s.chunk < len(s.chunks); s.chunk++ {
		if c := &s.chunks[s.chunk]; cap(*c)-len(*c) >= size {
			return c
		}
	}
	s.chunks = append(s.chunks, make([]byte, 0, max(chunkBytes, size)))
	return &s.chunks[s.chunk]
}

// Len returns how many records are held.
func (s *Sorter) Len() int { return len(s.entries) }

// Spill writes all records, split by split, and forgets them.
func (s *Sorter) Spill(w *Writer) error {
	s.sort()
	from := uint32(0)
	for split, end := range s.ends {
		if from == end {
			continue
		}
		w.Begin(split)
		for _, i := range s.order[from:end] {
			if err := w.Append(s.record(i)); err != nil {
				return err
			}
		}
		if err := w.End(); err != nil {
			return err
		}
		from = end
	}
	s.reset()
	return nil
}

func (s *Sorter) record(i uint32) *Record {
	e := &s.entries[i]
	chunk := s.chunks[e.chunk][e.off:]
	s.rec = Record{TimeMS: e.timeMS, AheadMS: e.aheadMS, Lane: e.lane, Unit: e.unit, Position: e.position,
		Value: chunk[:e.value], Extra: chunk[e.value : e.value+e.extra]}
	return &s.rec
}

// sort orders the entries: by split in one counting pass, then each split's own,
// which are few enough for the processor's cache, and mostly in order already.
func (s *Sorter) sort() {
	clear(s.ends)
	for i := range s.entries {
		s.ends[s.entries[i].split]++
	}
	sum := uint32(0)
	for split, n := range s.ends {
		s.ends[split] = sum
		sum += n
	}
	s.order = slices.Grow(s.order[:0], len(s.entries))[:len(s.entries)]
	for i := range s.entries {
		at := &s.ends[s.entries[i].split]
		s.order[*at] = uint32(i)
		*at++
	}
	from := uint32(0)
	for _, end := range s.ends {
		slices.SortFunc(s.order[from:end], s.compare)
		from = end
	}
}

func (s *Sorter) compare(i, j uint32) int {
	a, b := &s.entries[i], &s.entries[j]
	if a.timeMS != b.timeMS {
		if a.timeMS < b.timeMS {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.lane, b.lane), cmp.Compare(a.aheadMS, b.aheadMS), cmp.Compare(a.unit, b.unit), cmp.Compare(a.position, b.position))
}

// reset keeps the memory for the next records, but for chunks of single large ones.
func (s *Sorter) reset() {
	kept := s.chunks[:0]
	for _, c := range s.chunks {
		if cap(c) == chunkBytes {
			kept = append(kept, c[:0])
		}
	}
	clear(s.chunks[len(kept):])
	s.chunks, s.chunk, s.used, s.entries = kept, 0, 0, s.entries[:0]
}
