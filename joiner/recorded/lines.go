package recorded

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
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
	Number int64 // from 1, blank lines counted
}

// ReadError says where reading a file failed. What came before was read.
type ReadError struct {
	File  string
	Line  int64 // whole lines read before the failure
	Err   error
	Cause string // what is wrong with the file, in words
}

// Error names the file, the line and the cause.
func (e *ReadError) Error() string {
	return fmt.Sprintf("reading %s:%d: %s: %v", e.File, e.Line+1, e.Cause, e.Err)
}

// Unwrap returns the underlying error.
func (e *ReadError) Unwrap() error { return e.Err }

// ErrLineTooLong is what a ReadError wraps for a line above MaxLineBytes.
var ErrLineTooLong = errors.New("line too long")

// lines reads one file. Memory is a few buffers, and the longest line.
type lines struct {
	name    string
	input   io.ReadCloser
	text    *bufio.Reader
	format  string
	release func()
	number  int64 // lines read
	long    []byte
}

// openLines opens the file name; what is read of it is counted in read.
func openLines(name string, stdin io.Reader, read *atomic.Int64) (*lines, error) {
	l := &lines{name: name, release: func() {}}
	if name == Stdin {
		l.name, l.input = "stdin", io.NopCloser(stdin)
	} else {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("opening input file: %w", err)
		}
		l.input = f
	}
	text, format, release, err := decompress(bufio.NewReaderSize(&counted{l.input, read}, bufferBytes))
	if err != nil {
		return nil, errors.Join(&ReadError{File: l.name, Err: err, Cause: "the file cannot be read as lines"}, l.input.Close())
	}
	l.text, l.format, l.release = text, format, release
	return l, nil
}

// next returns the next line that is not blank, or io.EOF. Every other error is
// a *ReadError.
func (l *lines) next() (Line, error) {
	for {
		data, err := l.raw()
		if err != nil {
			return Line{}, err
		}
		l.number++
		data = bytes.TrimSuffix(data, []byte{'\n'})
		data = bytes.TrimSuffix(data, []byte{'\r'})
		if len(data) == 0 || data[0] <= ' ' && len(bytes.TrimLeft(data, blanks)) == 0 {
			continue
		}
		return Line{Data: data, File: l.name, Number: l.number}, nil
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
	case errors.Is(err, ErrLineTooLong):
		return nil, &ReadError{File: l.name, Line: l.number, Err: err,
			Cause: fmt.Sprintf("the line has more than %d MiB; is this a file of lines?", MaxLineBytes>>20)}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &ReadError{File: l.name, Line: l.number, Err: err,
			Cause: fmt.Sprintf("the %s data is cut off; the %d lines before were read", l.format, l.number)}
	}
	return nil, &ReadError{File: l.name, Line: l.number, Err: err,
		Cause: fmt.Sprintf("the %s data is damaged; the %d lines before were read", l.format, l.number)}
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

func (l *lines) close() error {
	l.release()
	return l.input.Close()
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n *atomic.Int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
