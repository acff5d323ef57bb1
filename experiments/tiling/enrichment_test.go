package tiling_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/mortise-dev/mortise/experiments/tiling"
	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/memory"
)

// takenBack is a store whose tiles, all final at first, are not any more when it is
// asked the second time, and are again some times later.
type takenBack struct {
	features.Store
	mu             sync.Mutex
	asked          int
	reopen, finish func()
}

func (s *takenBack) Positions(ctx context.Context) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	switch s.asked {
	case 2:
		s.reopen()
	case 6:
		s.finish()
	}
	return s.Store.Positions(ctx)
}

// TestRowsWaitForWhatIsTakenBack has a worker begin, which takes back that tiles
// are final, between the close of rows and the reading of their features.
func TestRowsWaitForWhatIsTakenBack(t *testing.T) {
	for _, seed := range seeds(3) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 12))
			w, p, store := newWorld(seed, 150), plan(t, experiment), memory.New()
			last := line{ID: "last", User: "u1", Item: "item|1", TimeMS: startMS + spanMS + 40_000, Position: 1} // on the edge of a tile
			last.text = fmt.Sprintf(`{"id":"last","ts":%d,"user":"u1","item_id":"item|1","position":1}`, last.TimeMS)
			w.imps = append(w.imps, last)
			topics := publish(w, 2, rnd)
			gens := tile(t, p, store, topics, rnd, 0)
			back := &takenBack{Store: store, finish: func() { tile(t, p, store, topics, rnd, 0) }, reopen: func() {
				if err := tiling.Reopen(context.Background(), store, gens); err != nil {
					t.Error(err)
				}
			}}
			w.run(t, p, back, gens)
			if back.asked < 6 {
				t.Errorf("the store was asked %d times: nothing waited", back.asked)
			}
		})
	}
}
