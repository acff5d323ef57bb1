package redis

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/mortise-dev/mortise/features"
)

// place is the time of a group's and level's chunks: what expires as one.
type place struct {
	group uint16
	level uint8
	chunk int32
}

func placeOf(k *features.Key) place { return place{k.Group, k.Level, k.Chunk} }

// String is the place's name in its shard's list, and the part of a bucket's key.
func (p place) String() string {
	return strconv.Itoa(int(p.group)) + ":" + strconv.Itoa(int(p.level)) + ":" + strconv.Itoa(int(p.chunk))
}

func parsePlace(s string) (p place, err error) {
	if _, err = fmt.Sscanf(strings.ReplaceAll(s, ":", " "), "%d %d %d", &p.group, &p.level, &p.chunk); err != nil {
		return p, fmt.Errorf("the list of chunks holds %q: %w", s, features.ErrCorrupt)
	}
	return p, nil
}

// bucket is one hash of chunks, by entity.
type bucket struct {
	shard  uint16
	place  place
	number uint32
}

func (s *Store) bucketOf(k *features.Key) bucket {
	h := fnv.New32a()
	h.Write(k.Entity)
	return bucket{k.Shard, placeOf(k), h.Sum32() % uint32(s.opts.Buckets)}
}

// Keys. What stands in braces decides the slot.

func (s *Store) metaKey() string                { return s.opts.Prefix + ":meta" }
func (s *Store) tasksKey() string               { return s.opts.Prefix + ":tasks" }
func (s *Store) numbersKey(scope string) string { return s.opts.Prefix + ":numbers:" + scope }

func (s *Store) shardKey(shard uint16) string {
	return "{" + s.opts.Prefix + "/" + strconv.Itoa(int(shard)) + "}:"
}

func (s *Store) positionKey(shard uint16, task string) string {
	return s.shardKey(shard) + "position:" + task
}
func (s *Store) placesKey(shard uint16) string { return s.shardKey(shard) + "chunks" }
func (s *Store) bucketKey(b bucket) string {
	return s.shardKey(b.shard) + b.place.String() + ":" + strconv.FormatUint(uint64(b.number), 10)
}

// bucketKeys are the keys of all buckets of a place.
func (s *Store) bucketKeys(shard uint16, p place) []string {
	keys := make([]string, s.opts.Buckets)
	for n := range keys {
		keys[n] = s.bucketKey(bucket{shard, p, uint32(n)})
	}
	return keys
}
