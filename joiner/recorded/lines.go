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

// blanks are what a line may consist of and still count as blank: ASCII only,
// as in JSON.
const blanks = " \t\r\v\f"

// Line is one line of a file, without its end.
type Line struct {
	Data   []byte // valid until the next line is read
	File   string
	Number int64 // from 1, blank lines counted; 0 in a part that does not begin its file
	// Position orders the lines of a file: where in its text the line begins, in
	// bytes. It does not depend on the parts that a file is read in.
	Position int64
}

// Where names the line for messages: file and line, or byte where the line's
// number is not known.
func (l *Line) Where() string {
	if l.Number == 0 {
		return fmt.Sprintf("%s at byte %d", l.File, l.Position)
	}
	return fmt.Sprintf("%s:%d", l.File, l.Number)
}

// ReadError says where reading a file failed. What came before was read.
type ReadError struct {
	File  string
	Line  int64 // whole lines read before the failure; -1 when only Byte is known
	Byte  int64 // where in the file's text the line that failed begins
	Err   error
	Cause string // what is wrong with the file, in words
}

// Error names the file, the line and the cause.
func (e *ReadError) Error() string {
	if e.Line < 0 {
		return fmt.Sprintf("reading %s at byte %d: %s: %v", e.File, e.Byte, e.Cause, e.Err)
	}
	return fmt.Sprintf("reading %s:%d: %s: %v", e.File, e.Line+1, e.Cause, e.Err)
}

// Unwrap returns the underlying error.
func (e *ReadError) Unwrap() error { return e.Err }

// ErrLineTooLong is what a ReadError wraps for a line above MaxLineBytes.
var ErrLineTooLong = errors.New("line too long")

// lines reads one file, or a part of it. Memory is a few buffers, and the
// longest line.
type lines struct {
	name    string
	input   io.ReadCloser
	text    *bufio.Reader
	format  string
	release func()
	number  int64 // lines read; -1 in a part, where it is not known
	offset  int64 // in the text, of what comes next
	end     int64 // lines that begin here or later are another part's
	long    []byte
}

// openLines opens the file f; what is read of it is counted in read.
func openLines(f *file, read *atomic.Int64) (*lines, error) {
	return openHead(f, math.MaxInt64, read)
}

// openHead opens the lines of f that begin before byte to.
func openHead(f *file, to int64, read *atomic.Int64) (*lines, error) {
	input, err := f.open(0)
	if err != nil {
		return nil, err
	}
	l := &lines{name: f.name, input: input, end: to}
	text, format, release, err := decompress(bufio.NewReaderSize(&counted{input, read, to}, bufferBytes))
	if err != nil {
		return nil, errors.Join(&ReadError{File: f.name, Err: err, Cause: "the file cannot be read as lines"}, input.Close())
	}
	l.text, l.format, l.release = text, format, release
	l.skipMark()
	return l, nil
}

// openPart opens the lines of f that begin in bytes [from, to); f is plain.
func openPart(f *file, from, to int64, read *atomic.Int64) (*lines, error) {
	if from == 0 {
		return openHead(f, to, read)
	}
	// The byte before tells whether a line begins at from.
	input, err := f.open(from - 1)
	if err != nil {
		return nil, err
	}
	l := &lines{name: f.name, input: input, format: plainText, release: func() {}, number: -1, offset: from - 1, end: to}
	l.text = bufio.NewReaderSize(&counted{input, read, to - from}, bufferBytes)
	for {
		skipped, err := l.text.ReadSlice('\n')
		l.offset += int64(len(skipped))
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err == nil || errors.Is(err, io.EOF):
			return l, nil
		default:
			return nil, errors.Join(l.damage(err), l.Close())
		}
	}
}

// skipMark passes over a byte order mark.
func (l *lines) skipMark() {
	if mark, err := l.text.Peek(len(utf8Mark)); err == nil && bytes.Equal(mark, utf8Mark) {
		_, _ = l.text.Discard(len(utf8Mark)) // peeked: they are there
		l.offset = int64(len(utf8Mark))
		l.end = max(l.end, l.offset+1) // a part that ends within it: its line is none of the next part's
	}
}

// Next implements RowReader. Every error but io.EOF is a *ReadError.
func (l *lines) Next() (Line, error) {
	for {
		at := l.offset
		if at >= l.end {
			return Line{}, io.EOF
		}
		data, err := l.raw()
		if err != nil {
			return Line{}, err
		}
		l.offset += int64(len(data))
		if l.number >= 0 {
			l.number++
		}
		data = bytes.TrimSuffix(data, []byte{'\n'})
		data = bytes.TrimSuffix(data, []byte{'\r'})
		if len(data) == 0 || data[0] <= ' ' && len(bytes.TrimLeft(data, blanks)) == 0 {
			continue
		}
		return Line{Data: data, File: l.name, Number: max(l.number, 0), Position: at}, nil
	}
}

// raw returns the bytes up to and with the next line end, or what is left of
// the file. A line that the file's damage cuts off is not returned.
func (l *lines) raw() ([]byte, error) {
	data, err := l.text.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		data, err = l.rest(data)
	}
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, io.EOF):
		if len(data) > 0 {
			return data, nil // the last line lacks its end
		}
		return nil, io.EOF
	}
	return nil, l.damage(err)
}

// damage says where and why reading failed.
func (l *lines) damage(err error) *ReadError {
	e := &ReadError{File: l.name, Line: l.number, Byte: l.offset, Err: err}
	before := fmt.Sprintf("the %d lines before were read", l.number)
	if l.number < 0 {
		before = "the lines before were read"
	}
	switch {
	case errors.Is(err, ErrLineTooLong):
		e.Cause = fmt.Sprintf("the line has more than %d MiB; is this a file of lines?", MaxLineBytes>>20)
	case errors.Is(err, io.ErrUnexpectedEOF):
		e.Cause = fmt.Sprintf("the %s data is cut off; %s", l.format, before)
	default:
		e.Cause = fmt.Sprintf("the %s data is damaged; %s", l.format, before)
	}
	return e
}

// rest collects a line that is longer than the buffer.
func (l *lines) rest(head []byte) ([]byte, error) {
	l.long = append(l.long[:0], head...)
	for {
		more, err := l.text.ReadSlice('\n')
		if len(l.long)+len(more) > MaxLineBytes+len("\r\n") {
			l.long = nil
			return nil, ErrLineTooLong
		}
		l.long = append(l.long, more...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return l.long, err
		}
	}
}

// Close implements RowReader.
func (l *lines) Close() error {
	l.release()
	return l.input.Close()
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
