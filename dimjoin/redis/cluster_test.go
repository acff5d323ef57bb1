package redis_test

import (
	"context"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
	"github.com/mortise-dev/mortise/dimjoin/dimjointest"
	"github.com/mortise-dev/mortise/dimjoin/redis"
	"github.com/mortise-dev/mortise/internal/redistest"
)

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker, deadline := time.NewTicker(50*time.Millisecond), time.After(30*time.Second)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("%s: not after 30s", what)
		}
	}
}

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
	until(t, "the cluster is up", func() bool {
		for _, node := range nodes {
			info, err := node.ClusterInfo(ctx).Result()
			if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return false
			}
		}
		return true
	})
	return addrs
}

// TestCluster runs the suite on a cluster of three, over which rows are spread.
func TestCluster(t *testing.T) {
	addrs := startCluster(t)
	at := dimjoin.Store{Addrs: addrs[:1], Redis: dimjoin.Redis{Cluster: true}}
	for _, layout := range []string{redis.LayoutHash, redis.LayoutPacked} {
		t.Run(layout, func(t *testing.T) {
			dimjointest.Run(t, store(func(testing.TB) dimjoin.Store { return at }, layout, redis.Options{}))
		})
	}
	node := goredis.NewClient(&goredis.Options{Addr: addrs[0]})
	defer node.Close()
	if keys, err := node.DBSize(context.Background()).Result(); err != nil || keys == 0 {
		t.Errorf("%d keys are on the first of three servers (%v)", keys, err)
	}
}

// TestSentinel reads through a sentinel, and goes on with the replica when the
// master is gone.
func TestSentinel(t *testing.T) {
	ctx := context.Background()
	master := redistest.Start(t)
	host, port, _ := strings.Cut(master.Addr, ":")
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	sentinel := redistest.StartSentinel(t, "mine", master)
	s := store(func(testing.TB) dimjoin.Store {
		return dimjoin.Store{Addrs: []string{sentinel.Addr}, Redis: dimjoin.Redis{Master: "mine"}}
	}, redis.LayoutHash, redis.Options{}).New(t, *itemDef(dimjoin.Store{})).(*subject)
	s.Fill(t, []dimjoin.Record{{Key: []byte("k"), Row: mortise.Row{mortise.IntValue(7)}}})
	read := func() bool {
		l := []dimjoin.Lookup{{Key: []byte("k")}}
		return s.main.Read(ctx, l) == nil && l[0].Row != nil && l[0].Row[0].Int() == 7
	}
	if !read() {
		t.Fatal("the row is not read through the sentinel")
	}
	copied, watched := goredis.NewClient(&goredis.Options{Addr: replica.Addr}), goredis.NewSentinelClient(&goredis.Options{Addr: sentinel.Addr})
	defer copied.Close()
	defer watched.Close()
	until(t, "the replica has the row, and the sentinel knows it", func() bool {
		n, err := copied.DBSize(ctx).Result()
		replicas, err2 := watched.Replicas(ctx, "mine").Result()
		return err == nil && err2 == nil && n == 1 && len(replicas) == 1 && replicas[0]["master-link-status"] == "ok"
	})
	master.Kill()
	until(t, "the row is read from what was the replica", read)
}
