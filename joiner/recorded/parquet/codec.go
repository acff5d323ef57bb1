package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/compress/brotli"
	"github.com/parquet-go/parquet-go/format"
)

// maxPageBytes bounds what one page takes in memory. Writers make pages of about
// a megabyte.
const maxPageBytes = 1 << 30

// codec unpacks pages. One goroutine uses it.
type codec struct {
	gzip *gzip.Reader
	zstd *zstd.Decoder
}

// unpack decompresses src, which comes to size bytes, into dst's memory.
func (c *codec) unpack(kind format.CompressionCodec, dst, src []byte, size int) ([]byte, error) {
	if kind == format.Uncompressed {
		return append(dst[:0], src...), nil
	}
	if cap(dst) < size {
		dst = make([]byte, size)
	}
	dst = dst[:size]
	var n int
	var err error
	switch kind {
	case format.Snappy:
		n, err = unpackSnappy(dst, src)
	case format.Gzip:
		n, err = c.unpackGzip(dst, src)
	case format.Zstd:
		n, err = c.unpackZstd(dst, src)
	case format.Lz4Raw:
		n, err = unpackLZ4(dst, src)
	case format.Lz4:
		n, err = unpackHadoopLZ4(dst, src)
	case format.Brotli:
		var got []byte
		if got, err = new(brotli.Codec).Decode(dst, src); err == nil && len(got) <= size {
			n = copy(dst, got)
		} else if err == nil {
			n = len(got)
		}
	default:
		return dst[:0], fmt.Errorf("the codec %s is not read: write the file with zstd or snappy", kind)
	}
	if err == nil && n != size {
		err = fmt.Errorf("%w: a page of %d bytes should have %d", errDamaged, n, size)
	}
	if err != nil {
		return dst[:0], fmt.Errorf("decompressing %s: %w", kind, err)
	}
	return dst, nil
}

func unpackSnappy(dst, src []byte) (int, error) {
	n, err := snappy.DecodedLen(src)
	if err != nil || n > len(dst) {
		return n, err
	}
	got, err := snappy.Decode(dst, src)
	return len(got), err
}

func (c *codec) unpackGzip(dst, src []byte) (n int, err error) {
	r := bytes.NewReader(src)
	if c.gzip == nil {
		c.gzip, err = gzip.NewReader(r)
	} else {
		err = c.gzip.Reset(r)
	}
	if err != nil {
		c.gzip = nil
		return 0, err
	}
	if n, err = io.ReadFull(c.gzip, dst); err != nil && n < len(dst) {
		return n, err
	}
	var more [1]byte // reads the checksum, too
	extra, err := io.ReadFull(c.gzip, more[:])
	if extra == 0 && err == io.EOF { //nolint:errorlint // ReadFull's own, never wrapped
		err = nil
	}
	return n + extra, err
}

func (c *codec) unpackZstd(dst, src []byte) (int, error) {
	if c.zstd == nil {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxPageBytes))
		if err != nil {
			return 0, err
		}
		c.zstd = z
	}
	got, err := c.zstd.DecodeAll(src, dst[:0])
	if err == nil && len(got) == len(dst) && len(got) > 0 && &got[0] != &dst[0] {
		copy(dst, got)
	}
	return len(got), err
}

func (c *codec) close() {
	if c.zstd != nil {
		c.zstd.Close()
		c.zstd = nil
	}
}

// unpackHadoopLZ4 reads blocks, each behind its two sizes in big-endian, as
// Hadoop frames them; what old writers wrote without is a block itself.
func unpackHadoopLZ4(dst, src []byte) (int, error) {
	whole, rest, n := dst, src, 0
	for len(rest) >= 8 {
		plain, packed := binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:])
		if uint64(packed) > uint64(len(rest)-8) || uint64(plain) > uint64(len(dst)-n) {
			break
		}
		got, err := unpackLZ4(dst[n:n+int(plain)], rest[8:8+packed])
		if err != nil || got != int(plain) {
			break
		}
		n, rest = n+got, rest[8+packed:]
	}
	if len(rest) == 0 {
		return n, nil
	}
	return unpackLZ4(whole, src)
}

// unpackLZ4 decompresses an LZ4 block (lz4_Block_format.md) into dst, and returns
// how much of it was filled.
func unpackLZ4(dst, src []byte) (n int, err error) {
	bad := fmt.Errorf("%w: an LZ4 block that leads outside", errDamaged)
	length := func(nibble, at int) (int, int) {
		if nibble < 15 {
			return nibble, at
		}
		for at < len(src) {
			b := int(src[at])
			nibble, at = nibble+b, at+1
			if b < 255 {
				break
			}
		}
		return nibble, at
	}
	for at := 0; at < len(src); {
		token := int(src[at])
		var literals int
		literals, at = length(token>>4, at+1)
		if literals > len(src)-at || literals > len(dst)-n {
			return n, bad
		}
		n += copy(dst[n:], src[at:at+literals])
		if at += literals; at == len(src) {
			return n, nil // the last sequence has literals only
		}
		if len(src)-at < 2 {
			return n, bad
		}
		offset := int(binary.LittleEndian.Uint16(src[at:]))
		var match int
		match, at = length(token&15, at+2)
		match += 4
		if offset == 0 || offset > n || match > len(dst)-n {
			return n, bad
		}
		if offset >= match {
			n += copy(dst[n:n+match], dst[n-offset:])
			continue
		}
		for range match { // it repeats itself
			dst[n] = dst[n-offset]
			n++
		}
	}
	return n, nil
}
