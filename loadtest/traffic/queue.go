package traffic

// entry is a record that is due some time: all that rendering it needs.
type entry struct {
	dueMS    int64  // arrival
	order    uint64 // breaks ties: as pushed
	timeMS   int64  // event time
	request  uint64
	item     uint32
	nano     uint32 // an impression's propensity, in units of 1e-9
	position uint8  // 1-based; of an unshown request: how many positions it has
	ordinal  uint8  // which click of its impression, 0-based
	kind     kind
	faults   Fault
}

// kind is a stream, or a request that is yet to be shown.
type kind uint8

const unshown = kind(NumStreams)

// heap is a 4-ary min-heap by (dueMS, order): half the levels of a binary one,
// and siblings share cache lines.
type heap []entry

func (e *entry) before(other *entry) bool {
	return e.dueMS < other.dueMS || e.dueMS == other.dueMS && e.order < other.order
}

func (h *heap) push(e *entry) {
	*h = append(*h, entry{})
	s := *h
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if !e.before(&s[parent]) {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = *e
}

// pop takes the least entry off a heap that is not empty.
func (h *heap) pop(e *entry) {
	s := *h
	*e = s[0]
	last := len(s) - 1
	moved := s[last]
	s = s[:last]
	*h = s
	if last == 0 {
		return
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= last {
			break
		}
		for c := least + 1; c < min(4*i+5, last); c++ {
			if s[c].before(&s[least]) {
				least = c
			}
		}
		if !s[least].before(&moved) {
			break
		}
		s[i] = s[least]
		i = least
	}
	s[i] = moved
}

// queue holds what is due, the near future apart from the far: impressions come
// and go by the thousand in a small, cached heap, while clicks and orders, of
// which many may wait for minutes, do not lie in their way.
type queue struct {
	near, far heap
	pushed    uint64
}

func (q *queue) push(e *entry) {
	e.order = q.pushed
	q.pushed++
	if e.kind == kind(Clicks) || e.kind == kind(Orders) || e.faults&Late != 0 {
		q.far.push(e)
	} else {
		q.near.push(e)
	}
}

// first returns the heap with the least entry, or nil when nothing is due.
func (q *queue) first() *heap {
	switch {
	case len(q.near) == 0 && len(q.far) == 0:
		return nil
	case len(q.near) == 0 || len(q.far) > 0 && q.far[0].before(&q.near[0]):
		return &q.far
	}
	return &q.near
}
