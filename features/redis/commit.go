package redis

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/mortise-dev/mortise/features"
)

// Commit implements features.Store. It watches the task's position, reads the
// chunks that it adds to, and writes the merged ones in a transaction, which fails
// if the position has moved since.
func (s *Store) Commit(ctx context.Context, c *features.Commit) error {
	if err := s.list(ctx, c.Task, c.Shard); err != nil {
		return s.fail("writing to", err)
	}
	key := s.positionKey(c.Shard, c.Task)
	err := s.writes.Watch(ctx, func(tx *redis.Tx) error {
		before, err := tx.Get(ctx, key).Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		if string(before) != string(c.Before) {
			return features.ErrFenced
		}
		step, err := s.prepareStep(ctx, tx, c)
		if err != nil {
			return err
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error { s.send(ctx, p, c, step); return nil })
		return err
	}, key)
	switch {
	case errors.Is(err, redis.TxFailedErr):
		return features.ErrFenced
	case err != nil && !errors.Is(err, features.ErrFenced):
		return s.fail("writing to", err)
	}
	return err
}

// list puts the task on the list of tasks, before it has a position.
func (s *Store) list(ctx context.Context, task string, shard uint16) error {
	s.mu.Lock()
	known, ok := s.known[task]
	s.mu.Unlock()
	if ok && known == shard {
		return nil
	}
	if err := s.writes.HSet(ctx, s.tasksKey(), task, int(shard)).Err(); err != nil {
		return err
	}
	s.mu.Lock()
	s.known[task] = shard
	s.mu.Unlock()
	return nil
}

// step is what a commit writes.
type step struct {
	puts   []put
	places map[place]bool // that are written
	drops  []place
}

// put is the new chunks of one bucket: entity, chunk, entity, chunk…
type put struct {
	key    string
	values []any
}

// prepareStep reads what the commit merges with and what it drops.
func (s *Store) prepareStep(ctx context.Context, tx *redis.Tx, c *features.Commit) (*step, error) {
	out := &step{places: map[place]bool{}}
	var err error
	if out.drops, err = s.dropped(ctx, tx, c); err != nil {
		return nil, err
	}
	keys := make([]features.Key, len(c.Chunks))
	for i := range c.Chunks {
		keys[i] = c.Chunks[i].Key
	}
	expired := func(p place) bool { return isDropped(c, p) }
	var merger features.Merger
	for at := 0; at < len(keys); at += s.opts.PipelineFields {
		asks := s.group(keys[at:min(len(keys), at+s.opts.PipelineFields)], expired)
		if err := s.ask(ctx, tx, asks); err != nil {
			return nil, err
		}
		for _, a := range asks {
			out.places[a.bucket.place] = true
			p := put{key: s.bucketKey(a.bucket)}
			for n, i := range a.keys {
				merged := c.Chunks[at+i].Data
				if there := a.chunk(n); there != nil {
					if merged, err = merger.Merge(nil, there, merged); err != nil {
						return nil, err
					}
				}
				p.values = append(p.values, a.fields[n], merged)
			}
			out.puts = append(out.puts, p)
		}
	}
	return out, nil
}

func isDropped(c *features.Commit, p place) bool {
	for i := range c.Drop {
		if r := &c.Drop[i]; r.All || r.Group == p.group && r.Level == p.level && p.chunk < r.Before {
			return true
		}
	}
	return false
}

// dropped lists the places that are there and that the commit drops.
func (s *Store) dropped(ctx context.Context, tx *redis.Tx, c *features.Commit) (drops []place, err error) {
	if len(c.Drop) == 0 {
		return nil, nil
	}
	names, err := tx.SMembers(ctx, s.placesKey(c.Shard)).Result()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		p, err := parsePlace(name)
		if err != nil {
			return nil, err
		}
		if isDropped(c, p) {
			drops = append(drops, p)
		}
	}
	return drops, nil
}

// send queues the transaction's commands. The position comes last: what Redis
// appends to its log up to it is no commit.
func (s *Store) send(ctx context.Context, p redis.Pipeliner, c *features.Commit, step *step) {
	for _, put := range step.puts {
		p.HSet(ctx, put.key, put.values...)
	}
	if len(step.places) > 0 {
		names := make([]any, 0, len(step.places))
		for place := range step.places {
			names = append(names, place.String())
		}
		p.SAdd(ctx, s.placesKey(c.Shard), names...)
	}
	for _, place := range step.drops {
		p.Unlink(ctx, s.bucketKeys(c.Shard, place)...)
		p.SRem(ctx, s.placesKey(c.Shard), place.String())
	}
	key := s.positionKey(c.Shard, c.Task)
	if c.After == nil {
		p.Del(ctx, key)
		return
	}
	p.Set(ctx, key, c.After, 0)
}
