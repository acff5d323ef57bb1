package extsort

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/s2"
	"github.com/zeebo/xxh3"
)

// readAheadBytes is what is read of a run at once.
const readAheadBytes = 64 << 10

// run reads the records of one split in one spill, in order.
type run struct {
	file File
	name string
	off  int64 // of the file: what has not been read yet
	end  int64
	left int64 // records to come

	ahead []byte // read of the file and not unpacked yet
	buf   []byte // ahead lies in it
	raw   []byte // the block in hand
	block decoder
	first bool // the next record is its block's first

	rec Record // the record in hand; it aliases raw
}

// next reads the next record into rec; false at the end of the run.
func (r *run) next() (bool, error) {
	if len(r.block.data) == 0 {
		if r.left == 0 {
			return false, nil
		}
		if err := r.load(); err != nil {
			return false, err
		}
	}
	d, rec := &r.block, &r.rec
	if r.first {
		r.first = false
		rec.TimeMS, rec.Position = d.int(), d.int()
	} else {
		rec.TimeMS += int64(d.uint())
		rec.Position += d.int()
	}
	rec.Unit, rec.AheadMS, rec.Lane = uint32(d.uint()), int32(uint32(d.uint())), uint16(d.uint())
	value, extra := d.uint(), d.uint()
	rec.Value, rec.Extra = d.bytes(value), d.bytes(extra)
	r.left--
	if d.bad || r.left < 0 {
		return false, r.corrupt("record")
	}
	return true, nil
}

// load unpacks the next block.
func (r *run) load() error {
	if err := r.fill(blockHeaderBytes); err != nil {
		return err
	}
	rawBytes, packedBytes := int(binary.LittleEndian.Uint32(r.ahead)), int(binary.LittleEndian.Uint32(r.ahead[4:]))
	sum := binary.LittleEndian.Uint64(r.ahead[8:])
	if err := r.fill(blockHeaderBytes + packedBytes); err != nil {
		return err
	}
	packed := r.ahead[blockHeaderBytes : blockHeaderBytes+packedBytes]
	r.ahead = r.ahead[blockHeaderBytes+packedBytes:]
	if xxh3.Hash(packed) != sum {
		return r.corrupt("block checksum")
	}
	if n, err := s2.DecodedLen(packed); err != nil || n != rawBytes || n == 0 {
		return r.corrupt("block length")
	}
	if cap(r.raw) < rawBytes {
		r.raw = make([]byte, rawBytes+rawBytes/8) // blocks differ a little in size
	}
	raw, err := s2.Decode(r.raw[:rawBytes], packed)
	if err != nil {
		return r.corrupt("block")
	}
	r.block, r.first = decoder{data: raw}, true
	return nil
}

// fill makes ahead hold at least need bytes.
func (r *run) fill(need int) error {
	if len(r.ahead) >= need {
		return nil
	}
	if int64(need-len(r.ahead)) > r.end-r.off {
		return r.corrupt("it ends within a block")
	}
	want := min(int64(max(need, readAheadBytes)), int64(len(r.ahead))+r.end-r.off)
	into := r.buf
	if int64(cap(into)) < want {
		into = make([]byte, want)
	}
	into = into[:want]
	kept := copy(into, r.ahead)
	if err := readFull(r.file, into[kept:], r.off); err != nil {
		return fmt.Errorf("reading %s: %w", r.name, err)
	}
	r.off += want - int64(kept)
	r.buf, r.ahead = into, into
	return nil
}

func (r *run) corrupt(what string) error {
	return fmt.Errorf("%s, before byte %d: %s: %w", r.name, r.off, what, ErrCorrupt)
}
