package parquet

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"

	"github.com/parquet-go/parquet-go/format"
)

// readBufferBytes is what is read of a column at a time.
const readBufferBytes = 256 << 10

// maxHeaderBytes bounds a page's header, which may hold the least and greatest value.
const maxHeaderBytes = 16 << 20

// slackBytes is how much a chunk may be longer than its footer says: old
// writers forgot the dictionary's header.
const slackBytes = 128

// pages reads the data pages of one column chunk, one after another. One
// goroutine uses it.
type pages struct {
	leaf  *node
	kind  format.CompressionCodec
	codec *codec
	in    *bufio.Reader
	chunk io.Closer // what in reads, if that is to be closed
	left  int64     // values of the chunk, nulls counted, that no page has had yet

	packed []byte // a page as it lies in the file
	plain  []byte
	dict   []value
	words  []byte // the dictionary's page
}

// page is a data page, ready to be decoded. It is valid until the next one.
type page struct {
	values int // nulls counted
	rep    hybrid
	def    hybrid
	data   decoder
}

// sectioner is a file that is read faster in streams than at random.
type sectioner interface {
	Section(off, lengthBytes int64) io.ReadCloser
}

// close ends a chunk.
func (p *pages) close() error {
	if p.chunk == nil {
		return nil
	}
	err := p.chunk.Close()
	p.chunk = nil
	return err
}

// open begins a chunk, after close.
func (p *pages) open(leaf *node, chunk *format.ColumnMetaData, file io.ReaderAt, fileBytes int64) error {
	from, size := chunk.DataPageOffset, chunk.TotalCompressedSize
	if at := chunk.DictionaryPageOffset; at > 0 && at < from {
		from = at
	}
	if from < 4 || size < 0 || from > fileBytes || size > fileBytes-from || chunk.NumValues < 0 {
		return fmt.Errorf("%w: it would lie at byte %d, with %d bytes and %d values", errDamaged, from, size, chunk.NumValues)
	}
	if size = min(size+slackBytes, fileBytes-from); p.in == nil {
		p.in = bufio.NewReaderSize(nil, readBufferBytes)
	}
	if far, ok := file.(sectioner); ok {
		section := far.Section(from, size)
		p.chunk = section
		p.in.Reset(section)
	} else {
		p.in.Reset(io.NewSectionReader(file, from, size))
	}
	p.leaf, p.kind, p.left, p.dict = leaf, chunk.Codec, chunk.NumValues, nil
	return nil
}

// next reads the next data page, and the dictionary before it. io.EOF comes when
// the chunk has no more values.
func (p *pages) next() (pg page, err error) {
	for p.left > 0 {
		h, err := p.header()
		if err != nil {
			return page{}, err
		}
		if err := p.body(&h); err != nil {
			return page{}, err
		}
		switch h.kind {
		case format.DictionaryPage:
			if err := p.dictionary(&h); err != nil {
				return page{}, err
			}
			continue
		case format.DataPage:
			pg, err = p.dataV1(&h)
		case format.DataPageV2:
			pg, err = p.dataV2(&h)
		default:
			continue // an index page, or what later versions add
		}
		p.left -= int64(h.values)
		return pg, err
	}
	return page{}, io.EOF
}

// header reads a page's header.
func (p *pages) header() (h header, err error) {
	for want := 1 << 8; ; want <<= 1 {
		data, peeked := p.in.Peek(min(want, p.in.Size()))
		if len(data) == 0 && peeked != nil {
			return h, cutOff(peeked)
		}
		h, n, err := parseHeader(data)
		if errors.Is(err, errShort) && peeked == nil && len(data) == p.in.Size() && want < maxHeaderBytes {
			return p.longHeader(data)
		}
		if errors.Is(err, errShort) && peeked == nil {
			continue
		}
		if err != nil {
			return h, fmt.Errorf("reading a page's header: %w", cutOff(err))
		}
		_, err = p.in.Discard(n)
		return h, err
	}
}

// longHeader reads a header that is longer than the buffer.
func (p *pages) longHeader(head []byte) (header, error) {
	data := append([]byte(nil), head...)
	_, _ = p.in.Discard(len(head))
	for len(data) < maxHeaderBytes {
		b, err := p.in.ReadByte()
		if err != nil {
			return header{}, cutOff(err)
		}
		data = append(data, b)
		if len(data)%1024 != 0 && b != thriftStop {
			continue // a struct ends with a stop
		}
		h, n, err := parseHeader(data)
		if err == nil && n == len(data) {
			return h, nil
		}
		if !errors.Is(err, errShort) {
			return h, err
		}
	}
	return header{}, fmt.Errorf("%w: a page header of more than %d bytes", errDamaged, maxHeaderBytes)
}

