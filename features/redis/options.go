package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Options say where Redis is, and which of its keys are the store's. Zero fields
// take their defaults.
type Options struct {
	// Addrs is the server's host:port, or those of some of a cluster's.
	Addrs []string
	// Cluster says that Addrs is of a cluster even though it is one address.
	Cluster bool
	// Username and Password are the server's; the default is none.
	Username, Password string
	// DB is the database of a single server. The default is 0.
	DB int
	// TLS encrypts connections. The default, nil, does not.
	TLS *tls.Config
	// Prefix begins the names of all keys. The default is mortise.
	Prefix string
	// Buckets is how many hashes the entities of one chunk's time are spread over:
	// one for every few hundred entities of a task makes them compact. A store keeps
	// the number that it was made with. The default is 1024.
	Buckets int
	// PipelineFields bounds the chunks that are asked for or sent in one go. The
	// default is 10,000.
	PipelineFields int
}

// EnsureDefaults fills in zero fields.
func (o *Options) EnsureDefaults() {
	if o.Prefix == "" {
		o.Prefix = "mortise"
	}
	if o.Buckets <= 0 {
		o.Buckets = 1024
	}
	if o.PipelineFields <= 0 {
		o.PipelineFields = 10_000
	}
}

// maxBuckets bounds the keys that are unlinked for a chunk's time that expires.
const maxBuckets = 1 << 16

// Validate reports what is wrong with the options, or nil.
func (o *Options) Validate() error {
	if len(o.Addrs) == 0 {
		return errors.New("no address: give the server's host:port")
	}
	if o.Buckets > maxBuckets {
		return errors.New("more than 65,536 buckets")
	}
	return nil
}

// silent drops what the client library prints: errors are returned, and the
// command's output is not the library's to write to.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

var silence = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

// client makes a client that tries a command again so many times.
func (o *Options) client(retries int) redis.UniversalClient {
	silence()
	return redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs: o.Addrs, IsClusterMode: o.Cluster, Username: o.Username, Password: o.Password, DB: o.DB, TLSConfig: o.TLS,
		MaxRetries: retries, DialerRetries: 1, ContextTimeoutEnabled: true,
	})
}
