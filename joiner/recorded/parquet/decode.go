package parquet

import (
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go/format"
)

// value is one value of a column: a number's bits, or bytes that are valid until
// more values are decoded.
type value struct {
	bits uint64
	text []byte
}

// decoder decodes the values of a page, nulls left out, in order. What it is not
// asked for takes neither time nor memory.
type decoder interface {
	// read fills dst. The values are valid until the next call.
	read(dst []value) error
}

var errFewer = fmt.Errorf("%w: fewer values than a page says", errDamaged)

// plainDictionary is what old writers call the encoding of indexes, and of the
// dictionary itself.
const plainDictionary format.Encoding = 2

// newDecoder begins to decode a page's values. dict is the chunk's dictionary.
func newDecoder(encoding format.Encoding, typ format.Type, widthBytes int, data []byte, dict []value) (decoder, error) {
	isText := typ == format.ByteArray || typ == format.FixedLenByteArray
	switch {
	case encoding == format.Plain:
		return newPlain(typ, widthBytes, data)
	case encoding == format.RLEDictionary || encoding == plainDictionary:
		return newIndexes(data, dict)
	case encoding == format.RLE && typ == format.Boolean:
		return newTruths(data)
	case encoding == format.DeltaBinaryPacked && (typ == format.Int32 || typ == format.Int64):
		d, err := newDelta(data)
		return &d, err
	case encoding == format.DeltaLengthByteArray && typ == format.ByteArray:
		return newDeltaTexts(data)
	case encoding == format.DeltaByteArray && isText:
		return newDeltaPrefixes(data)
	case encoding == format.ByteStreamSplit && typ != format.Boolean && typ != format.ByteArray:
		return newSplit(typ, widthBytes, data)
	}
	return nil, fmt.Errorf("the encoding %s of %s is not read", encoding, typ)
}

// newPlain decodes values one behind another.
func newPlain(typ format.Type, widthBytes int, data []byte) (decoder, error) {
	switch typ {
	case format.Boolean:
		h, err := newHybrid(data, 1)
		h.bits, h.left = 0, len(data)*8 // a single packed run
		return &truths{runs: h}, err
	case format.Int32, format.Float:
		return &plain4{data}, nil
	case format.Int64, format.Double:
		return &plain8{data}, nil
	case format.ByteArray:
		return &plainTexts{data}, nil
	}
	if widthBytes <= 0 {
		return nil, fmt.Errorf("%w: values of %d bytes", errDamaged, widthBytes)
	}
	return &plainFixed{data, widthBytes}, nil
}

// plain4 decodes int32 and float.
type plain4 struct{ data []byte }

func (d *plain4) read(dst []value) error {
	if len(d.data) < 4*len(dst) {
		return errFewer
	}
	for i := range dst {
		dst[i].bits = uint64(binary.LittleEndian.Uint32(d.data[4*i:]))
	}
	d.data = d.data[4*len(dst):]
	return nil
}

// plain8 decodes int64 and double.
type plain8 struct{ data []byte }

func (d *plain8) read(dst []value) error {
	if len(d.data) < 8*len(dst) {
		return errFewer
	}
	for i := range dst {
		dst[i].bits = binary.LittleEndian.Uint64(d.data[8*i:])
	}
	d.data = d.data[8*len(dst):]
	return nil
}

// plainFixed decodes bytes of one length.
type plainFixed struct {
	data       []byte
	widthBytes int
}

func (d *plainFixed) read(dst []value) error {
	if len(d.data)/d.widthBytes < len(dst) {
		return errFewer
	}
	for i := range dst {
		dst[i].text, d.data = d.data[:d.widthBytes], d.data[d.widthBytes:]
	}
	return nil
}

// plainTexts decodes bytes behind their length.
type plainTexts struct{ data []byte }

func (d *plainTexts) read(dst []value) error {
	data := d.data
	for i := range dst {
		if len(data) < 4 {
			return errFewer
		}
		n := uint64(binary.LittleEndian.Uint32(data))
		if data = data[4:]; n > uint64(len(data)) {
			return fmt.Errorf("%w: a value of %d bytes in a page that has %d", errDamaged, n, len(data))
		}
		dst[i].text, data = data[:n], data[n:]
	}
	d.data = data
	return nil
}

// truths decodes booleans.
type truths struct {
	runs    hybrid
	scratch [batchValues]uint32
}

// newTruths decodes booleans in runs, behind their length.
func newTruths(data []byte) (decoder, error) {
	data, _, err := prefixed(data)
	if err != nil {
		return nil, err
	}
	h, err := newHybrid(data, 1)
	return &truths{runs: h}, err
}

func (d *truths) read(dst []value) error {
	got := d.scratch[:len(dst)]
	if err := d.runs.read(got); err != nil {
		return err
	}
	for i := range dst {
		dst[i].bits = uint64(got[i])
	}
	return nil
}

// prefixed cuts off what lies behind a length of four bytes.
func prefixed(data []byte) (inner, rest []byte, err error) {
	if len(data) < 4 {
		return nil, nil, errFewer
	}
	n := uint64(binary.LittleEndian.Uint32(data))
	if data = data[4:]; n > uint64(len(data)) {
		return nil, nil, fmt.Errorf("%w: a section of %d bytes in a page that has %d", errDamaged, n, len(data))
	}
	return data[:n], data[n:], nil
}

// indexes decodes values by their place in the dictionary.
type indexes struct {
	runs    hybrid
	dict    []value
	scratch [batchValues]uint32
}

func newIndexes(data []byte, dict []value) (decoder, error) {
	if len(data) == 0 { // a page of nulls
		return &indexes{}, nil
	}
	h, err := newHybrid(data[1:], uint(data[0]))
	return &indexes{runs: h, dict: dict}, err
}

func (d *indexes) read(dst []value) error {
	got := d.scratch[:len(dst)]
	if err := d.runs.read(got); err != nil {
		return err
	}
	for i, at := range got {
		if uint64(at) >= uint64(len(d.dict)) {
			return fmt.Errorf("%w: the dictionary has %d values, and one is number %d", errDamaged, len(d.dict), at)
		}
		dst[i] = d.dict[at]
	}
	return nil
}

// split decodes numbers whose first bytes lie together, then their second ones,
// and so on.
type split struct {
	data  []byte
	width int
	count int
	at    int
	text  bool
	arena []byte
}

func newSplit(typ format.Type, widthBytes int, data []byte) (decoder, error) {
	s := &split{data: data, width: widthBytes}
	switch typ {
	case format.Int32, format.Float:
		s.width = 4
	case format.Int64, format.Double:
		s.width = 8
	default:
		s.text = true
	}
	if s.width <= 0 {
		return nil, fmt.Errorf("%w: values of %d bytes", errDamaged, s.width)
	}
	s.count = len(data) / s.width
	return s, nil
}

func (d *split) read(dst []value) error {
	if len(dst) > d.count-d.at {
		return errFewer
	}
	d.arena = d.arena[:0]
	if need := len(dst) * d.width; d.text && cap(d.arena) < need {
		d.arena = make([]byte, 0, need)
	}
	for i := range dst {
		if d.text {
			from := len(d.arena)
			for k := range d.width {
				d.arena = append(d.arena, d.data[k*d.count+d.at])
			}
			dst[i].text = d.arena[from:]
		} else {
			dst[i].bits = 0
			for k := range d.width {
				dst[i].bits |= uint64(d.data[k*d.count+d.at]) << (8 * k)
			}
		}
		d.at++
	}
	return nil
}
