package extsort

import (
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/zeebo/xxh3"
)

// A spill file is blocks, then a footer, then a trailer; numbers are little-endian.
//
//	block    raw bytes (4), bytes in the file (4), checksum (8), payload: s2
//	footer   splits (varint); per split: records, and where there are any also raw
//	         bytes, bytes in the file, least time (zigzag), span of time; then the
//	         length of the caller's note, and the note
//	trailer  bytes of footer (4), checksum of footer (8), "MORTSRT\n"
//
// The blocks of one split stand together, its records in order. A record is
// varints: time since the one before it in the block (the first: zigzag of the
// time), unit, how far ahead, lane, position (zigzag, since the one before), length of value, of
// extra; then value and extra.
const (
	blockHeaderBytes = 16
	trailerBytes     = 20
	magic            = "MORTSRT\n"
)

// blockBytes is the raw size at which a block is compressed and written.
const blockBytes = 64 << 10

// segment is what a spill file holds of one split.
type segment struct {
	records      int64
	rawBytes     int64
	off, bytes   int64
	minMS, maxMS int64
}

// Writer writes one spill file: for ascending splits, Begin and then Append in
// order; Finish at the end.
type Writer struct {
	w        io.Writer
	segments []segment
	cur      *segment
	off      int64
	raw      []byte
	packed   []byte
	last     Record // its TimeMS and Position are what the next record is relative to
}

// NewWriter makes a writer for the given number of splits.
func NewWriter(w io.Writer, splits int) *Writer {
	return &Writer{w: w, segments: make([]segment, splits)}
}

// Begin starts the run of a split.
func (w *Writer) Begin(split int) {
	if w.cur != nil {
		panic("extsort: a run is begun before the last one has ended")
	}
	w.cur = &w.segments[split]
	w.cur.off = w.off
}

// End ends the run.
func (w *Writer) End() error {
	err := w.flush()
	w.cur.bytes = w.off - w.cur.off
	w.cur = nil
	return err
}

// Append adds a record to the run.
func (w *Writer) Append(r *Record) error {
	c := w.cur
	if c.records == 0 {
		c.minMS = r.TimeMS
	}
	c.maxMS = r.TimeMS
	c.records++
	before := len(w.raw)
	w.raw = appendRecord(w.raw, r, &w.last, before == 0)
	w.last.TimeMS, w.last.Position = r.TimeMS, r.Position
	c.rawBytes += int64(len(w.raw) - before)
	if len(w.raw) >= blockBytes {
		return w.flush()
	}
	return nil
}

func appendRecord(dst []byte, r, last *Record, first bool) []byte {
	if first {
		dst = binary.AppendVarint(dst, r.TimeMS)
		dst = binary.AppendVarint(dst, r.Position)
	} else {
		dst = binary.AppendUvarint(dst, uint64(r.TimeMS-last.TimeMS))
		dst = binary.AppendVarint(dst, r.Position-last.Position)
	}
	dst = binary.AppendUvarint(dst, uint64(r.Unit))
	dst = binary.AppendUvarint(dst, uint64(uint32(r.AheadMS)))
	dst = binary.AppendUvarint(dst, uint64(r.Lane))
	dst = binary.AppendUvarint(dst, uint64(len(r.Value)))
	dst = binary.AppendUvarint(dst, uint64(len(r.Extra)))
	return append(append(dst, r.Value...), r.Extra...)
}

func (w *Writer) flush() error {
	if len(w.raw) == 0 {
		return nil
	}
	need := blockHeaderBytes + s2.MaxEncodedLen(len(w.raw))
	if cap(w.packed) < need {
		w.packed = make([]byte, need)
	}
	payload := s2.Encode(w.packed[blockHeaderBytes:need], w.raw)
	block := w.packed[:blockHeaderBytes+len(payload)]
	binary.LittleEndian.PutUint32(block, uint32(len(w.raw)))
	binary.LittleEndian.PutUint32(block[4:], uint32(len(payload)))
	binary.LittleEndian.PutUint64(block[8:], xxh3.Hash(payload))
	w.raw = w.raw[:0]
	return w.write(block)
}

func (w *Writer) write(b []byte) error {
	n, err := w.w.Write(b)
	w.off += int64(n)
	return err
}

// Finish writes the footer with the caller's note.
func (w *Writer) Finish(note []byte) error {
	footer := binary.AppendUvarint(nil, uint64(len(w.segments)))
	for i := range w.segments {
		s := &w.segments[i]
		footer = binary.AppendUvarint(footer, uint64(s.records))
		if s.records == 0 {
			continue
		}
		footer = binary.AppendUvarint(footer, uint64(s.rawBytes))
		footer = binary.AppendUvarint(footer, uint64(s.bytes))
		footer = binary.AppendVarint(footer, s.minMS)
		footer = binary.AppendUvarint(footer, uint64(s.maxMS-s.minMS))
	}
	footer = binary.AppendUvarint(footer, uint64(len(note)))
	footer = append(footer, note...)
	sum := xxh3.Hash(footer)
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	footer = binary.LittleEndian.AppendUint64(footer, sum)
	return w.write(append(footer, magic...))
}
