package redis_test

import (
	"context"
	"math"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/redis"
	"github.com/mortise-dev/mortise/internal/redistest"
)

// TestClear removes a store whose prefix is full of what patterns take for
// something else, and leaves one beside it alone whose prefix that pattern matches.
func TestClear(t *testing.T) {
	ctx := context.Background()
	server := redistest.Shared(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
	defer client.Close()
	filled := func(prefix string) *redis.Store {
		s, err := redis.Open(ctx, redis.Options{Addrs: []string{server.Addr}, Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		l := featurestest.NewLoad(featurestest.Counts(), 50, 1, false)
		w, err := features.OpenWriter(ctx, l.Set, s, features.WriterOptions{Task: "t", Shard: 3, Slot: featurestest.Slot, SinceMS: math.MinInt64})
		if err != nil {
			t.Fatal(err)
		}
		l.Add(t, w, 500, 100)
		return s
	}
	keys := func(prefix string) (n int) {
		all, err := client.Keys(ctx, "*").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range all {
			if strings.HasPrefix(key, prefix+":") || strings.HasPrefix(key, "{"+prefix+"/") {
				n++
			}
		}
		return n
	}
	odd, beside := filled(`clear*[a-z]?`), filled(`clearxbz`)
	defer beside.Close()
	before := keys("clearxbz")
	if keys(`clear*[a-z]?`) == 0 || before == 0 {
		t.Fatal("nothing was written")
	}
	if err := odd.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if err := odd.Close(); err != nil {
		t.Fatal(err)
	}
	if n, others := keys(`clear*[a-z]?`), keys("clearxbz"); n != 0 || others != before {
		t.Errorf("%d keys are left, and of the other store %d of %d", n, others, before)
	}
}
