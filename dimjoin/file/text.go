package file

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// text reads lines of a text, which is plain, gzip or zstd by its first bytes.
type text struct {
	*bufio.Reader
	number  int // of the last line
	long    []byte
	release func()
}

const (
	// maxLineBytes is the longest line that is read.
	maxLineBytes = 64 << 20
	bufferBytes  = 128 << 10
	// maxWindowBytes bounds the memory of a zstd stream; it admits zstd --long.
	maxWindowBytes = 128 << 20
)

func newText(r io.Reader) (*text, error) {
	t := &text{Reader: bufio.NewReaderSize(r, bufferBytes), release: func() {}}
	head, err := t.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(t.Reader)
		if err != nil {
			return nil, fmt.Errorf("the gzip data is damaged: %w", err)
		}
		t.Reader = bufio.NewReaderSize(z, bufferBytes)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18}):
		z, err := zstd.NewReader(t.Reader, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindowBytes))
		if err != nil {
			return nil, err
		}
		t.Reader, t.release = bufio.NewReaderSize(z, bufferBytes), z.Close
	}
	mark := []byte{0xef, 0xbb, 0xbf}
	if head, err := t.Peek(len(mark)); err == nil && bytes.Equal(head, mark) {
		_, _ = t.Discard(len(mark)) // peeked: they are there
	}
	return t, nil
}

// line returns the next line with its end, valid until the next call.
func (t *text) line() ([]byte, error) {
	data, err := t.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		t.long = t.long[:0]
		for errors.Is(err, bufio.ErrBufferFull) && len(t.long) < maxLineBytes {
			t.long = append(t.long, data...)
			data, err = t.ReadSlice('\n')
		}
		t.long = append(t.long, data...)
		data = t.long
	}
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, &fault{t.number + 1, "", fmt.Errorf("the line has more than %d MiB; is this a file of lines?", maxLineBytes>>20)}
	}
	if errors.Is(err, io.EOF) && len(data) > 0 {
		err = nil // the last line lacks its end
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, &fault{t.number + 1, "", fmt.Errorf("the file cannot be read on: %w: get it anew", err)}
	}
	t.number++
	return data, err
}

func withoutEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'})
}
