package loading

import (
	"context"

	"github.com/mortise-dev/mortise/dimjoin"
)

// Target is one store that is filled.
type Target struct {
	Name      string // for messages: the store, or which of two
	Versioned dimjoin.Versioned
	Close     func() error
}

// marked is a Writer that keeps positions with its rows.
type marked interface {
	WriteAt(ctx context.Context, records []dimjoin.Record, positions map[string][]byte) error
	Positions(ctx context.Context) (map[string][]byte, error)
}
