package memory

import (
	"slices"

	"github.com/mortise-dev/mortise/joiner"
)

// bucket is the entries of one span of event time, in append order.
type bucket struct {
	index   int64  // floor(event time / bucketMS)
	file    uint32 // as in a Ref
	entries []record
	data    []byte // the entries' keys and values
	lows    []low
}

// record is an entry without its bytes, and without pointers.
type record struct {
	at                   joiner.Cursor
	pos                  int // of the key in the bucket's data; the value follows
	keyBytes, valueBytes uint32
	accept               uint32
	source, flags        uint16
}

const recordBytes = 56

// low is the least offset of one source in a bucket.
type low struct {
	source uint16
	offset int64
}

func (b *bucket) append(e *joiner.Entry) joiner.Ref {
	ref := joiner.Ref{File: b.file, Off: uint32(len(b.entries))}
	b.entries = append(b.entries, record{
		at: e.Position(), pos: len(b.data), keyBytes: uint32(len(e.Key)), valueBytes: uint32(len(e.Value)),
		accept: e.Accept, source: e.Source, flags: e.Flags,
	})
	b.data = append(append(b.data, e.Key...), e.Value...)
	i := slices.IndexFunc(b.lows, func(l low) bool { return l.source == e.Source })
	if i < 0 {
		b.lows = append(b.lows, low{e.Source, e.Offset})
	} else {
		b.lows[i].offset = min(b.lows[i].offset, e.Offset)
	}
	return ref
}

// read fills e; Key and Value alias the bucket and are never overwritten.
func (b *bucket) read(i int, e *joiner.Entry) {
	r := &b.entries[i]
	mid := r.pos + int(r.keyBytes)
	end := mid + int(r.valueBytes)
	*e = joiner.Entry{
		TimeMS: r.at.TimeMS, Partition: r.at.Partition, Offset: r.at.Offset,
		Source: r.source, Flags: r.flags, Accept: r.accept, Key: b.data[r.pos:mid:mid], Value: b.data[mid:end:end],
	}
}

// freeze returns the bucket as it is now. Appending to either copy leaves the
// other as it is.
func (b *bucket) freeze() bucket {
	return bucket{index: b.index, file: b.file, entries: slices.Clip(b.entries), data: slices.Clip(b.data), lows: slices.Clone(b.lows)}
}
