package segment

import (
	"math"
	"slices"

	"github.com/mortise-dev/mortise/joiner"
)

// Merge reads the blocks of one bucket in cursor order. A block that is not in
// memory waits, known by its least cursor only, until the merge gets there; it
// is let go when its last entry was read. So memory holds the blocks that
// overlap in time at the merge's position, and no others.
type Merge struct {
	Pool *Pool

	waiting []waiting // by least cursor
	next    int       // waiting[next:] are still to be read
	heap    []head    // the open runs, the least first
	runs    []run
	idle    []int32 // of runs, not in use
}

// Loader reads a block that waits in a Merge, by the id that it was given.
type Loader interface {
	LoadBlock(id uint64) (*Block, error) // the caller releases it
}

type waiting struct {
	min joiner.Cursor
	id  uint64
}

// head is the entry to come of an open run.
type head struct {
	at  joiner.Cursor
	seq uint64 // decides between equal cursors: the entry appended first
	run int32
}

func (h *head) less(o *head) bool {
	if h.at != o.at {
		return h.at.Less(o.at)
	}
	return h.seq < o.seq
}

// Reset lets go of every block.
func (m *Merge) Reset() {
	for i := range m.heap {
		m.close(m.heap[i].run)
	}
	m.heap, m.waiting, m.next = m.heap[:0], m.waiting[:0], 0
}

// Wait adds a block that is to be read when the merge reaches min. Ids ascend
// in the order in which the blocks were appended. Call Start after the last one.
func (m *Merge) Wait(min joiner.Cursor, id uint64) {
	m.waiting = append(m.waiting, waiting{min, id})
}

// Start sorts what waits.
func (m *Merge) Start() {
	slices.SortFunc(m.waiting, func(a, b waiting) int { return compare(a.min, b.min) })
}

// Add adds the entries of block numbered from to to that lie at or after since.
// The merge holds the block until it has read them.
func (m *Merge) Add(block *Block, id uint64, from, to int, since joiner.Cursor) {
	var n int32
	if last := len(m.idle) - 1; last >= 0 {
		n, m.idle = m.idle[last], m.idle[:last]
	} else {
		n = int32(len(m.runs))
		m.runs = append(m.runs, run{})
	}
	r := &m.runs[n]
	r.open(block.Hold(), from, to, since)
	if r.done() {
		m.close(n)
		return
	}
	m.heap = append(m.heap, head{run: n})
	m.setHead(len(m.heap)-1, id)
	m.up(len(m.heap) - 1)
}

func (m *Merge) setHead(i int, id uint64) {
	h := &m.heap[i]
	r := &m.runs[h.run]
	entry := r.entry()
	h.at, h.seq = r.block.Cursor(entry), id<<entryBits|uint64(entry)
}

func (m *Merge) close(n int32) {
	r := &m.runs[n]
	m.Pool.Release(r.block)
	r.block = nil
	m.idle = append(m.idle, n)
}

// Empty reports whether nothing is left to read.
func (m *Merge) Empty() bool { return len(m.heap) == 0 && m.next == len(m.waiting) }

// Next reads the least entry that lies at or after since and before beforeMS
// into e, and returns the block that e aliases, nil when there is no such entry.
// The caller holds the block as long as it uses e.
func (m *Merge) Next(beforeMS int64, since joiner.Cursor, load Loader, e *joiner.Entry) (*Block, error) {
	for m.next < len(m.waiting) {
		w := &m.waiting[m.next]
		if w.min.TimeMS >= beforeMS || len(m.heap) > 0 && m.heap[0].at.Less(w.min) {
			break
		}
		block, err := load.LoadBlock(w.id)
		if err != nil {
			return nil, err
		}
		m.next++
		m.Add(block, w.id, 0, block.Len(), since)
		m.Pool.Release(block)
	}
	if len(m.heap) == 0 || m.heap[0].at.TimeMS >= beforeMS {
		return nil, nil
	}
	top := &m.heap[0]
	r := &m.runs[top.run]
	block := r.block.Hold()
	block.Entry(r.entry(), e)
	if r.next++; r.done() {
		m.close(top.run)
		last := len(m.heap) - 1
		m.heap[0] = m.heap[last]
		m.heap = m.heap[:last]
	} else {
		m.setHead(0, top.seq>>entryBits)
	}
	m.down()
	return block, nil
}

func (m *Merge) up(i int) {
	for h := m.heap; i > 0; {
		parent := (i - 1) / 2
		if !h[i].less(&h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (m *Merge) down() {
	for i, h := 0, m.heap; ; {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1].less(&h[child]) {
			child++
		}
		if !h[child].less(&h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

func compare(a, b joiner.Cursor) int {
	switch {
	case a.Less(b):
		return -1
	case b.Less(a):
		return 1
	}
	return 0
}

// After returns the least cursor after c, so that "later than c" can be asked
// for as "at or after".
func After(c joiner.Cursor) joiner.Cursor {
	switch {
	case c.Offset < math.MaxInt64:
		c.Offset++
	case c.Partition < math.MaxInt32:
		c.Partition, c.Offset = c.Partition+1, math.MinInt64
	case c.TimeMS < math.MaxInt64:
		c = joiner.Cursor{TimeMS: c.TimeMS + 1, Partition: math.MinInt32, Offset: math.MinInt64}
	}
	return c
}