// cutOff names an end that comes too early.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, errShort) {
		return fmt.Errorf("%w: it ends in the middle of a column: %w", errDamaged, io.ErrUnexpectedEOF)
	}
	return err
}

// body reads what lies behind a header, as it lies in the file.
func (p *pages) body(h *header) error {
	if h.plainBytes > maxPageBytes || h.packedBytes > maxPageBytes {
		return fmt.Errorf("a page of %d bytes: at most %d are read; write smaller pages", max(h.plainBytes, h.packedBytes), maxPageBytes)
	}
	p.packed = p.packed[:0]
	for len(p.packed) < h.packedBytes { // memory grows with what is there, not with what is said
		from, n := len(p.packed), min(h.packedBytes-len(p.packed), 4<<20)
		p.packed = append(p.packed, make([]byte, n)...)
		if _, err := io.ReadFull(p.in, p.packed[from:]); err != nil {
			return cutOff(err)
		}
	}
	if h.checked && crc32.ChecksumIEEE(p.packed) != h.crc {
		return fmt.Errorf("%w: the checksum of a page is wrong", errDamaged)
	}
	return nil
}

// dictionary decodes the chunk's dictionary.
func (p *pages) dictionary(h *header) (err error) {
	if p.words, err = p.codec.unpack(p.kind, p.words, p.packed, h.plainBytes); err != nil {
		return err
	}
	if h.encoding != format.Plain && h.encoding != plainDictionary {
		return fmt.Errorf("the encoding %s of a dictionary is not read", h.encoding)
	}
	d, err := newPlain(p.leaf.Type.V, p.leaf.widthBytes(), p.words)
	if err != nil {
		return err
	}
	if h.values > 8*len(p.words) {
		return errFewer
	}
	p.dict = p.dict[:0]
	var batch [batchValues]value
	for len(p.dict) < h.values {
		got := batch[:min(batchValues, h.values-len(p.dict))]
		if err := d.read(got); err != nil {
			return err
		}
		p.dict = append(p.dict, got...)
	}
	return nil
}

// dataV1 unpacks a page whose levels are compressed with its values.
func (p *pages) dataV1(h *header) (pg page, err error) {
	if p.plain, err = p.codec.unpack(p.kind, p.plain, p.packed, h.plainBytes); err != nil {
		return page{}, err
	}
	pg, data := page{values: h.values}, p.plain
	var levels []byte
	if p.leaf.rep > 0 {
		if levels, data, err = prefixed(data); err == nil {
			pg.rep, err = newHybrid(levels, levelBits(p.leaf.rep))
		}
	}
	if err == nil && p.leaf.def > 0 {
		if levels, data, err = prefixed(data); err == nil {
			pg.def, err = newHybrid(levels, levelBits(p.leaf.def))
		}
	}
	if err != nil {
		return page{}, err
	}
	pg.data, err = newDecoder(h.encoding, p.leaf.Type.V, p.leaf.widthBytes(), data, p.dict)
	return pg, err
}

// dataV2 unpacks a page whose levels are never compressed.
func (p *pages) dataV2(h *header) (pg page, err error) {
	levels := h.repBytes + h.defBytes
	kind := p.kind
	if h.uncompressed {
		kind = format.Uncompressed
	}
	if p.plain, err = p.codec.unpack(kind, p.plain, p.packed[levels:], h.plainBytes-levels); err != nil {
		return page{}, err
	}
	pg = page{values: h.values}
	if pg.rep, err = newHybrid(p.packed[:h.repBytes], levelBits(p.leaf.rep)); err != nil {
		return page{}, err
	}
	if pg.def, err = newHybrid(p.packed[h.repBytes:levels], levelBits(p.leaf.def)); err != nil {
		return page{}, err
	}
	pg.data, err = newDecoder(h.encoding, p.leaf.Type.V, p.leaf.widthBytes(), p.plain, p.dict)
	return pg, err
}

// levelBits is how many bits a level takes.
func levelBits(most byte) uint { return uint(bits.Len8(most)) }
