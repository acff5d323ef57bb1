// Package featurestest is the conformance suite of features.Store: what the
// feature engine, stage 3, relies on, run against every implementation. It holds
// the oracle too, which computes every aggregate from the raw events.
package featurestest

import (
	"flag"
	"fmt"
	"testing"

	"github.com/mortise-dev/mortise/features"
)

// Opener opens one store again and again, as restarts of a process do.
type Opener interface {
	// Open opens the store at what was committed last. None is open.
	Open() (features.Store, error)
	// Crash ends the open store, if any, as kill -9 would.
	Crash()
}

var (
	seeds = flag.Int("feature-seeds", 4, "random histories that the metamorphic test of feature stores runs")
	seed  = flag.Uint64("feature-seed", 0, "the one seed to run, instead of the first ones")
)

// Run runs the suite. Each call of open makes a new, empty store.
func Run(t *testing.T, open func(t *testing.T) Opener) {
	for _, test := range []struct {
		name string
		run  func(k *kit)
	}{
		{"numbers", testNumbers},
		{"merge", testMerge},
		{"buffers", testBuffers},
		{"read ends", testReadEnds},
		{"fencing", testFencing},
		{"race", testRace},
		{"drop", testDrop},
		{"removed", testRemoved},
		{"many", testMany},
		{"concurrent", testConcurrent},
		{"cancelled", testCancelled},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(newKit(t, open)) })
	}
	t.Run("metamorphic", func(t *testing.T) {
		if *seed != 0 {
			testMetamorphic(t, open, *seed, 400)
			return
		}
		for s := 1; s <= *seeds; s++ {
			t.Run(fmt.Sprint("seed ", s), func(t *testing.T) { testMetamorphic(t, open, uint64(s), []int{5, 60, 400}[s%3]) })
		}
	})
}
