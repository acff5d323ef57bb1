package recorded

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
)

// MaxLineBytes is the longest line that is read.
const MaxLineBytes = 64 << 20

const bufferBytes = 128 << 10

// ErrLineTooLong is what a ReadError wraps for a line above MaxLineBytes.
var ErrLineTooLong = errors.New("line too long")

// text is one file of text, or a part of it, while it is read. Memory is a few
// buffers, and the longest line.
type text struct {
	name    string
	input   io.ReadCloser
	buf     *bufio.Reader
	format  string
	release func()
	number  int64 // lines read; -1 in a part, where it is not known
	offset  int64 // in the text, of what comes next
	end     int64 // lines that begin here or later are another part's
	long    []byte
}

// openText opens the file f; what is read of it is counted in read.
func openText(f *file, read *atomic.Int64) (*text, error) { return openHead(f, math.MaxInt64, read) }

// openHead opens the lines of f that begin before byte to.
func openHead(f *file, to int64, read *atomic.Int64) (*text, error) {
	input, err := f.open(0)
	if err != nil {
		return nil, err
	}
	t := &text{name: f.name, input: input, end: to}
	buf, format, release, err := decompress(bufio.NewReaderSize(&counted{input, read, to}, bufferBytes))
	if err != nil {
		return nil, errors.Join(&ReadError{File: f.name, Line: -1, Byte: -1, Err: err, Cause: "the file cannot be read"}, input.Close())
	}
	t.buf, t.format, t.release = buf, format, release
	t.skipMark()
	return t, nil
}

// openPart opens the lines of f that begin in bytes [from, to); f is plain.
func openPart(f *file, from, to int64, read *atomic.Int64) (*text, error) {
	if from == 0 {
		return openHead(f, to, read)
	}
	// The byte before tells whether a line begins at from.
	input, err := f.open(from - 1)
	if err != nil {
		return nil, err
	}
	t := &text{name: f.name, input: input, format: plainText, release: func() {}, number: -1, offset: from - 1, end: to}
	t.buf = bufio.NewReaderSize(&counted{input, read, to - from}, bufferBytes)
	for {
		skipped, err := t.buf.ReadSlice('\n')
		t.offset += int64(len(skipped))
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err == nil || errors.Is(err, io.EOF):
			return t, nil
		default:
			return nil, errors.Join(t.damage(err), t.Close())
		}
	}
}

// skipMark passes over a byte order mark.
func (t *text) skipMark() {
	if mark, err := t.buf.Peek(len(utf8Mark)); err == nil && bytes.Equal(mark, utf8Mark) {
		_, _ = t.buf.Discard(len(utf8Mark)) // peeked: they are there
		t.offset = int64(len(utf8Mark))
		t.end = max(t.end, t.offset+1) // a part that ends within it: its line is none of the next part's
	}
}

// line returns the bytes up to and with the next line end, or what is left of
// the file, valid until the next call. A line that the file's damage cuts off is
// not returned. Every error but io.EOF is a *ReadError.
func (t *text) line() ([]byte, error) {
	data, err := t.buf.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		data, err = t.rest(data)
	}
	if errors.Is(err, io.EOF) && len(data) > 0 {
		err = nil // the last line lacks its end
	}
	switch {
	case err == nil:
		t.offset += int64(len(data))
		if t.number >= 0 {
			t.number++
		}
		return data, nil
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	}
	return nil, t.damage(err)
}

// rest collects a line that is longer than the buffer.
func (t *text) rest(head []byte) ([]byte, error) {
	t.long = append(t.long[:0], head...)
	for {
		more, err := t.buf.ReadSlice('\n')
		if len(t.long)+len(more) > MaxLineBytes+len("\r\n") {
			t.long = nil
			return nil, ErrLineTooLong
		}
		t.long = append(t.long, more...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return t.long, err
		}
	}
}

// damage says where and why reading failed.
func (t *text) damage(err error) *ReadError {
	e := &ReadError{File: t.name, Line: t.number, Byte: t.offset, Err: err}
	before := fmt.Sprintf("the %d lines before were read", t.number)
	if t.number < 0 {
		before = "the lines before were read"
	}
	switch {
	case isFar(err):
		e.Cause = "the object cannot be read on; " + before
	case errors.Is(err, ErrLineTooLong):
		e.Cause = fmt.Sprintf("the line has more than %d MiB; is this a file of lines?", MaxLineBytes>>20)
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.Cause = fmt.Sprintf("the %s data is cut off: get the file anew; %s", t.format, before)
	default:
		e.Cause = fmt.Sprintf("the %s data is damaged: get the file anew; %s", t.format, before)
	}
	return e
}

// Close implements RowReader.
func (t *text) Close() error {
	t.release()
	return t.input.Close()
}

// withoutEnd returns a line without \n or \r\n at its end.
func withoutEnd(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'})
}

// blanks are what a line may consist of and still count as blank: ASCII only,
// as in JSON.
const blanks = " \t\r\v\f"

// isBlank reports whether there is nothing in a line.
func isBlank(line []byte) bool {
	return len(line) == 0 || line[0] <= ' ' && len(bytes.TrimLeft(line, blanks)) == 0
}

// counted counts what is read, up to a part's size: parts read a little of the
// next one.
type counted struct {
	r    io.Reader
	n    *atomic.Int64
	left int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	mine := min(int64(n), c.left)
	c.left -= mine
	c.n.Add(mine)
	return n, err
}
