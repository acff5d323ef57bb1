package recorded

import (
	"container/heap"
	"errors"
	"io"
	"math"
	"slices"
	"sync/atomic"
)

// Extractor reads a line's event time, in ms since 1970 UTC, and its key. ok is
// false when the line has no time that can be right; the line is passed on all
// the same. key may be nil, and may alias line.
type Extractor func(line []byte) (timeMS int64, key []byte, ok bool)

// Stream is one source's files and how its lines are understood.
type Stream struct {
	Files   *Files
	Extract Extractor
}

// Event is one line of a merge.
type Event struct {
	Line
	Stream int // index of the stream
	// TimeMS is the event time. A line whose time cannot be read has that of
	// the line before it in its file, so that it stays where it was; 0 when no
	// line before it has one.
	TimeMS int64
	Timed  bool   // the line's own time could be read
	Key    []byte // as extracted; valid as long as Data
}

// Merged is several streams in order of event time. Every file is a run of its
// own: its lines keep their order, whatever their times, and come when the
// first of them that is still to come is the earliest of all files' first ones.
// Equal times come in order of stream, then of file name. One goroutine reads
// it; Progress may be called from any.
type Merged struct {
	streams []Stream
	heads   heads
	last    *run // whose line was returned last, and which must move on
}

// run is one file on its way through the merge.
type run struct {
	stream, file int
	src          *Stream
	lines        RowReader // nil while only the head is known
	event        Event
	order        int64  // time that the run is ordered by
	head         []byte // a copy of the first line while the file is closed
}

// Merge begins to merge streams. Until a file's turn comes only its first line
// is held, so files that follow one another in time are open one at a time;
// those that overlap are open together.
func Merge(streams ...Stream) (*Merged, error) {
	m := &Merged{streams: slices.Clone(streams)}
	fromStdin := 0
	for i := range streams {
		if streams[i].Files.FromStdin() {
			fromStdin++
		}
	}
	if fromStdin > 1 {
		return nil, errors.New("the standard input (-) can be the input of one source only")
	}
	for i := range m.streams {
		s := &m.streams[i]
		if err := readFirst(s.Files.files, &s.Files.opts); err != nil {
			return nil, errors.Join(err, m.Close())
		}
		for j := range s.Files.files {
			r := &run{stream: i, file: j, src: s, order: math.MinInt64}
			more, err := r.begin()
			if err != nil {
				return nil, errors.Join(err, m.Close())
			}
			if more {
				m.heads = append(m.heads, r)
			}
		}
	}
	heap.Init(&m.heads)
	return m, nil
}

// Progress returns what Files.Progress does, over all streams.
func (m *Merged) Progress() (readBytes, totalBytes int64) {
	for i := range m.streams {
		read, total := m.streams[i].Files.Progress()
		readBytes += read
		if total < 0 || totalBytes < 0 {
			totalBytes = -1
			continue
		}
		totalBytes += total
	}
	return readBytes, totalBytes
}

// Next returns the next event, and io.EOF after the last. It is valid until the
// next call. A *ReadError says where a file is damaged.
func (m *Merged) Next() (*Event, error) {
	if r := m.last; r != nil {
		m.last = nil
		more, err := r.advance()
		if err != nil {
			return nil, err
		}
		if more {
			heap.Fix(&m.heads, 0)
		} else {
			heap.Pop(&m.heads)
		}
	}
	if len(m.heads) == 0 {
		return nil, io.EOF
	}
	r := m.heads[0]
	if err := r.reopen(); err != nil {
		return nil, err
	}
	m.last = r
	return &r.event, nil
}

// Close closes the files that are open.
func (m *Merged) Close() error {
	var err error
	for _, r := range m.heads {
		err = errors.Join(err, r.closeLines())
	}
	m.heads, m.last = nil, nil
	return err
}

// begin reads the first line and closes the file again, if it can be opened
// twice. What it reads is counted when the file is read in earnest.
func (r *run) begin() (more bool, err error) {
	o, f, read := &r.src.Files.opts, r.src.Files.files[r.file], &r.src.Files.read
	if f.empty {
		read.Add(f.sizeBytes)
		return false, nil
	}
	if f.first != nil {
		r.head = f.first.Data
		r.understand(*f.first)
		return true, nil
	}
	again := f.sizeBytes >= 0
	var aside atomic.Int64
	counter := read
	if again {
		counter = &aside
	}
	if r.lines, err = f.rows(o, counter); err != nil {
		return false, err
	}
	if more, err = r.advance(); err != nil || !more {
		read.Add(aside.Load())
		return false, errors.Join(err, r.closeLines())
	}
	if again {
		r.head = slices.Clone(r.event.Data)
		line := r.event.Line
		line.Data = r.head
		r.understand(line)
		return true, r.closeLines()
	}
	return true, nil
}

// reopen opens the file when its turn comes, and reads past its first line.
func (r *run) reopen() error {
	if r.lines != nil {
		return nil
	}
	f := r.src.Files.files[r.file]
	opened, err := f.rows(&r.src.Files.opts, &r.src.Files.read)
	if err != nil {
		return err
	}
	r.lines = opened
	if _, err := opened.Next(); errors.Is(err, io.EOF) {
		return &ReadError{File: f.name, Line: -1, Byte: -1, Err: io.ErrUnexpectedEOF, Cause: "the file lost its first line while it was read"}
	} else if err != nil {
		return err
	}
	return nil
}

// advance reads the next line; false at the end of the file.
func (r *run) advance() (more bool, err error) {
	r.head = nil
	line, err := r.lines.Next()
	if errors.Is(err, io.EOF) {
		return false, r.closeLines()
	}
	if err != nil {
		return false, err
	}
	r.understand(line)
	return true, nil
}

func (r *run) understand(line Line) {
	timeMS, key, ok := r.src.Extract(line.Data)
	if ok {
		r.order = timeMS
	}
	r.event = Event{Line: line, Stream: r.stream, TimeMS: r.order, Timed: ok, Key: key}
	if r.order == math.MinInt64 {
		r.event.TimeMS = 0
	}
}

func (r *run) closeLines() error {
	if r.lines == nil {
		return nil
	}
	l := r.lines
	r.lines = nil
	return l.Close()
}

// heads is a heap of runs by the time of their next line.
type heads []*run

// Len implements heap.Interface.
func (h heads) Len() int { return len(h) }

// Less implements heap.Interface.
func (h heads) Less(i, j int) bool {
	a, b := h[i], h[j]
	switch {
	case a.order != b.order:
		return a.order < b.order
	case a.stream != b.stream:
		return a.stream < b.stream
	}
	return a.file < b.file
}

// Swap implements heap.Interface.
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *heads) Push(x any) { *h = append(*h, x.(*run)) }

// Pop implements heap.Interface.
func (h *heads) Pop() any {
	old := *h
	r := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return r
}
