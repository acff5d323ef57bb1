package recorded

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindowBytes bounds the memory of one zstd stream. It admits what
// `zstd --long` writes.
const maxWindowBytes = 128 << 20

// plainText is the format of what is not compressed.
const plainText = "plain"

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
	utf8Mark  = []byte{0xef, 0xbb, 0xbf} // which some editors put before a text
)

// unreadable are formats that people have, and that are not lines of text.
var unreadable = []struct {
	magic []byte
	name  string
}{
	{[]byte("PAR1"), "a Parquet file"},
	{[]byte("BZh"), "compressed with bzip2"},
	{[]byte{0xfd, '7', 'z', 'X', 'Z', 0}, "compressed with xz"},
	{[]byte{0x04, 0x22, 0x4d, 0x18}, "compressed with lz4"},
	{[]byte("PK\x03\x04"), "a zip archive"},
	{[]byte("Obj\x01"), "an Avro file"},
}

// decompress returns the text in r, which is plain, gzip or zstd by its first
// bytes, and the name of its format. release lets go of what it holds.
func decompress(r *bufio.Reader) (text *bufio.Reader, format string, release func(), err error) {
	head, err := r.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", nil, err
	}
	for _, u := range unreadable {
		if bytes.HasPrefix(head, u.magic) {
			return nil, "", nil, fmt.Errorf("it is %s: give lines of JSON, plain or compressed with gzip or zstd", u.name)
		}
	}
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, "gzip", nil, err
		}
		text, format, release = bufio.NewReaderSize(z, bufferBytes), "gzip", func() {}
	case bytes.HasPrefix(head, zstdMagic), isSkippable(head):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindowBytes))
		if err != nil {
			return nil, "zstd", nil, err
		}
		text, format, release = bufio.NewReaderSize(z, bufferBytes), "zstd", z.Close
	default:
		text, format, release = r, plainText, func() {}
	}
	return text, format, release, nil
}

// isSkippable recognizes a zstd stream that begins with a skippable frame, as
// parallel and seekable writers make them.
func isSkippable(head []byte) bool {
	return len(head) >= 4 && head[0]&0xf0 == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18
}
