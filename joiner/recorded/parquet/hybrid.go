package parquet

import (
	"encoding/binary"
	"fmt"
)

// hybrid reads the RLE and bit-packed hybrid encoding: levels, dictionary
// indexes, truths. It decodes as it is asked, so that what a run claims to hold
// takes no memory.
type hybrid struct {
	data  []byte
	width uint

	left  int    // values of the run
	value uint32 // of a repeated run
	bits  int    // position in data of a packed run; -1 in a repeated one
}

func newHybrid(data []byte, width uint) (hybrid, error) {
	if width > 32 {
		return hybrid{}, fmt.Errorf("%w: %d bits a value", errDamaged, width)
	}
	return hybrid{data: data, width: width}, nil
}

// next begins the next run.
func (h *hybrid) next() error {
	head, n := binary.Uvarint(h.data)
	if n <= 0 {
		return fmt.Errorf("%w: fewer values than a page says", errDamaged)
	}
	h.data = h.data[n:]
	count := min(head>>1, 1<<31)
	if head&1 == 0 {
		size := int(h.width+7) / 8
		if size > len(h.data) || count == 0 {
			return fmt.Errorf("%w: an empty or unfinished run of values", errDamaged)
		}
		var word [4]byte
		copy(word[:], h.data[:size])
		h.value, h.bits, h.left = binary.LittleEndian.Uint32(word[:]), -1, int(count)
		if h.width < 32 && h.value>>h.width != 0 {
			return fmt.Errorf("%w: a value of more than %d bits", errDamaged, h.width)
		}
		h.data = h.data[size:]
		return nil
	}
	// Groups of eight values; the last one may be cut off behind the values that count.
	size := min(count*uint64(h.width), uint64(len(h.data)))
	h.bits, h.left = 0, int(count*8)
	if h.width > 0 {
		h.left = min(h.left, int(size)*8/int(h.width))
	}
	if h.left == 0 {
		return fmt.Errorf("%w: an empty run of values", errDamaged)
	}
	return nil
}

// pass leaves a packed run that has been read.
func (h *hybrid) pass() {
	if h.left == 0 && h.bits > 0 {
		h.data = h.data[min((h.bits+7)/8, len(h.data)):]
		h.bits = -1
	}
}

// read fills dst.
func (h *hybrid) read(dst []uint32) error {
	for len(dst) > 0 {
		if h.left == 0 {
			if err := h.next(); err != nil {
				return err
			}
		}
		n := min(h.left, len(dst))
		switch {
		case h.bits < 0:
			for i := range dst[:n] {
				dst[i] = h.value
			}
		default:
			unpackBits(dst[:n], h.data, h.bits, h.width)
			h.bits += n * int(h.width)
		}
		h.left -= n
		dst = dst[n:]
		h.pass()
	}
	return nil
}

// unpackBits reads values of width bits, the lowest first, from bit at on.
func unpackBits(dst []uint32, data []byte, at int, width uint) {
	mask := uint64(1)<<width - 1
	for i := range dst {
		from := at >> 3
		var word uint64
		if from+8 <= len(data) {
			word = binary.LittleEndian.Uint64(data[from:])
		} else {
			var tail [8]byte
			copy(tail[:], data[from:])
			word = binary.LittleEndian.Uint64(tail[:])
		}
		dst[i] = uint32(word >> (at & 7) & mask)
		at += int(width)
	}
}
