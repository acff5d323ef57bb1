package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mortise-dev/mortise/dimjoin"
)

// How rows lie in Redis.
const (
	LayoutHash   = "hash"
	LayoutPacked = "packed"
)

// Options say how Redis is talked to. Zero fields take their defaults. Where it is,
// and which keys are the table's, says the dimension's store.
type Options struct {
	// TLS encrypts connections: what the store says of it, with its files read. The
	// default, nil, does not.
	TLS *tls.Config
	// PipelineKeys bounds the keys that are asked for in one go. The default is 10,000.
	PipelineKeys int
	// Timeout bounds each wait for a server, besides a read's own deadline. The
	// default is 3 s.
	Timeout time.Duration
	// Connections bounds the connections to a server. The default is 10 per CPU.
	Connections int
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.PipelineKeys <= 0 {
		o.PipelineKeys = 10_000
	}
	if o.Timeout <= 0 {
		o.Timeout = 3 * time.Second
	}
}

// check reports what is wrong with a dimension in Redis, or nil.
func check(def *dimjoin.Definition, layout string) error {
	switch r := &def.Store.Redis; {
	case len(def.Store.Addrs) == 0:
		return errors.New("no address: give the server's host:port")
	case layout != LayoutHash && layout != LayoutPacked:
		return fmt.Errorf("unknown layout %q: there are %s and %s", layout, LayoutHash, LayoutPacked)
	case strings.Contains(r.Prefix, "@"):
		return fmt.Errorf("the prefix %q has an @, which stands in front of versions", r.Prefix)
	case def.History.Kept():
		return errors.New("redis keeps only the latest row of a key: it has no history")
	case r.Master != "" && r.Cluster:
		return errors.New("master is for sentinels, which have no cluster")
	case r.DB != 0 && (r.Cluster || len(def.Store.Addrs) > 1 && r.Master == ""):
		return errors.New("a cluster has no db but 0")
	}
	return nil
}

// silent drops what the client library prints: errors are returned, and the
// command's output is not the library's to write to.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

var silence = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

func client(store *dimjoin.Store, o *Options) redis.UniversalClient {
	silence()
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: store.Addrs, IsClusterMode: store.Redis.Cluster, MasterName: store.Redis.Master, DB: store.Redis.DB,
		Username: store.Redis.Username, Password: store.Redis.Password, TLSConfig: o.TLS, PoolSize: o.Connections,
		DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, ContextTimeoutEnabled: true,
		// Once more is enough for a connection that went stale. What else helps is
		// decided above, where it is known how late it is.
		MaxRetries: 1, DialerRetries: 1,
	})
}
