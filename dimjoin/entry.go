package dimjoin

// Cache keeps what was read of a table's keys, up to some number of bytes. Its
// methods may be called by several goroutines at once.
type Cache interface {
	// Get returns what is kept of a key, or nil. It keeps no reference to key.
	Get(key []byte) *Entry
	// Put keeps e, Bytes large, in place of what is there. It may decide not to.
	Put(key string, e *Entry)
	// Bytes is the size of what is kept, and Len how many keys.
	Bytes() int64
	Len() int
}

// Entry is what is kept of one key: versions that do not overlap. It is not
// changed once it is in a cache.
type Entry struct {
	bytes int64
}

// Bytes is the memory that the entry takes, its key included.
func (e *Entry) Bytes() int64 { return e.bytes }
