package tiling

import (
	"context"
	"sync"
	"time"

	"github.com/mortise-dev/mortise/features"
)

// Readers hands out readers of one generation, each to one user at a time. A
// reader's cache outlives its use.
type Readers struct {
	gen   *Generation
	store features.Store
	opts  features.ReaderOptions

	mu   sync.Mutex
	free []*held
}

type held struct {
	*features.Reader
	at time.Time // of the last Refresh
}

// NewReaders makes Readers. With unfinished they also read tiles that may still
// change.
func NewReaders(store features.Store, gen *Generation, unfinished bool) *Readers {
	return &Readers{gen: gen, store: store, opts: features.ReaderOptions{Tasks: gen.Tasks(), Unfinished: unfinished}}
}

// Use calls fn with a reader that knows how far the store was at most maxAge ago.
func (p *Readers) Use(ctx context.Context, maxAge time.Duration, fn func(*features.Reader) error) error {
	h, err := p.take(ctx)
	if err != nil {
		return err
	}
	if now := time.Now(); now.Sub(h.at) >= maxAge {
		if err := h.Refresh(ctx); err != nil {
			return err
		}
		h.at = now
	}
	if err := fn(h.Reader); err != nil {
		return err // whatever state it is in, it goes
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, h)
	return nil
}

func (p *Readers) take(ctx context.Context) (*held, error) {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		h := p.free[n-1]
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return h, nil
	}
	p.mu.Unlock()
	r, err := features.OpenReader(ctx, p.gen.Set, p.store, p.opts)
	if err != nil {
		return nil, err
	}
	return &held{Reader: r}, nil
}
