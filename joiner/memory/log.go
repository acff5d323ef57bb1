package memory

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/mortise-dev/mortise/joiner"
)

// log implements joiner.Log.
type log struct {
	s       *store
	spanMS  int64              // of a bucket
	buckets []*bucket          // by index
	files   map[uint32]*bucket // by number, as in a Ref
	last    *bucket            // appended to last
	scan    scan
}

func (l *log) open(s *store, spanMS int64, saved []bucket) {
	l.s, l.spanMS, l.files = s, spanMS, map[uint32]*bucket{}
	for i := range saved {
		b := saved[i].freeze()
		l.buckets = append(l.buckets, &b)
		l.files[b.file] = &b
	}
	l.scan.from = joiner.Cursor{TimeMS: math.MinInt64, Partition: math.MinInt32, Offset: math.MinInt64}
}

func (l *log) bucketOf(timeMS int64) int64 {
	index := timeMS / l.spanMS
	if timeMS%l.spanMS < 0 {
		index--
	}
	return index
}

// find returns the position of the first bucket at or after index, and whether
// it is that of index itself.
func (l *log) find(index int64) (int, bool) {
	return slices.BinarySearchFunc(l.buckets, index, func(b *bucket, index int64) int { return cmp.Compare(b.index, index) })
}

// Append implements joiner.Log.
func (l *log) Append(e *joiner.Entry) (joiner.Ref, error) {
	if err := l.s.usable(); err != nil {
		return joiner.Ref{}, err
	}
	index := l.bucketOf(e.TimeMS)
	if l.last == nil || l.last.index != index {
		at, found := l.find(index)
		if !found {
			b := &bucket{index: index, file: l.s.nextFile}
			l.s.nextFile++
			l.buckets = slices.Insert(l.buckets, at, b)
			l.files[b.file] = b
		}
		l.last = l.buckets[at]
	}
	ref := l.last.append(e)
	l.scan.appended(l.last, e.Position())
	return ref, nil
}

// Read implements joiner.Log.
func (l *log) Read(ref joiner.Ref, e *joiner.Entry) error {
	if err := l.s.usable(); err != nil {
		return err
	}
	b := l.files[ref.File]
	if b == nil || int(ref.Off) >= len(b.entries) {
		return fmt.Errorf("reading from memory: there is no entry at file %d, offset %d", ref.File, ref.Off)
	}
	b.read(int(ref.Off), e)
	return nil
}

// Each implements joiner.Log.
func (l *log) Each(sinceMS int64, fn func(ref joiner.Ref, e *joiner.Entry) error) error {
	if err := l.s.usable(); err != nil {
		return err
	}
	var e joiner.Entry
	first, _ := l.find(l.bucketOf(sinceMS))
	for _, b := range l.buckets[first:] {
		for i := range b.entries {
			b.read(i, &e)
			if err := fn(joiner.Ref{File: b.file, Off: uint32(i)}, &e); err != nil {
				return err
			}
		}
	}
	return nil
}

// DropBefore implements joiner.Log.
func (l *log) DropBefore(timeMS int64) error {
	if err := l.s.usable(); err != nil {
		return err
	}
	n, _ := l.find(l.bucketOf(timeMS))
	for _, b := range l.buckets[:n] {
		if l.scan.bucket == b {
			l.scan.stop()
		}
		if l.last == b {
			l.last = nil
		}
		delete(l.files, b.file)
	}
	l.buckets = slices.Delete(l.buckets, 0, n)
	return nil
}

// Stats implements joiner.Log. A bucket counts as a file.
func (l *log) Stats() joiner.LogStats {
	st := joiner.LogStats{Files: len(l.buckets)}
	for _, b := range l.buckets {
		st.Entries += int64(len(b.entries))
		st.Bytes += int64(len(b.data)) + recordBytes*int64(len(b.entries))
	}
	return st
}

// Lows implements joiner.Log.
func (l *log) Lows(dst map[uint16]int64) {
	for _, b := range l.buckets {
		for _, low := range b.lows {
			if have, ok := dst[low.source]; !ok || low.offset < have {
				dst[low.source] = low.offset
			}
		}
	}
}

var _ joiner.Log = (*log)(nil)
