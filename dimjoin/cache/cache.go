// Package cache keeps dimension rows between reads, in otter: the most used of
// them (W-TinyLFU), up to a size in bytes. It belongs to stage 4, dimjoin, whose
// Reader decides what counts for how long.
//
// otter is used without its expiry, loading and statistics: those need its clock
// on every read and a goroutine per cache, while the Reader knows the time of a
// batch once, and keeps what has expired for when the store is away.
package cache

import (
	"fmt"
	"unsafe"

	"github.com/maypok86/otter/v2"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Cache is a dimjoin.Cache.
type Cache struct {
	rows *otter.Cache[string, *dimjoin.Entry]
}

// New makes a cache of at most maxBytes, keys, rows and its own bookkeeping
// included. It may be above that for moments.
func New(maxBytes int64) (*Cache, error) {
	if maxBytes <= 0 {
		return nil, fmt.Errorf("a cache of %d bytes keeps nothing: give it some, or use none", maxBytes)
	}
	rows, err := otter.New(&otter.Options[string, *dimjoin.Entry]{
		MaximumWeight: uint64(maxBytes),
		Weigher:       func(_ string, e *dimjoin.Entry) uint32 { return weight(e) },
	})
	if err != nil {
		return nil, fmt.Errorf("making a cache of %d bytes: %w", maxBytes, err)
	}
	return &Cache{rows}, nil
}

func weight(e *dimjoin.Entry) uint32 { return uint32(min(e.Bytes(), 1<<32-1)) }

// Get implements dimjoin.Cache.
func (c *Cache) Get(key []byte) *dimjoin.Entry {
	e, _ := c.rows.GetIfPresent(unsafe.String(unsafe.SliceData(key), len(key))) // kept nowhere
	return e
}

// Put implements dimjoin.Cache.
func (c *Cache) Put(key string, e *dimjoin.Entry) { c.rows.Set(key, e) }

// Bytes implements dimjoin.Cache.
func (c *Cache) Bytes() int64 { return int64(c.rows.WeightedSize()) }

// Len implements dimjoin.Cache.
func (c *Cache) Len() int { return c.rows.EstimatedSize() }

// Settle waits for evictions that are due.
func (c *Cache) Settle() { c.rows.CleanUp() }
