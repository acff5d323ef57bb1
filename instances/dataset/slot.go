package dataset

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/mortise-dev/mortise/instances"
)

// blockBytes is how much of rows is moved to disk at once.
const blockBytes = 64 << 10

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
}

type extent struct{ off, size int64 }

// add appends a row. When a block is full it stays in memory if the budget allows,
// and goes to disk with those before it if not.
func (s *slot) add(in *instances.Instance, b *budget, spill func() (*temp, error)) error {
	if s.rows == 0 || in.TimeMS < s.minMS {
		s.minMS = in.TimeMS
	}
	if s.rows == 0 || in.TimeMS > s.maxMS {
		s.maxMS = in.TimeMS
	}
	before := len(s.last)
	s.last = appendRow(s.last, in)
	s.rows++
	s.bytes += int64(len(s.last) - before)
	if len(s.last) < blockBytes {
		return nil
	}
	if b.take(int64(cap(s.last))) {
		s.blocks, s.last = append(s.blocks, s.last), make([]byte, 0, cap(s.last))
		return nil
	}
	file, err := spill()
	if err != nil {
		return err
	}
	for i, block := range s.blocks {
		if err := s.move(file, block); err != nil {
			return err
		}
		b.give(int64(cap(block)))
		s.blocks[i] = nil
	}
	s.blocks = s.blocks[:0]
	err = s.move(file, s.last)
	s.last = s.last[:0]
	return err
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
	for _, block := range s.blocks {
		b.give(int64(cap(block)))
	}
	s.blocks, s.last = nil, nil
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
