package memory_test

import (
	"testing"

	"github.com/mortise-dev/mortise/features"
	"github.com/mortise-dev/mortise/features/featurestest"
	"github.com/mortise-dev/mortise/features/memory"
)

// opener keeps what is committed over a crash, as a store of files does.
type opener struct{ store *memory.Store }

func (o opener) Open() (features.Store, error) { return o.store, nil }
func (opener) Crash()                          {}

func TestStore(t *testing.T) {
	featurestest.Run(t, func(*testing.T) featurestest.Opener { return opener{memory.New()} })
}
