package dataset

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
)

const (
	// blockBytes is how much of rows lies in one piece.
	blockBytes = 64 << 10
	// leastBytes is the least that is moved to disk at once.
	leastBytes = 4 << 10
)

// budget is the memory that rows may take, over all parts.
type budget struct{ left atomic.Int64 }

// take takes memory, if there is any left.
func (b *budget) take(n int64) bool {
	if b.left.Add(-n) >= 0 {
		return true
	}
	b.left.Add(n)
	return false
}

// overdraw takes memory whether there is any left or not.
func (b *budget) overdraw(n int64) bool {
	b.left.Add(-n)
	return true
}

func (b *budget) give(n int64) { b.left.Add(n) }

// slot holds a part's rows of one folder, in their order: first those that lie in
// the part's temporary file, then full blocks in memory, then the last block.
type slot struct {
	number       int64
	rows         int64
	bytes        int64 // of the rows as they are kept
	minMS, maxMS int64
	spilled      []extent
	blocks       [][]byte
	last         []byte
	held         int64 // of the budget
}

type extent struct{ off, size int64 }

// add appends a row of an event time. Rows stay in memory if the budget allows,
// and go to disk if not.
func (s *slot) add(row []byte, timeMS int64, b *budget, spill func() (*temp, error)) error {
	if s.rows == 0 || timeMS < s.minMS {
		s.minMS = timeMS
	}
	if s.rows == 0 || timeMS > s.maxMS {
		s.maxMS = timeMS
	}
	if len(s.last)+len(row) > cap(s.last) {
		if err := s.makeRoom(len(row), b, spill); err != nil {
			return err
		}
	}
	s.last = append(s.last, row...)
	s.rows++
	s.bytes += int64(len(row))
	return nil
}

// makeRoom makes room for n more bytes: it grows the last block, begins another, or
// moves to disk what there is.
func (s *slot) makeRoom(n int, b *budget, spill func() (*temp, error)) error {
	if used := len(s.last); used == 0 || used+n <= blockBytes {
		size := max(min(2*cap(s.last), blockBytes), used+n, leastBytes)
		if more := int64(size - cap(s.last)); b.take(more) || used < leastBytes && b.overdraw(more) {
			s.held += more
			s.last = append(make([]byte, 0, size), s.last...)
			return nil
		}
	} else if size := max(blockBytes, n); b.take(int64(size)) {
		s.held += int64(size)
		s.blocks, s.last = append(s.blocks, s.last), make([]byte, 0, size)
		return nil
	}
	file, err := spill()
	if err != nil {
		return err
	}
	for _, block := range append(s.blocks, s.last) {
		if err := s.move(file, block); err != nil {
			return err
		}
	}
	s.blocks, s.last = nil, s.last[:0]
	b.give(s.held - int64(cap(s.last)))
	s.held = int64(cap(s.last))
	if n > cap(s.last) {
		return s.makeRoom(n, b, spill)
	}
	return nil
}

func (s *slot) move(file *temp, block []byte) error {
	at := file.size
	if _, err := file.Write(block); err != nil {
		return err
	}
	if n := len(s.spilled); n > 0 && s.spilled[n-1].off+s.spilled[n-1].size == at {
		s.spilled[n-1].size += int64(len(block))
		return nil
	}
	s.spilled = append(s.spilled, extent{at, int64(len(block))})
	return nil
}

// release gives the memory back.
func (s *slot) release(b *budget) {
	b.give(s.held)
	s.held, s.blocks, s.last = 0, nil, nil
}

// each hands the rows' blocks to f in order; a block holds whole rows, and may be
// overwritten after the call.
func (s *slot) each(file *temp, f func(block []byte) error) error {
	var buffer []byte
	for _, e := range s.spilled {
		for off := e.off; off < e.off+e.size; {
			var err error
			if buffer, err = readRows(file, off, e.off+e.size-off, buffer); err != nil {
				return err
			}
			if err := f(buffer); err != nil {
				return err
			}
			off += int64(len(buffer))
		}
	}
	for _, block := range s.blocks {
		if err := f(block); err != nil {
			return err
		}
	}
	return f(s.last)
}

// readRows reads about a block of whole rows.
func readRows(file *temp, off, most int64, buffer []byte) ([]byte, error) {
	want := min(most, blockBytes)
	for {
		buffer = append(buffer[:0], make([]byte, want)...)
		if _, err := io.ReadFull(file.section(off, want), buffer); err != nil {
			return nil, tempError(file.dir, fmt.Errorf("reading them back: %w", err))
		}
		whole := int64(0)
		for whole+4 <= want {
			end := whole + 4 + int64(binary.LittleEndian.Uint32(buffer[whole:]))
			if end > want {
				if whole == 0 {
					want = end // one row that is larger than a block
				}
				break
			}
			whole = end
		}
		if whole > 0 {
			return buffer[:whole], nil
		}
		if want > most || want <= blockBytes {
			return nil, errTorn
		}
	}
}
