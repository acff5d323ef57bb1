package features

import (
	"encoding/binary"
	"errors"
)

// ErrCorrupt says that bytes that should be a partial aggregate, a chunk of
// tiles or a position are not. Tiles are a cache of their source's log: who
// finds them damaged discards the shard and reads the log again.
var ErrCorrupt = errors.New("tiles do not verify")

// decoder reads what the codecs of this package write. After the first fault
// everything it reads is zero, and done reports the fault.
type decoder struct {
	data []byte
	bad  bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) byte() byte {
	if len(d.data) == 0 {
		d.fail()
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

// take returns the next n bytes, aliased.
func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.data)) {
		d.fail()
		return nil
	}
	b := d.data[:n:n]
	d.data = d.data[n:]
	return b
}

// text reads what appendText writes, aliased.
func (d *decoder) text() []byte { return d.take(d.uvarint()) }

// count reads how many items follow, of which each takes at least one byte.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.data)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) fail() { d.data, d.bad = nil, true }

// done returns ErrCorrupt unless exactly everything was read.
func (d *decoder) done() error {
	if d.bad || len(d.data) > 0 {
		return ErrCorrupt
	}
	return nil
}

func appendVarint(dst []byte, v int64) []byte {
	return binary.AppendUvarint(dst, uint64(v)<<1^uint64(v>>63))
}

func appendText[T string | []byte](dst []byte, text T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// floorDiv is the largest q with q·by <= v; by is positive.
func floorDiv(v, by int64) int64 {
	q := v / by
	if v%by < 0 {
		q--
	}
	return q
}
