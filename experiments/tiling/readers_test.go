package tiling_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
)

// asked counts what a store is asked beside tiles.
type asked struct {
	features.Store
	numbers, positions atomic.Int64
	fail               atomic.Bool
}

var errNoAnswer = errors.New("no answer")

func (s *asked) Numbers(ctx context.Context, scope string, names []string) ([]uint32, error) {
	s.numbers.Add(1)
	if s.fail.Load() {
		return nil, errNoAnswer
	}
	return s.Store.Numbers(ctx, scope, names)
}

func (s *asked) Positions(ctx context.Context) (map[string][]byte, error) {
	s.positions.Add(1)
	if s.fail.Load() {
		return nil, errNoAnswer
	}
	return s.Store.Positions(ctx)
}

// TestReadersAskOnce has many users read at once: the store is asked as often as
// one of them would ask it.
func TestReadersAskOnce(t *testing.T) {
	ctx := context.Background()
	store, gens := fill(t, newWorld(3, 100), plan(t, experiment), rand.New(rand.NewPCG(3, 1)))
	s := &asked{Store: store}
	s.fail.Store(true)
	pool := tiling.NewReaders(s, gens[0], true)
	read := func(r *features.Reader) error {
		lookups := []features.Lookup{{Group: 0, Entity: []byte("a"), AsOfMS: nowMS}}
		return r.Read(ctx, lookups)
	}
	if err := pool.Use(ctx, time.Hour, read); !errors.Is(err, errNoAnswer) {
		t.Fatal(err)
	}
	s.fail.Store(false)
	s.numbers.Store(0)
	s.positions.Store(0)
	const users = 50
	var all sync.WaitGroup
	inside := make(chan struct{})
	var in atomic.Int64
	for range users {
		all.Go(func() {
			err := pool.Use(ctx, time.Hour, func(r *features.Reader) error {
				if in.Add(1) == users {
					close(inside)
				}
				<-inside // each has a reader of its own
				return read(r)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n, most := s.numbers.Load(), int64(1+len(gens[0].Set.Groups)); n != most || s.positions.Load() != 1 {
		t.Errorf("asked for numbers %d times, want %d, and for positions %d times, want once", n, most, s.positions.Load())
	}
	if err := pool.Use(ctx, 0, read); err != nil || s.positions.Load() != 2 {
		t.Errorf("as of now: %v, asked %d times", err, s.positions.Load())
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := pool.Use(cancelled, 0, func(*features.Reader) error { return cancelled.Err() }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
