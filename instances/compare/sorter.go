package compare

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// fanIn is how many runs are merged at once; each has a buffer of runBuffer.
const (
	fanIn     = 64
	runBuffer = 128 << 10
)

// sorter sorts records within a budget of memory.
type sorter struct {
	budget int64
	spill  Spill
	arena  []byte
	index  []entry
	runs   []Scratch
}

// entry is a record in the arena, with its hash, which nearly always decides.
type entry struct {
	hash     uint64
	from, to int64
}

// entryBytes is what an entry adds to a record's own bytes.
const entryBytes = 24

func (s *sorter) record(e *entry) []byte { return s.arena[e.from:e.to] }

// full reports whether another record of about this size goes over the budget.
func (s *sorter) full(size int) bool {
	return s.spill != nil && len(s.index) > 0 && int64(len(s.arena)+size)+entryBytes*int64(len(s.index)+1) > s.budget
}

// begin returns where the next record is appended to; end takes it, grown.
func (s *sorter) begin(size int) ([]byte, error) {
	if s.full(size) {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	return s.arena, nil
}

func (s *sorter) end(arena []byte) {
	from := len(s.arena)
	s.arena = arena
	s.index = append(s.index, entry{binary.BigEndian.Uint64(arena[from:]), int64(from), int64(len(arena))})
}

func (s *sorter) sort() {
	slices.SortFunc(s.index, func(a, b entry) int {
		if c := cmp.Compare(a.hash, b.hash); c != 0 {
			return c
		}
		return bytes.Compare(s.record(&a), s.record(&b))
	})
}

// flush writes what is in memory as a run.
func (s *sorter) flush() error {
	s.sort()
	run, err := writeRun(s.spill, &memoryRun{sorter: s})
	if err != nil {
		return err
	}
	s.runs = append(s.runs, run)
	s.arena, s.index = s.arena[:0], s.index[:0]
	return nil
}

// cursor gives records in order; nil at the end. A record is valid until the
// next call.
type cursor interface {
	next() ([]byte, error)
}

// merged ends the intake and returns all records in order.
func (s *sorter) merged() (cursor, error) {
	s.sort()
	for len(s.runs) >= fanIn {
		m, err := newMerge(s.runs[:fanIn], nil)
		if err != nil {
			return nil, err
		}
		run, err := writeRun(s.spill, m)
		if err != nil {
			return nil, err
		}
		if err := closeAll(s.runs[:fanIn]); err != nil {
			return nil, errors.Join(err, run.Close())
		}
		s.runs = append(s.runs[fanIn:len(s.runs):len(s.runs)], run)
	}
	memory := &memoryRun{sorter: s}
	if len(s.runs) == 0 {
		return memory, nil
	}
	return newMerge(s.runs, memory)
}

// close removes the runs.
func (s *sorter) close() error {
	err := closeAll(s.runs)
	s.runs, s.arena, s.index = nil, nil, nil
	return err
}

func closeAll(runs []Scratch) (err error) {
	for _, r := range runs {
		err = errors.Join(err, r.Close())
	}
	return err
}

// memoryRun walks the sorted records in memory.
type memoryRun struct {
	sorter *sorter
	at     int
}

func (r *memoryRun) next() ([]byte, error) {
	if r.at == len(r.sorter.index) {
		return nil, nil
	}
	r.at++
	return r.sorter.record(&r.sorter.index[r.at-1]), nil
}

// writeRun writes records, each after its length, to a scratch file.
func writeRun(spill Spill, from cursor) (_ Scratch, err error) {
	file, err := spill.Create()
	if err != nil {
		return nil, fmt.Errorf("making a scratch file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	w := bufio.NewWriterSize(file, runBuffer)
	var size []byte
	for {
		rec, err := from.next()
		if err != nil {
			return nil, err
		}
		if rec == nil {
			break
		}
		size = binary.AppendUvarint(size[:0], uint64(len(rec)))
		_, _ = w.Write(size) // w remembers the error
		_, _ = w.Write(rec)
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("writing a scratch file: %w", err)
	}
	return file, nil
}

// fileRun reads a scratch file.
type fileRun struct {
	r   *bufio.Reader
	buf []byte
}

func (r *fileRun) next() ([]byte, error) {
	size, err := binary.ReadUvarint(r.r)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a scratch file: %w", err)
	}
	r.buf = slices.Grow(r.buf[:0], int(size))[:size]
	if _, err := io.ReadFull(r.r, r.buf); err != nil {
		return nil, fmt.Errorf("reading a scratch file: %w", err)
	}
	return r.buf, nil
}

// merge gives the records of several cursors in order: a heap of their heads,
// of which the first is what was handed out last.
type merge struct {
	heads  []head
	handed bool
}

type head struct {
	record []byte
	from   cursor
}

func newMerge(runs []Scratch, memory cursor) (*merge, error) {
	m := &merge{}
	var cursors []cursor
	for _, run := range runs {
		r, err := run.Rewind()
		if err != nil {
			return nil, fmt.Errorf("reading a scratch file: %w", err)
		}
		cursors = append(cursors, &fileRun{r: bufio.NewReaderSize(r, runBuffer)})
	}
	if memory != nil {
		cursors = append(cursors, memory)
	}
	for _, c := range cursors {
		rec, err := c.next()
		if err != nil {
			return nil, err
		}
		if rec != nil {
			m.heads = append(m.heads, head{rec, c})
		}
	}
	for i := len(m.heads)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return m, nil
}

func (m *merge) next() ([]byte, error) {
	if m.handed {
		rec, err := m.heads[0].from.next()
		if err != nil {
			return nil, err
		}
		if m.heads[0].record = rec; rec == nil {
			last := len(m.heads) - 1
			m.heads[0] = m.heads[last]
			m.heads = m.heads[:last]
		}
		m.down(0)
	}
	m.handed = len(m.heads) > 0
	if !m.handed {
		return nil, nil
	}
	return m.heads[0].record, nil
}

// down restores the heap below i.
func (m *merge) down(i int) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(m.heads) && bytes.Compare(m.heads[child].record, m.heads[least].record) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		m.heads[i], m.heads[least] = m.heads[least], m.heads[i]
		i = least
	}
}
