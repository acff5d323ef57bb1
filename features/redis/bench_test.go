package redis_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/redis"
	"github.com/mortise-dev/mortise/internal/redistest"
)

// open opens a store of its own prefix. The processor time that the benchmarks
// count is the client's: Redis is another process.
func open(b *testing.B) features.Store {
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
