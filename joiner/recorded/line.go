package recorded

import "fmt"

// Line is one record: a line of a file of JSON lines, without its end, or the
// JSON object that a row of another format comes to.
type Line struct {
	Data []byte // valid until the next line is read
	File string
	// Number is the line or row, from 1, blank lines counted; 0 in a part that does
	// not begin its file.
	Number int64
	// Position orders the lines of a file: where in its text the line begins, in
	// bytes, or its row. It does not depend on the parts that a file is read in.
	Position int64
}

// Where names the line for messages: file and line or row, or byte where the
// line's number is not known.
func (l *Line) Where() string {
	if l.Number == 0 {
		return fmt.Sprintf("%s at byte %d", l.File, l.Position)
	}
	return fmt.Sprintf("%s:%d", l.File, l.Number)
}

// ReadError says where reading a file failed. What came before was read.
type ReadError struct {
	File  string
	Line  int64 // whole lines or rows read before the failure; -1 when that is not known
	Byte  int64 // where in the file's text the line that failed begins; -1 when it is the file as a whole
	Err   error
	Cause string // what is wrong with the file, in words
}

// Error names the file, the line and the cause.
func (e *ReadError) Error() string {
	switch {
	case e.Byte < 0:
		return fmt.Sprintf("reading %s: %s: %v", e.File, e.Cause, e.Err)
	case e.Line < 0:
		return fmt.Sprintf("reading %s at byte %d: %s: %v", e.File, e.Byte, e.Cause, e.Err)
	}
	return fmt.Sprintf("reading %s:%d: %s: %v", e.File, e.Line+1, e.Cause, e.Err)
}

// Unwrap returns the underlying error.
func (e *ReadError) Unwrap() error { return e.Err }
