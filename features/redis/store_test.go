package redis_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/redis"
	"github.com/mortise-dev/mortise/internal/redistest"
)

var prefixes atomic.Int64

// opener opens a store of its own prefix on a server that all share. Its crash is
// the worker's: the connections are gone.
type opener struct {
	t    *testing.T
	opts redis.Options
	s    *redis.Store
}

func (o *opener) Open() (features.Store, error) {
	s, err := redis.Open(context.Background(), o.opts)
	if err != nil {
		return nil, err
	}
	o.s = s
	return s, nil
}

func (o *opener) Crash() {
	if o.s != nil {
		if err := o.s.Close(); err != nil {
			o.t.Fatal(err)
		}
		o.s = nil
	}
}

func TestStore(t *testing.T) {
	server := redistest.Shared(t)
	featurestest.Run(t, func(t *testing.T) featurestest.Opener {
		return &opener{t: t, opts: redis.Options{Addrs: []string{server.Addr}, Prefix: fmt.Sprint("test ", prefixes.Add(1)), Buckets: 7, PipelineFields: 500}}
	})
}

func TestHot(t *testing.T) { featurestest.TestHot(t, open) }
