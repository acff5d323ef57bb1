package extsort

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// Opener opens spill files by name.
type Opener interface {
	OpenSpill(name string) (File, error)
}

// Merge reads one split's records from many spills in one order. A run is opened
// when the merge reaches its first event time and closed after its last record,
// so memory and open files follow how many runs overlap in time, not how many
// there are. One goroutine uses it.
type Merge struct {
	open    Opener
	resolve func(*Record)
	waiting []waiting // the latest first
	heap    []head    // of runs, the least first
	last    bool      // the record of heap[0] was returned and is to be moved on from
	idle    []*run    // buffers of runs that have ended
	read    int64     // bytes of the files
}

// head is a run in the heap; its time is a copy that spares a cache miss.
type head struct {
	timeMS int64
	run    *run
}

type waiting struct {
	spill *Spill
	seg   *segment
}

// NewMerge begins to merge a split of spills. resolve, which may be nil, is
// called for every record once, before it is compared: it may set AheadMS and
// Lane, but must leave each run in order.
func NewMerge(open Opener, spills []*Spill, split int, resolve func(*Record)) *Merge {
	m := &Merge{open: open, resolve: resolve}
	for _, s := range spills {
		if g := &s.segments[split]; g.records > 0 {
			m.waiting = append(m.waiting, waiting{s, g})
		}
	}
	slices.SortStableFunc(m.waiting, func(a, b waiting) int {
		switch {
		case a.seg.minMS > b.seg.minMS:
			return -1
		case a.seg.minMS < b.seg.minMS:
			return 1
		}
		return 0
	})
	return m
}

// Next returns the next record, and io.EOF after the last. It is valid until the
// next call.
func (m *Merge) Next() (*Record, error) {
	if m.last {
		m.last = false
		if err := m.advance(); err != nil {
			return nil, err
		}
	}
	for n := len(m.waiting); n > 0 && (len(m.heap) == 0 || m.waiting[n-1].seg.minMS <= m.heap[0].timeMS); n-- {
		w := m.waiting[n-1]
		m.waiting = m.waiting[:n-1]
		if err := m.begin(w); err != nil {
			return nil, err
		}
	}
	if len(m.heap) == 0 {
		return nil, io.EOF
	}
	m.last = true
	return &m.heap[0].run.rec, nil
}

// begin opens a run and puts it into the heap.
func (m *Merge) begin(w waiting) error {
	f, err := m.open.OpenSpill(w.spill.Name)
	if err != nil {
		return err
	}
	r := &run{}
	if n := len(m.idle); n > 0 {
		old := m.idle[n-1]
		m.idle = m.idle[:n-1]
		r.buf, r.raw = old.buf, old.raw
	}
	r.file, r.name, r.off, r.end, r.left = f, w.spill.Name, w.seg.off, w.seg.off+w.seg.bytes, w.seg.records
	m.read += w.seg.bytes
	more, err := m.load(r)
	if err != nil || !more {
		return errors.Join(err, f.Close())
	}
	m.heap = append(m.heap, head{r.rec.TimeMS, r})
	m.up(len(m.heap) - 1)
	return nil
}

// load reads a run's next record.
func (m *Merge) load(r *run) (bool, error) {
	more, err := r.next()
	if more && m.resolve != nil {
		m.resolve(&r.rec)
	}
	return more, err
}

// advance moves the run on whose record was returned.
func (m *Merge) advance() error {
	top := &m.heap[0]
	more, err := m.load(top.run)
	if err != nil {
		return err
	}
	if more {
		top.timeMS = top.run.rec.TimeMS
	} else {
		r := top.run
		last := len(m.heap) - 1
		m.heap[0] = m.heap[last]
		m.heap[last] = head{}
		m.heap = m.heap[:last]
		m.idle = append(m.idle, r)
		if r.off != r.end || len(r.ahead) != 0 {
			return errors.Join(r.corrupt("more than its records"), r.file.Close())
		}
		if err := r.file.Close(); err != nil {
			return fmt.Errorf("closing %s: %w", r.name, err)
		}
	}
	m.down()
	return nil
}

// Close closes the files that are open.
func (m *Merge) Close() (err error) {
	for _, h := range m.heap {
		err = errors.Join(err, h.run.file.Close())
	}
	m.heap, m.waiting, m.last = nil, nil, false
	return err
}

func (a *head) less(b *head) bool {
	if a.timeMS != b.timeMS {
		return a.timeMS < b.timeMS
	}
	return less(&a.run.rec, &b.run.rec)
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
