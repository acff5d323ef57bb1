package redis_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/redis"
	"github.com/mortise-dev/mortise/internal/redistest"
)

// startCluster starts three servers that share the slots.
func startCluster(t *testing.T) (addrs []string) {
	t.Helper()
	ctx := context.Background()
	var nodes []*goredis.Client
	for i := range 3 {
		server := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
		addrs = append(addrs, server.Addr)
		node := goredis.NewClient(&goredis.Options{Addr: server.Addr})
		t.Cleanup(func() { node.Close() })
		nodes = append(nodes, node)
		if err := node.ClusterAddSlotsRange(ctx, i*16384/3, (i+1)*16384/3-1).Err(); err != nil {
			t.Fatal(err)
		}
		host, port, _ := strings.Cut(addrs[0], ":")
		if err := node.ClusterMeet(ctx, host, port).Err(); i > 0 && err != nil {
			t.Fatal(err)
		}
	}
	ticker, deadline := time.NewTicker(50*time.Millisecond), time.After(30*time.Second)
	defer ticker.Stop()
	for {
		up := 0
		for _, node := range nodes {
			if info, err := node.ClusterInfo(ctx).Result(); err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3") {
				up++
			}
		}
		if up == len(nodes) {
			return addrs
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("the cluster is not up after 30s")
		}
	}
}

// TestCluster runs the suite on a cluster of three, in which shards lie on all of
// them: what is one transaction must lie in one slot.
func TestCluster(t *testing.T) {
	addrs := startCluster(t)
	featurestest.Run(t, func(t *testing.T) featurestest.Opener {
		return &opener{t: t, opts: redis.Options{Addrs: addrs[:1], Cluster: true, Prefix: fmt.Sprint("test ", prefixes.Add(1)), Buckets: 7, PipelineFields: 500}}
	})
	node := goredis.NewClient(&goredis.Options{Addr: addrs[0]})
	defer node.Close()
	s, err := redis.Open(context.Background(), redis.Options{Addrs: addrs, Prefix: "spread"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for shard := range uint16(12) {
		c := &features.Commit{Task: fmt.Sprint(shard), Shard: shard, After: []byte("x"), Chunks: []features.Chunk{{Key: features.Key{Shard: shard, Entity: []byte("e")}, Data: []byte{1, 0, 2, 0, 1}}}}
		if err := s.Commit(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := node.Keys(context.Background(), "{spread/*").Result()
	if err != nil || len(keys) == 0 || len(keys) == 36 {
		t.Errorf("%d of 36 keys are on the first of three servers (%v)", len(keys), err)
	}
}
