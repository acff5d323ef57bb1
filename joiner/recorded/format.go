package recorded

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"path"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// format is what a file's records are written in.
type format uint8

const (
	jsonLines format = iota
	commas
	tabs
	columnar
)

// formatOf tells a file's format by its name; what ends in nothing known is
// JSON lines.
func formatOf(name string) (f format, known bool) {
	base := strings.ToLower(path.Base(name))
	for _, packed := range []string{".gz", ".gzip", ".zst", ".zstd"} {
		base = strings.TrimSuffix(base, packed)
	}
	switch path.Ext(base) {
	case ".csv":
		return commas, true
	case ".tsv", ".tab":
		return tabs, true
	case ".parquet", ".parq", ".pq":
		return columnar, true
	case ".jsonl", ".ndjson", ".json":
		return jsonLines, true
	}
	return jsonLines, false
}

// plainText is the compression of what is not compressed.
const plainText = "plain"

// maxWindowBytes bounds the memory of one zstd stream. It admits what
// `zstd --long` writes.
const maxWindowBytes = 128 << 20

var (
	gzipMagic    = []byte{0x1f, 0x8b}
	zstdMagic    = []byte{0x28, 0xb5, 0x2f, 0xfd}
	parquetMagic = []byte("PAR1")
	utf8Mark     = []byte{0xef, 0xbb, 0xbf} // which some editors put before a text
)

// foreign is the error for a format that people have, and that is not text.
type foreign struct{ name string }

// Error says what can be read instead.
func (f *foreign) Error() string {
	return "it is " + f.name + ": give JSON lines or CSV, plain or compressed with gzip or zstd, or Parquet files"
}

// parquetText is found where text was expected.
var parquetText = &foreign{"Parquet, which can neither come through a pipe nor be compressed as a whole"}

var foreigns = []struct {
	magic []byte
	error *foreign
}{
	{parquetMagic, parquetText},
	{[]byte("PARE"), &foreign{"an encrypted Parquet file"}},
	{[]byte("BZh"), &foreign{"compressed with bzip2"}},
	{[]byte{0xfd, '7', 'z', 'X', 'Z', 0}, &foreign{"compressed with xz"}},
	{[]byte{0x04, 0x22, 0x4d, 0x18}, &foreign{"compressed with lz4"}},
	{[]byte("PK\x03\x04"), &foreign{"a zip archive"}},
	{[]byte("Obj\x01"), &foreign{"an Avro file"}},
	{[]byte{0xff, 0xfe}, &foreign{"text in UTF-16, which iconv -f UTF-16 -t UTF-8 converts"}},
	{[]byte{0xfe, 0xff}, &foreign{"text in UTF-16, which iconv -f UTF-16 -t UTF-8 converts"}},
}

// refuse names the format of what is not text.
func refuse(head []byte) error {
	for _, f := range foreigns {
		if bytes.HasPrefix(head, f.magic) {
			return f.error
		}
	}
	return nil
}

// decompress returns the text in r, which is plain, gzip or zstd by its first
// bytes, and the name of its compression. release lets go of what it holds.
func decompress(r *bufio.Reader) (text *bufio.Reader, packed string, release func(), err error) {
	head, err := r.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", nil, err
	}
	if err := refuse(head); err != nil {
		return nil, "", nil, err
	}
	switch {
	case bytes.HasPrefix(head, gzipMagic):
		z, err := openGzip(r)
		if err != nil {
			return nil, "gzip", nil, err
		}
		text, packed, release = bufio.NewReaderSize(z, bufferBytes), "gzip", func() { gzips.Put(z) }
	case bytes.HasPrefix(head, zstdMagic), isSkippable(head):
		z, err := openZstd(r)
		if err != nil {
			return nil, "zstd", nil, err
		}
		text, packed, release = bufio.NewReaderSize(z, bufferBytes), "zstd", func() { closeZstd(z) }
	default:
		return r, plainText, func() {}, nil
	}
	if head, err := text.Peek(4); err == nil { // damage is found when the text is read
		if err := refuse(head); err != nil {
			release()
			return nil, packed, nil, err
		}
	}
	return text, packed, release, nil
}

// Decompressors are used again: each has megabytes of buffers.
var gzips, zstds sync.Pool

func openGzip(r io.Reader) (*gzip.Reader, error) {
	if z, ok := gzips.Get().(*gzip.Reader); ok {
		err := z.Reset(r)
		return z, err
	}
	return gzip.NewReader(r)
}

func openZstd(r io.Reader) (*zstd.Decoder, error) {
	if z, ok := zstds.Get().(*zstd.Decoder); ok {
		err := z.Reset(r)
		return z, err
	}
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindowBytes))
}

func closeZstd(z *zstd.Decoder) {
	if z.Reset(nil) == nil { // or it has an error that it keeps
		zstds.Put(z)
	} else {
		z.Close()
	}
}

// isSkippable recognizes a zstd stream that begins with a skippable frame, as
// parallel and seekable writers make them.
func isSkippable(head []byte) bool {
	return len(head) >= 4 && head[0]&0xf0 == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18
}
