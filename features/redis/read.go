package redis

import (
	"context"
	"unsafe"

	"github.com/redis/go-redis/v9"

	"github.com/mortise-dev/mortise/features"
)

// Read implements features.Store.
func (s *Store) Read(ctx context.Context, keys []features.Key, fn func(i int, chunk []byte) error) error {
	for at := 0; at < len(keys); at += s.opts.PipelineFields {
		part := keys[at:min(len(keys), at+s.opts.PipelineFields)]
		asks := s.group(part, nil)
		if err := s.ask(ctx, s.reads, asks); err != nil {
			return s.fail("reading", err)
		}
		for _, a := range asks {
			for n, i := range a.keys {
				if chunk := a.chunk(n); chunk != nil {
					if err := fn(at+i, chunk); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// ask is what is asked of one bucket.
type ask struct {
	bucket bucket
	keys   []int // of the call's
	fields []string
	reply  *redis.SliceCmd
}

// chunk is the n-th answer, nil for none.
func (a *ask) chunk(n int) []byte {
	text, ok := a.reply.Val()[n].(string)
	if !ok {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(text), len(text)) // which nobody changes
}

// group sorts keys into buckets, leaving out those that skip says.
func (s *Store) group(keys []features.Key, skip func(p place) bool) []*ask {
	byBucket := map[bucket]*ask{}
	var asks []*ask
	for i := range keys {
		b := s.bucketOf(&keys[i])
		if skip != nil && skip(b.place) {
			continue
		}
		a := byBucket[b]
		if a == nil {
			a = &ask{bucket: b}
			byBucket[b] = a
			asks = append(asks, a)
		}
		a.keys = append(a.keys, i)
		a.fields = append(a.fields, string(keys[i].Entity))
	}
	return asks
}

// pipeliner is a client or a transaction's connection.
type pipeliner interface {
	Pipelined(ctx context.Context, fn func(redis.Pipeliner) error) ([]redis.Cmder, error)
}

// ask asks for all chunks in one go.
func (s *Store) ask(ctx context.Context, client pipeliner, asks []*ask) error {
	if len(asks) == 0 {
		return nil
	}
	_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, a := range asks {
			a.reply = p.HMGet(ctx, s.bucketKey(a.bucket), a.fields...)
		}
		return nil
	})
	return err
}
