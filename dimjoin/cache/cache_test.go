package cache

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	mortise "github.com/mortise-dev/mortise"
	"github.com/mortise-dev/mortise/dimjoin"
)

// fill reads keys of rows with a text of so many bytes into a cache.
func fill(t *testing.T, c *Cache, keys, textBytes int) {
	t.Helper()
	text := strings.Repeat("x", textBytes)
	r := dimjoin.NewReader(definition, world{text}, dimjoin.Options{Cache: c, MaxAbandoned: 1 << 20})
	defer r.Close()
	for from := 0; from < keys; from += 500 {
		r.Read(context.Background(), batch(from, min(500, keys-from)))
	}
	if s := r.Stats(); s.Served[dimjoin.ServedStore] != int64(keys) {
		t.Fatalf("%+v", s)
	}
	c.Settle()
}

func TestCacheIsBoundedInBytes(t *testing.T) {
	const bound = 1 << 20
	c, err := New(bound)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, c, 5000, 1000)
	if n := c.Bytes(); n > bound || n < bound*8/10 {
		t.Errorf("%d bytes are kept of at most %d", n, bound)
	}
	if n := c.Len(); n > bound/1000 || n < bound/2000 {
		t.Errorf("%d keys are kept", n)
	}
}

func TestBytesAreWhatTheMemoryIs(t *testing.T) {
	for _, textBytes := range []int{8, 200, 4000} {
		c, err := New(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		before := heap()
		fill(t, c, 20_000, textBytes)
		used := heap() - before
		if said := c.Bytes(); float64(said) < 0.8*float64(used) || float64(said) > 1.3*float64(used) {
			t.Errorf("%d bytes of text: the cache says %d bytes a row, and takes %d", textBytes, said/20_000, used/20_000)
		}
		t.Logf("%d bytes of text: said %d, are %d a row", textBytes, c.Bytes()/20_000, used/20_000)
		runtime.KeepAlive(c)
	}
}

func heap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestCacheIsForSeveralGoroutines(t *testing.T) {
	c, err := New(200_000)
	if err != nil {
		t.Fatal(err)
	}
	r := dimjoin.NewReader(definition, world{"toys"}, dimjoin.Options{Cache: c, MaxBatch: 50})
	defer r.Close()
	var tasks sync.WaitGroup
	for task := range 4 {
		tasks.Go(func() {
			for i := range 100 {
				answers := batch((task*37+i*11)%2000, 100)
				r.Read(context.Background(), answers)
				for j := range answers {
					if got := string(answers[j].Row[0].Text()); got != "toys "+string(answers[j].Key) {
						t.Errorf("%s has the row of %s", answers[j].Key, got)
					}
				}
			}
		})
	}
	tasks.Wait()
	if s := r.Stats(); s.Served[dimjoin.ServedHit] == 0 || s.Served[dimjoin.ServedHit]+s.Served[dimjoin.ServedStore] != 4*100*100 {
		t.Errorf("%+v", s)
	}
}

func TestRowsOutOfTheCacheCostNoAllocation(t *testing.T) {
	c, err := New(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	r := dimjoin.NewReader(definition, world{"toys"}, dimjoin.Options{Cache: c})
	defer r.Close()
	answers := batch(0, 500)
	r.Read(context.Background(), answers)
	perBatch := testing.AllocsPerRun(200, func() { r.Read(context.Background(), answers) })
	if perBatch > 5 {
		t.Errorf("%.0f allocations for 500 rows", perBatch)
	}
}

func TestNoBytesAreNoCache(t *testing.T) {
	if _, err := New(0); err == nil {
		t.Error("a cache of nothing was made")
	}
}

// world is a table without a store: rows of a text, which names the key, and a number.
type world struct{ text string }

func (w world) Read(_ context.Context, lookups []dimjoin.Lookup) error {
	for i := range lookups {
		lookups[i].Row = mortise.Row{mortise.TextValue(fmt.Appendf(nil, "%s %s", w.text, lookups[i].Key)), mortise.FloatValue(0.25)}
	}
	return nil
}

func (world) Close() error { return nil }

var definition = &dimjoin.Definition{Name: "item", Key: []string{"item_id"}, AsOf: dimjoin.AsOfEmission, Missing: dimjoin.MissingNull,
	Fields: mortise.Schema{{Name: "category", Type: mortise.Type{Kind: mortise.String}}, {Name: "price", Type: mortise.Type{Kind: mortise.Float}}}}

// batch asks for n keys from one on.
func batch(from, n int) []dimjoin.Answer {
	out := make([]dimjoin.Answer, n)
	for i := range out {
		out[i] = dimjoin.Answer{Key: fmt.Appendf(nil, "item-%08d", from+i), AsOfMS: dimjoin.Latest}
	}
	return out
}
