package disk

import (
	"fmt"
	"math"
	"slices"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/segment"
)

// log is one of a store's logs.
type log struct {
	s          *Store
	kind       joiner.LogKind
	layout     segment.Layout
	blockBytes int   // of unwritten entries, before they are written
	spanMS     int64 // of a bucket

	buckets []*bucket // by index
	last    *bucket   // appended to last
	files   map[uint32]*file
	active  bucket // ring of the buckets with unwritten entries; next was used last
	nActive int
	buffers int // bytes of memory that their blocks take

	pool   segment.Pool
	scan   scan
	held   *segment.Block // aliased by the entry read last
	cached struct {       // the block that Read read last
		file    *file
		ordinal int
		block   *segment.Block
	}
	frame []byte // the frame that Read read last

	entries, bytes int64
}

func (l *log) init(s *Store, kind joiner.LogKind) {
	l.s, l.kind, l.layout, l.blockBytes, l.spanMS = s, kind, segment.Blocks, s.opts.BlockBytes, s.opts.SpanMS(kind)
	if kind == joiner.Labels {
		l.layout, l.blockBytes = segment.Frames, labelBytes
	}
	l.files = map[uint32]*file{}
	l.active.prev, l.active.next = &l.active, &l.active
	l.pool.MaxBytes = 2 * max(l.blockBytes, 4<<10)
	l.scan.merge.Pool = &l.pool
	l.scan.from = joiner.Cursor{TimeMS: math.MinInt64, Partition: math.MinInt32, Offset: math.MinInt64}
}

// Append implements joiner.Log.
func (l *log) Append(e *joiner.Entry) (joiner.Ref, error) {
	if err := l.s.usable(); err != nil {
		return joiner.Ref{}, err
	}
	size := len(e.Key) + len(e.Value)
	if size > segment.MaxEntryBytes {
		return joiner.Ref{}, fmt.Errorf("appending to %s: entry of partition %d, offset %d has %d bytes; the most is %d", logNames[l.kind], e.Partition, e.Offset, size, segment.MaxEntryBytes)
	}
	b := l.bucketFor(e.TimeMS)
	if size >= l.blockBytes && b.buf != nil {
		// A large entry gets a block of its own, so that its neighbours stay cheap to read.
		if err := l.flush(b); err != nil {
			return joiner.Ref{}, l.s.fail(err)
		}
	}
	buf, err := l.buffer(b)
	if err != nil {
		return joiner.Ref{}, l.s.fail(err)
	}
	f, before := b.files[len(b.files)-1], buf.Footprint()
	ref := joiner.Ref{File: f.number, Off: uint32(len(f.index)*segment.MaxEntries + buf.Len())}
	if off := buf.Append(e); l.layout == segment.Frames {
		ref.Off = uint32(off)
	}
	l.buffers += buf.Footprint() - before
	f.note(e)
	l.entries++
	l.scan.appended(b, e)
	if buf.Bytes() >= l.blockBytes || buf.Len() == segment.MaxEntries {
		if err := l.flush(b); err != nil {
			return joiner.Ref{}, l.s.fail(err)
		}
	}
	return ref, nil
}

// flushAll writes all unwritten entries.
func (l *log) flushAll() error {
	for l.nActive > 0 {
		if err := l.flush(l.active.prev); err != nil {
			return err
		}
	}
	l.pool.Trim()
	return nil
}

// DropBefore implements joiner.Log.
func (l *log) DropBefore(timeMS int64) error {
	if err := l.s.usable(); err != nil {
		return err
	}
	n, _ := l.find(segment.BucketOf(timeMS, l.spanMS))
	for _, b := range l.buckets[:n] {
		l.drop(b)
	}
	l.buckets = slices.Delete(l.buckets, 0, n)
	return nil
}

// Stats implements joiner.Log. It counts files and bytes that were written.
func (l *log) Stats() joiner.LogStats {
	st := joiner.LogStats{Entries: l.entries, Bytes: l.bytes}
	for _, b := range l.buckets {
		for _, f := range b.files {
			if f.length > 0 {
				st.Files++
			}
		}
	}
	return st
}

// Lows implements joiner.Log.
func (l *log) Lows(dst map[uint16]int64) {
	for _, b := range l.buckets {
		for _, f := range b.files {
			f.lowest(dst)
		}
	}
}

// hold keeps the block that the entry read last aliases, and lets go of the one before.
func (l *log) hold(block *segment.Block) {
	l.pool.Release(l.held)
	l.held = block
}

var _ joiner.Log = (*log)(nil)
