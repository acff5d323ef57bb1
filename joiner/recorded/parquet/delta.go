package parquet

import (
	"encoding/binary"
	"fmt"
)

// delta decodes DELTA_BINARY_PACKED: blocks of differences, each less the
// block's smallest, in miniblocks of as many bits as they need.
type delta struct {
	data  []byte
	minis int // miniblocks of a block
	per   int // values of a miniblock

	total int // values still to come, in all
	first bool
	last  int64
	least int64 // of the block

	widths []byte // of the block's miniblocks that are still to come
	bits   []byte // the miniblock
	width  uint
	at     int // bit in bits
	left   int // values of the miniblock
}

func newDelta(data []byte) (delta, error) {
	d := delta{data: data, first: true}
	block, minis, total := d.uvarint(), d.uvarint(), d.uvarint()
	d.last = d.varint()
	if d.data == nil {
		return d, fmt.Errorf("%w: a delta encoding without its head", errDamaged)
	}
	const most = 1 << 20
	if minis == 0 || block == 0 || block > most || block%minis != 0 || block/minis%8 != 0 {
		return d, fmt.Errorf("%w: a delta encoding of blocks of %d values in %d", errDamaged, block, minis)
	}
	d.minis, d.per, d.total = int(minis), int(block/minis), int(min(total, 1<<40))
	return d, nil
}

// uvarint reads a number; data is nil after an error.
func (d *delta) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.data = nil
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *delta) varint() int64 {
	v := d.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// next begins the next miniblock.
func (d *delta) next() error {
	if len(d.widths) == 0 {
		d.least = d.varint()
		if len(d.data) < d.minis {
			return errFewer
		}
		d.widths, d.data = d.data[:d.minis], d.data[d.minis:]
	}
	d.width, d.widths = uint(d.widths[0]), d.widths[1:]
	if d.width > 64 {
		return fmt.Errorf("%w: differences of %d bits", errDamaged, d.width)
	}
	size := d.per * int(d.width) / 8
	d.left = min(d.per, d.total)
	if len(d.data) < size { // the padding of the last one may be missing
		if size = len(d.data); size*8 < d.left*int(d.width) {
			return errFewer
		}
	}
	d.bits, d.data, d.at = d.data[:size], d.data[size:], 0
	return nil
}

func (d *delta) one() (int64, error) {
	if d.total <= 0 {
		return 0, errFewer
	}
	if d.first {
		d.first = false
		d.total--
		return d.last, nil
	}
	if d.left == 0 {
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	d.last += d.least + int64(bitsAt(d.bits, d.at, d.width))
	d.at += int(d.width)
	d.left--
	d.total--
	return d.last, nil
}

// read implements decoder. Whether the result is taken for 32 bits or 64 makes no
// difference to its lower ones.
func (d *delta) read(dst []value) error {
	for i := range dst {
		v, err := d.one()
		if err != nil {
			return err
		}
		dst[i].bits = uint64(v)
	}
	return nil
}

// rest returns what lies behind the values, without decoding them.
func (d delta) rest() ([]byte, error) {
	for n := d.total - 1; n > 0; n -= d.per {
		d.total = n
		if err := d.next(); err != nil {
			return nil, err
		}
	}
	return d.data, nil
}

// bitsAt reads up to 64 bits, the lowest first, from bit at on.
func bitsAt(data []byte, at int, width uint) uint64 {
	if width == 0 {
		return 0
	}
	from, shift := at>>3, uint(at&7)
	var buf [9]byte
	src := data[from:]
	if len(src) < len(buf) {
		copy(buf[:], src)
		src = buf[:]
	}
	v := binary.LittleEndian.Uint64(src) >> shift
	if shift+width > 64 {
		v |= uint64(src[8]) << (64 - shift)
	}
	if width < 64 {
		v &= 1<<width - 1
	}
	return v
}

// deltaTexts decodes DELTA_LENGTH_BYTE_ARRAY: all lengths, then all bytes.
type deltaTexts struct {
	lengths delta
	data    []byte
}

func newDeltaTexts(data []byte) (*deltaTexts, error) {
	lengths, err := newDelta(data)
	if err != nil {
		return nil, err
	}
	rest, err := lengths.rest()
	return &deltaTexts{lengths, rest}, err
}

func (d *deltaTexts) one() ([]byte, error) {
	n, err := d.lengths.one()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > int64(len(d.data)) {
		return nil, fmt.Errorf("%w: a value of %d bytes in a page that has %d", errDamaged, n, len(d.data))
	}
	text := d.data[:n:n]
	d.data = d.data[n:]
	return text, nil
}

func (d *deltaTexts) read(dst []value) (err error) {
	for i := range dst {
		if dst[i].text, err = d.one(); err != nil {
			return err
		}
	}
	return nil
}

// maxRepeatedBytes bounds a batch of values that repeat what is before them.
const maxRepeatedBytes = 256 << 20

// deltaPrefixes decodes DELTA_BYTE_ARRAY: how much of the value before comes
// first, and what comes then.
type deltaPrefixes struct {
	prefixes delta
	suffixes *deltaTexts
	last     []byte
	arena    []byte
}

func newDeltaPrefixes(data []byte) (decoder, error) {
	prefixes, err := newDelta(data)
	if err != nil {
		return nil, err
	}
	rest, err := prefixes.rest()
	if err != nil {
		return nil, err
	}
	suffixes, err := newDeltaTexts(rest)
	return &deltaPrefixes{prefixes: prefixes, suffixes: suffixes}, err
}

func (d *deltaPrefixes) read(dst []value) error {
	d.arena = append(d.arena[:0], d.last...)
	d.last = d.arena
	for i := range dst {
		n, err := d.prefixes.one()
		if err != nil {
			return err
		}
		suffix, err := d.suffixes.one()
		if err != nil {
			return err
		}
		if n < 0 || n > int64(len(d.last)) || len(d.arena)+int(n)+len(suffix) > maxRepeatedBytes {
			return fmt.Errorf("%w: a value that repeats %d of the %d bytes before it", errDamaged, n, len(d.last))
		}
		from := len(d.arena)
		d.arena = append(append(d.arena, d.last[:n]...), suffix...)
		d.last = d.arena[from:]
		dst[i].text = d.last
	}
	return nil
}
