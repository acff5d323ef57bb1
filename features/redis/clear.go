package redis

import (
	"context"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Clear removes everything under the store's prefix: a store that is opened there
// again is empty. Nobody may be at work in it.
func (s *Store) Clear(ctx context.Context) error {
	err := s.eachServer(ctx, func(ctx context.Context, server redis.UniversalClient) error {
		for _, pattern := range []string{globEscape(s.opts.Prefix) + ":*", "{" + globEscape(s.opts.Prefix) + "/*"} {
			keys := server.Scan(ctx, 0, pattern, 1000).Iterator()
			for keys.Next(ctx) {
				if err := server.Unlink(ctx, keys.Val()).Err(); err != nil {
					return err
				}
			}
			if err := keys.Err(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return s.fail("clearing", err)
	}
	return nil
}

// eachServer calls fn for every server that holds keys.
func (s *Store) eachServer(ctx context.Context, fn func(context.Context, redis.UniversalClient) error) error {
	if cluster, ok := s.reads.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return fn(ctx, c) })
	}
	return fn(ctx, s.reads)
}

// globEscape makes text stand for itself in a pattern.
func globEscape(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`).Replace(text)
}
