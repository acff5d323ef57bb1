package memory_test

import (
	"testing"

	"github.com/mortise-dev/mortise/joiner"
	"github.com/mortise-dev/mortise/joiner/memory"
	"github.com/mortise-dev/mortise/joiner/statetest"
)

type opener struct{ disk *memory.Disk }

func (o opener) Open(opts joiner.StoreOptions) (joiner.Store, error) { return o.disk.Open(opts) }

// Crash does nothing: opening the disk again ends the store as a crash would.
func (o opener) Crash() {}

func TestStore(t *testing.T) {
	statetest.Run(t, func(*testing.T) statetest.Opener { return opener{memory.New()} })
}
