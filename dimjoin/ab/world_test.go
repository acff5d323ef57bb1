package ab

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

var errDown = errors.New("connection refused")

// cluster answers every key with itself, after a while.
type cluster struct {
	name string

	mu       sync.Mutex
	rng      *rand.Rand
	state    state
	requests int
	active   int
	most     int
}

// state is how a cluster does.
type state struct {
	median time.Duration // of its latencies, which are log-normal with a sigma of 0.6
	err    error
	hang   chan struct{} // where set: nothing comes back before it is closed, whatever ctx says
}

var healthy = state{median: 1500 * time.Microsecond}

func newCluster(name string, seed uint64) *cluster {
	return &cluster{name: name, rng: rand.New(rand.NewPCG(seed, 1)), state: healthy}
}

func (c *cluster) set(s state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = s
}

func (c *cluster) Close() error { return nil }

func (c *cluster) Read(ctx context.Context, lookups []dimjoin.Lookup) error {
	c.mu.Lock()
	s := c.state
	c.requests++
	c.active++
	c.most = max(c.most, c.active)
	took := time.Duration(float64(s.median) * math.Exp(0.6*c.rng.NormFloat64()))
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.active--
	}()
	if s.hang != nil {
		<-s.hang
	}
	if took > 0 {
		select {
		case <-time.After(took):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if s.err != nil {
		return s.err
	}
	for i := range lookups {
		lookups[i].Row = mortise.Row{mortise.TextValue(slices.Clone(lookups[i].Key))}
		lookups[i].ToMS = dimjoin.Latest
	}
	return nil
}

func (c *cluster) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.requests
}

// atMost is how many requests it had at once.
func (c *cluster) atMost() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

// traffic reads from a table at random times, perSecond on average, and notes how
// long each read took.
type traffic struct {
	table     dimjoin.Table
	rng       *rand.Rand
	perSecond float64

	reads sync.WaitGroup
	mu    sync.Mutex
	took  []time.Duration
	errs  []error
}

// run reads for so long.
func (f *traffic) run(t *testing.T, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		<-time.After(time.Duration(f.rng.ExpFloat64() * float64(time.Second) / f.perSecond))
		f.reads.Go(func() { f.read(t) })
	}
}

func (f *traffic) read(t *testing.T) {
	key := []byte{'k', byte('a' + f.table.(*Table).opts.Now().Nanosecond()%26)}
	lookups := []dimjoin.Lookup{{Key: key, Values: mortise.Row{mortise.TextValue(key)}, AsOfMS: dimjoin.Latest}, {Key: []byte("other"), AsOfMS: 5}}
	began := time.Now()
	err := f.table.Read(t.Context(), lookups)
	took := time.Since(began)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took = append(f.took, took)
	if err != nil {
		f.errs = append(f.errs, err)
		return
	}
	for _, l := range lookups {
		if string(l.Row[0].Text()) != string(l.Key) || l.ToMS != dimjoin.Latest {
			t.Errorf("%s is answered with %+v", l.Key, l)
		}
	}
}

// past is a quantile of what reads took since the last call, and forgets them.
func (f *traffic) past(q float64) time.Duration {
	f.reads.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.Sort(f.took)
	out := f.took[int(q*float64(len(f.took)-1))]
	f.took = nil
	return out
}
