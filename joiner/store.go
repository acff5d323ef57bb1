package joiner

import "errors"

// LogKind names one of a task's logs.
type LogKind uint8

const (
	// Impressions are only scanned: appended roughly in event-time order, read
	// once in exact order, dropped a bucket at a time. Compressed blocks.
	Impressions LogKind = iota
	// Labels are looked up by Ref when a window closes. Not compressed, so that
	// one label costs one small read.
	Labels
	// Seen remembers the keys of closed impressions, for dedup: packs of small
	// rows that are read back only when a task is reopened.
	Seen
	// Index is what the tables in memory say of labels and pending impressions,
	// in packs, so that reopening a task reads neither.
	Index
	// Observed is what was looked up when impressions came in, kept by the task's
	// owner until they close; read back only when a task is reopened.
	Observed
	NumLogs
)

// Entry is one record of a Log. On Append the log copies what it needs; on the
// way out Key and Value alias the log's buffers until the next call that reads.
type Entry struct {
	TimeMS    int64 // event time
	Partition int32
	Offset    int64
	Source    uint16 // index of the source within the plan
	Flags     uint16 // the owner's; kept as they are
	Accept    uint32 // bit i: experiment i takes the record
	Key       []byte // the owner's small key; may be empty
	Value     []byte // the raw record value; may be empty
}

// Ref is where an entry lies in its log. It stays valid until the entry's
// bucket is dropped, across reopening too if a commit followed its Append. The
// zero Ref is no entry's.
type Ref struct{ File, Off uint32 }

// Cursor is a position in a log's scan order: (event time, partition, offset).
type Cursor struct {
	TimeMS    int64 `json:"time_ms"`
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
}

// Less orders cursors as entries are scanned.
func (c Cursor) Less(o Cursor) bool {
	if c.TimeMS != o.TimeMS {
		return c.TimeMS < o.TimeMS
	}
	if c.Partition != o.Partition {
		return c.Partition < o.Partition
	}
	return c.Offset < o.Offset
}

// Position returns the cursor that stands at e.
func (e *Entry) Position() Cursor { return Cursor{e.TimeMS, e.Partition, e.Offset} }

// Log is an append-only record log split into buckets of event time. One
// goroutine uses it. It never rewrites, sorts on disk or deletes single entries.
type Log interface {
	// Append copies e into the bucket of its event time. Key and Value may have
	// 65 MiB together; an entry that is larger is refused, and the log goes on.
	Append(e *Entry) (Ref, error)
	// Seek makes Next return the entries at or after c.
	Seek(c Cursor) error
	// Next reads the least entry, by Cursor order, that Next has not returned
	// since Seek and whose event time is below beforeMS; false when there is
	// none. Entries of one position come in the order they were appended in. An
	// entry appended at or before the position that Next returned last is behind
	// the scan and not returned: the caller keeps such entries out. Memory is
	// bounded by how far blocks overlap in time.
	Next(beforeMS int64, e *Entry) (bool, error)
	// Read reads the entry at ref.
	Read(ref Ref, e *Entry) error
	// Each calls fn for every entry of the buckets that end after sinceMS, in
	// append order within a bucket, buckets in order of time; it stops at the
	// first error. For reopening. The scan stays where it is. Within fn, e is
	// valid and the log is not changed.
	Each(sinceMS int64, fn func(ref Ref, e *Entry) error) error
	// DropBefore forgets every bucket that ends at or before timeMS. A later entry
	// of such a bucket makes it anew.
	DropBefore(timeMS int64) error
	// Stats says what the log holds now.
	Stats() LogStats
	// Lows puts the least offset held per source into dst, for sources whose
	// offset there is absent or higher: where a rebuild must start reading.
	Lows(dst map[uint16]int64)
}

// LogStats describes a log. Bytes are on disk, or in memory for a memory log.
type LogStats struct {
	Entries int64
	Bytes   int64
	Files   int
}

// Store holds one task's logs and its manifest. One goroutine uses it. After an
// error of writing, every call returns that error: what the last commit left is
// found by opening the store again.
type Store interface {
	Log(kind LogKind) Log
	// Commit makes all that was appended and dropped so far, with meta, the
	// point that reopening returns to: all of it or none. Meta is the owner's.
	// Files that the last commit needs are removed only after this one.
	Commit(meta []byte) error
	// Meta returns the meta of the commit that the store was opened at, nil for a new store.
	Meta() []byte
	// Close releases the store without committing.
	Close() error
}

// ErrCorrupt says that state does not verify: a checksum, a length or a format
// is wrong. State is a cache of the topic's log, so the caller discards it and
// rebuilds.
var ErrCorrupt = errors.New("state does not verify")

// StoreOptions sizes a store. Zero fields take their defaults.
type StoreOptions struct {
	// BucketMS is the span of event time of one bucket, at most 49 days. The
	// default is 10 s. A store that holds entries keeps the span it was made with.
	BucketMS int64
	// BlockBytes is the raw size at which a block of impressions is compressed
	// and written, at most 64 MiB. The default is 128 KiB; smaller blocks make
	// Read cheaper.
	BlockBytes int
	// CoarseMS is the span of a bucket of the logs other than Impressions, which
	// are not scanned in order and so need no fine ones. The default is BucketMS.
	CoarseMS int64
	// BufferBytes bounds the unwritten entries of one log; the bucket appended to
	// longest ago is written first. A bucket that is dropped before then costs no
	// file at all. The default is 8 MiB.
	BufferBytes int
}

// EnsureDefaults fills in zero fields.
func (o *StoreOptions) EnsureDefaults() {
	if o.BucketMS <= 0 {
		o.BucketMS = 10_000
	}
	if o.BlockBytes <= 0 {
		o.BlockBytes = 128 << 10
	}
	if o.CoarseMS <= 0 {
		o.CoarseMS = o.BucketMS
	}
	if o.BufferBytes <= 0 {
		o.BufferBytes = 8 << 20
	}
}

// SpanMS is the span of event time of one bucket of a log.
func (o *StoreOptions) SpanMS(kind LogKind) int64 {
	if kind == Impressions {
		return o.BucketMS
	}
	return o.CoarseMS
}
