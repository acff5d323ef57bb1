package redis_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/redis"
	"github.com/mortise-dev/mortise/internal/redistest"
)

// open opens a store of its own prefix. The processor time that the benchmarks
// count is the client's: Redis is another process.
func open(b testing.TB) features.Store {
	server := redistest.Shared(b)
	s, err := redis.Open(context.Background(), redis.Options{Addrs: []string{server.Addr}, Prefix: fmt.Sprint("bench ", prefixes.Add(1))})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

func BenchmarkWrite(b *testing.B) { featurestest.BenchmarkWrite(b, open) }
func BenchmarkRead(b *testing.B)  { featurestest.BenchmarkRead(b, open) }

func BenchmarkShards(b *testing.B) { featurestest.BenchmarkShards(b, open) }

func BenchmarkSize(b *testing.B) {
	client := goredis.NewClient(&goredis.Options{Addr: redistest.Shared(b).Addr})
	defer client.Close()
	for _, most := range []string{"64", "512"} { // the default, and what DESIGN.md advises
		b.Run("hash-max-listpack-value "+most, func(b *testing.B) {
			if err := client.ConfigSet(context.Background(), "hash-max-listpack-value", most).Err(); err != nil {
				b.Fatal(err)
			}
			featurestest.BenchmarkSize(b, func(b *testing.B) (features.Store, func() int64) {
				if err := client.FlushAll(context.Background()).Err(); err != nil {
					b.Fatal(err)
				}
				return open(b), func() int64 { return usedMemory(b, client) }
			})
		})
	}
}

// usedMemory is what Redis says its data takes.
func usedMemory(b *testing.B, client *goredis.Client) int64 {
	info, err := client.Info(context.Background(), "memory").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if text, ok := strings.CutPrefix(line, "used_memory:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatal("INFO says no used_memory")
	return 0
}
