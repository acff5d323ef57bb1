package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/mortise-dev/mortise/features"
)

// format is what the keys hold and how. In format 1 an entity's tiles lay in all
// shards, as its events lay in the source's partitions.
const format = "2"

// Store is a features.Store in Redis.
type Store struct {
	opts   Options
	id     string
	reads  redis.UniversalClient // tries again after errors of the network
	writes redis.UniversalClient // does not: whether a commit happened has to be looked up

	mu    sync.Mutex
	known map[string]uint16 // tasks that are listed, with their shards
}

// Open connects to the store, and makes it if it is not there.
func Open(ctx context.Context, opts Options) (*Store, error) {
	opts.EnsureDefaults()
	if err := opts.Validate(); err != nil {
		return nil, fmt.Errorf("opening the feature store in Redis: %w", err)
	}
	s := &Store{opts: opts, reads: opts.client(3), writes: opts.client(-1), known: map[string]uint16{}}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(s.fail("opening", err), s.Close())
	}
	return s, nil
}

// prepare notes the format and the number of buckets, or takes on what is there.
func (s *Store) prepare(ctx context.Context) error {
	key := s.metaKey()
	_, err := s.reads.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSetNX(ctx, key, "format", format)
		p.HSetNX(ctx, key, "buckets", s.opts.Buckets)
		p.HSetNX(ctx, key, "id", newID())
		return nil
	})
	if err != nil {
		return err
	}
	meta, err := s.reads.HGetAll(ctx, key).Result()
	if err != nil {
		return err
	}
	if meta["format"] != format {
		return fmt.Errorf("it has format %q, and this version reads %q: use another prefix, under which features are made anew from their topics, or the version that made it", meta["format"], format)
	}
	s.id = meta["id"]
	if s.opts.Buckets, err = strconv.Atoi(meta["buckets"]); err != nil || s.opts.Buckets < 1 || s.opts.Buckets > maxBuckets {
		return fmt.Errorf("it has %q buckets: %w", meta["buckets"], features.ErrCorrupt)
	}
	return nil
}

// ID tells the store apart from any other, one too that had this prefix before and was
// emptied: it was made up when the store was.
func (s *Store) ID() string { return s.id }

func newID() string {
	raw := make([]byte, 4)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

// fail says what could not be done, and where.
func (s *Store) fail(doing string, err error) error {
	return fmt.Errorf("%s the feature store in Redis at %v, prefix %s: %w", doing, s.opts.Addrs, s.opts.Prefix, err)
}

// Close closes the connections.
func (s *Store) Close() error {
	if err := errors.Join(s.reads.Close(), s.writes.Close()); err != nil {
		return s.fail("closing", err)
	}
	return nil
}

var numberNames = redis.NewScript(`
local out = {}
for i, name in ipairs(ARGV) do
  local n = redis.call('HGET', KEYS[1], name)
  if not n then
    n = redis.call('HLEN', KEYS[1])
    redis.call('HSET', KEYS[1], name, n)
  end
  out[i] = tonumber(n)
end
return out`)

// Numbers implements features.Store.
func (s *Store) Numbers(ctx context.Context, scope string, names []string) ([]uint32, error) {
	if len(names) == 0 {
		return nil, nil
	}
	args := make([]any, len(names))
	for i, name := range names {
		args[i] = name
	}
	found, err := numberNames.Run(ctx, s.reads, []string{s.numbersKey(scope)}, args...).Int64Slice()
	if err != nil {
		return nil, s.fail("numbering in", err)
	}
	out := make([]uint32, len(found))
	for i, n := range found {
		out[i] = uint32(n)
	}
	return out, nil
}

// Positions implements features.Store.
func (s *Store) Positions(ctx context.Context) (map[string][]byte, error) {
	tasks, err := s.reads.HGetAll(ctx, s.tasksKey()).Result()
	if err != nil {
		return nil, s.fail("reading", err)
	}
	asked := make(map[string]*redis.StringCmd, len(tasks))
	_, err = s.reads.Pipelined(ctx, func(p redis.Pipeliner) error {
		for task, text := range tasks {
			shard, err := strconv.ParseUint(text, 10, 16)
			if err != nil {
				return fmt.Errorf("task %s has shard %q: %w", task, text, features.ErrCorrupt)
			}
			asked[task] = p.Get(ctx, s.positionKey(uint16(shard), task))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, s.fail("reading", err)
	}
	out := make(map[string][]byte, len(asked))
	for task, cmd := range asked {
		position, err := cmd.Bytes()
		if errors.Is(err, redis.Nil) {
			continue // it was forgotten, or has not committed yet
		}
		if err != nil {
			return nil, s.fail("reading", err)
		}
		out[task] = position
	}
	return out, nil
}
