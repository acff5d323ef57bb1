package disk

import (
	"slices"

	"github.com/mortise-dev/mortise/joiner/segment"
)

// bucket is one log's entries of one span of event time.
type bucket struct {
	index int64
	files []*file        // in order of number; the last may be appended to
	buf   *segment.Block // entries of the last file not yet written; nil when there are none
	seen  int            // entries of buf that the scan has already

	prev, next *bucket // among the buckets that have a buf
}

// find returns the position of the first bucket at or after index, and whether
// it is that of index itself.
func (l *log) find(index int64) (int, bool) {
	return slices.BinarySearchFunc(l.buckets, index, func(b *bucket, index int64) int {
		switch {
		case b.index < index:
			return -1
		case b.index > index:
			return 1
		}
		return 0
	})
}

// bucketFor returns the bucket of an event time, making it if it is new.
func (l *log) bucketFor(timeMS int64) *bucket {
	index := segment.BucketOf(timeMS, l.spanMS)
	if l.last != nil && l.last.index == index {
		return l.last
	}
	l.last = l.bucketAt(index)
	return l.last
}

// bucketAt returns the bucket of index, making it if it is new.
func (l *log) bucketAt(index int64) *bucket {
	at, found := l.find(index)
	if !found {
		l.buckets = slices.Insert(l.buckets, at, &bucket{index: index})
	}
	return l.buckets[at]
}

// tail returns the file to append to, beginning a new one where the last cannot
// take more.
func (l *log) tail(b *bucket) *file {
	if n := len(b.files); n > 0 {
		if f := b.files[n-1]; !f.sealed && f.length < l.s.db.opts.FileBytes && len(f.index) < segment.MaxBlocks {
			return f
		}
	}
	f := &file{number: l.s.nextFile, kind: l.kind, opening: l.s.opening, bucket: b}
	l.s.nextFile++
	h := l.header(f)
	f.place = h.Place()
	b.files = append(b.files, f)
	l.files[f.number] = f
	return f
}

func (l *log) header(f *file) segment.Header {
	return segment.Header{Layout: l.layout, Kind: l.kind, File: f.number, Opening: f.opening, Bucket: f.bucket.index, BucketMS: l.spanMS}
}

// buffer returns the bucket's block of unwritten entries. When the blocks take
// too much memory, that of the bucket appended to longest ago is written.
func (l *log) buffer(b *bucket) (*segment.Block, error) {
	if b.buf != nil {
		if l.active.next != b {
			l.unlink(b)
			l.link(b)
		}
		return b.buf, nil
	}
	for l.buffers > l.s.opts.BufferBytes && l.nActive > 0 {
		if err := l.flush(l.active.prev); err != nil {
			return nil, err
		}
	}
	f := l.tail(b)
	b.buf, b.seen = l.pool.Get(), 0
	b.buf.Begin(f.place, f.end())
	l.link(b)
	l.nActive++
	l.buffers += b.buf.Footprint()
	return b.buf, nil
}

func (l *log) link(b *bucket) {
	b.prev, b.next = &l.active, l.active.next
	b.prev.next, b.next.prev = b, b
}

func (l *log) unlink(b *bucket) {
	b.prev.next, b.next.prev = b.next, b.prev
	b.prev, b.next = nil, nil
}

// release gives the bucket's buffer up, written or dropped.
func (l *log) release(b *bucket) {
	if b.buf == nil {
		return
	}
	l.buffers -= b.buf.Footprint()
	l.pool.Release(b.buf)
	b.buf = nil
	l.unlink(b)
	l.nActive--
}

// flush writes the bucket's unwritten entries as a block of its last file.
func (l *log) flush(b *bucket) error {
	if l.scan.bucket == b {
		l.scan.catchUp()
	}
	f, s := b.files[len(b.files)-1], l.s
	start := f.end()
	data, off := s.scratch[:0], start
	if f.length == 0 {
		h := l.header(f)
		data, off = h.Append(data), 0
	}
	if l.layout == segment.Frames && off > 0 {
		data = b.buf.Frames() // as they are, uncopied
	} else {
		if l.layout == segment.Frames {
			data = append(data, b.buf.Frames()...)
		} else {
			data = b.buf.Seal(data, len(f.index))
		}
		s.keepScratch(data)
	}
	if err := s.handles.write(f, data, off); err != nil {
		return err
	}
	f.length = off + int64(len(data))
	l.bytes += int64(len(data))
	f.index = append(f.index, b.buf.Index(int(f.length-start)))
	s.written(f)
	l.release(b)
	return nil
}

// drop forgets the bucket. Its files stay until a commit no longer names them.
func (l *log) drop(b *bucket) {
	if l.scan.bucket == b {
		l.scan.stop()
	}
	if l.last == b {
		l.last = nil
	}
	l.release(b)
	for _, f := range b.files {
		l.entries -= f.entries
		delete(l.files, f.number)
		if f.length > 0 {
			l.bytes -= f.length
			l.s.dropped = append(l.s.dropped, f)
		}
	}
}

// lowest returns the bucket's files' least offsets into dst.
func (f *file) lowest(dst map[uint16]int64) {
	for _, l := range f.lows {
		if have, ok := dst[l.source]; !ok || l.offset < have {
			dst[l.source] = l.offset
		}
	}
}
