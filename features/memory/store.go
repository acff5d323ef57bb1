// Package memory keeps tiles in memory: the features.Store of tests, of samples
// and of batches that fit. It is below features, stage 3 of 6.
package memory

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/mortise-dev/mortise/features"
)

// Store is a features.Store in memory. The zero Store is empty and ready.
type Store struct {
	mu        sync.Mutex
	numbers   map[string]map[string]uint32
	positions map[string][]byte
	chunks    map[prefix]map[string][]byte // by time, then entity
	merger    features.Merger
}

// prefix is a key without its entity.
type prefix struct {
	shard, group uint16
	level        uint8
	chunk        int32
}

func prefixOf(k *features.Key) prefix { return prefix{k.Shard, k.Group, k.Level, k.Chunk} }

// New returns an empty store.
func New() *Store { return &Store{} }

// Numbers implements features.Store.
func (s *Store) Numbers(_ context.Context, scope string, names []string) ([]uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.numbers == nil {
		s.numbers = map[string]map[string]uint32{}
	}
	known := s.numbers[scope]
	if known == nil {
		known = map[string]uint32{}
		s.numbers[scope] = known
	}
	out := make([]uint32, len(names))
	for i, name := range names {
		number, ok := known[name]
		if !ok {
			number = uint32(len(known))
			known[name] = number
		}
		out[i] = number
	}
	return out, nil
}

// Positions implements features.Store.
func (s *Store) Positions(context.Context) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string][]byte{}
	for task, p := range s.positions {
		out[task] = slices.Clone(p)
	}
	return out, nil
}

// Read implements features.Store.
func (s *Store) Read(_ context.Context, keys []features.Key, fn func(i int, chunk []byte) error) error {
	for i := range keys {
		s.mu.Lock()
		chunk := s.chunks[prefixOf(&keys[i])][string(keys[i].Entity)]
		s.mu.Unlock() // a chunk is replaced, never changed
		if chunk == nil {
			continue
		}
		if err := fn(i, chunk); err != nil {
			return err
		}
	}
	return nil
}

// Commit implements features.Store.
func (s *Store) Commit(_ context.Context, c *features.Commit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !bytes.Equal(s.positions[c.Task], c.Before) {
		return features.ErrFenced
	}
	merged, err := s.merge(c.Chunks)
	if err != nil {
		return err
	}
	for i := range c.Chunks {
		s.put(&c.Chunks[i].Key, merged[i])
	}
	for i := range c.Drop {
		s.drop(c.Shard, &c.Drop[i])
	}
	if s.positions == nil {
		s.positions = map[string][]byte{}
	}
	s.positions[c.Task] = slices.Clone(c.After)
	if c.After == nil {
		delete(s.positions, c.Task)
	}
	return nil
}

// merge makes the new chunks, and changes nothing.
func (s *Store) merge(chunks []features.Chunk) ([][]byte, error) {
	out := make([][]byte, len(chunks))
	for i := range chunks {
		all := [][]byte{chunks[i].Data}
		if there := s.chunks[prefixOf(&chunks[i].Key)][string(chunks[i].Key.Entity)]; there != nil {
			all = append(all, there)
		}
		var err error
		if out[i], err = s.merger.Merge(nil, all...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Store) put(key *features.Key, chunk []byte) {
	if s.chunks == nil {
		s.chunks = map[prefix]map[string][]byte{}
	}
	p := prefixOf(key)
	if s.chunks[p] == nil {
		s.chunks[p] = map[string][]byte{}
	}
	s.chunks[p][string(key.Entity)] = chunk
}

func (s *Store) drop(shard uint16, r *features.Range) {
	maps.DeleteFunc(s.chunks, func(p prefix, _ map[string][]byte) bool {
		return p.shard == shard && (r.All || p.group == r.Group && p.level == r.Level && p.chunk < r.Before)
	})
}
