package parquet

import (
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go/format"
)

// header is a page's header, as far as reading needs it.
type header struct {
	kind         format.PageType
	packedBytes  int // as it lies in the file
	plainBytes   int // uncompressed
	crc          uint32
	checked      bool // there is a crc
	values       int  // nulls counted
	encoding     format.Encoding
	defBytes     int // of version 2
	repBytes     int
	uncompressed bool // of version 2: its values are not compressed
}

// parseHeader reads the header that data begins with, and tells its length. The
// error is errShort if data must be longer.
func parseHeader(data []byte) (h header, n int, err error) {
	r := thriftReader{data: data}
	kind, plain, packed := int64(-1), int64(-1), int64(-1)
	r.fields(0, func(id int16, typ byte) bool {
		switch {
		case id <= 4 && typ == thriftI32:
			v := r.varint()
			switch id {
			case 1:
				kind = v
			case 2:
				plain = v
			case 3:
				packed = v
			case 4:
				h.crc, h.checked = uint32(v), true
			}
			return true
		case typ == thriftStruct && (id == 5 || id == 7 || id == 8):
			h.parseKind(&r, id)
			return true
		}
		return false
	})
	if r.err != nil {
		return h, 0, r.err
	}
	h.kind, h.plainBytes, h.packedBytes = format.PageType(kind), int(plain), int(packed)
	if kind < 0 || plain < 0 || packed < 0 || plain > math.MaxInt32 || packed > math.MaxInt32 || h.values < 0 || h.defBytes < 0 || h.repBytes < 0 ||
		h.defBytes+h.repBytes > min(h.packedBytes, h.plainBytes) {
		return h, 0, fmt.Errorf("%w: a page header that contradicts itself", errDamaged)
	}
	return h, r.at, nil
}

// parseKind reads the part of the header that is the page type's own: 5 data of
// version 1, 7 dictionary, 8 data of version 2.
func (h *header) parseKind(r *thriftReader, part int16) {
	r.fields(1, func(id int16, typ byte) bool {
		if part == 8 && id == 7 && (typ == thriftTrue || typ == thriftFalse) {
			h.uncompressed = typ == thriftFalse
			return true
		}
		if typ != thriftI32 {
			return false
		}
		v := int(int32(r.varint()))
		switch {
		case id == 1:
			h.values = v
		case id == 2 && part != 8, id == 4 && part == 8:
			h.encoding = format.Encoding(v)
		case id == 5 && part == 8:
			h.defBytes = v
		case id == 6 && part == 8:
			h.repBytes = v
		}
		return true
	})
}
