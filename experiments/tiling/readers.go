package tiling

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mortise-dev/mortise/features"
)

// Readers hands out readers of one generation, each to one user at a time. A
// reader's cache outlives its use. What readers need to know of the store is asked
// once for all of them.
type Readers struct {
	gen   *Generation
	store features.Store
	opts  features.ReaderOptions

	asking chan struct{} // holds one while nobody asks the store

	mu    sync.Mutex
	first *features.Reader // the others are made of it; nil before there is one
	free  []*held
	known *known
}

type held struct {
	*features.Reader
	known *known // as of its last refresh
}

// known is how far the store's tasks were.
type known struct {
	positions map[string][]byte
	at        time.Time // it was not further before
}

// NewReaders makes Readers. With unfinished they also read tiles that may still
// change.
func NewReaders(store features.Store, gen *Generation, unfinished bool) *Readers {
	p := &Readers{gen: gen, store: store, opts: features.ReaderOptions{Tasks: gen.Tasks(), Route: gen.route(), Unfinished: unfinished}, asking: make(chan struct{}, 1)}
	p.asking <- struct{}{}
	return p
}

// Use calls fn with a reader that knows how far the store was at most maxAge ago.
func (p *Readers) Use(ctx context.Context, maxAge time.Duration, fn func(*features.Reader) error) error {
	h, err := p.take(ctx)
	if err != nil {
		return err
	}
	now, err := p.knownWithin(ctx, maxAge)
	if err != nil {
		p.giveBack(h)
		return err
	}
	if h.known != now {
		if err := h.RefreshFrom(now.positions); err != nil {
			return err
		}
		h.known = now
	}
	if err := fn(h.Reader); err != nil {
		return err // whatever state it is in, it goes
	}
	p.giveBack(h)
	return nil
}

func (p *Readers) giveBack(h *held) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, h)
}

func (p *Readers) take(ctx context.Context) (*held, error) {
	if h := p.ready(); h != nil {
		return h, nil
	}
	err := p.alone(ctx, func() error {
		p.mu.Lock()
		opened := p.first != nil
		p.mu.Unlock()
		if opened {
			return nil
		}
		r, err := features.OpenReader(ctx, p.gen.Set, p.store, p.opts)
		if err == nil {
			p.mu.Lock()
			p.first = r
			p.mu.Unlock()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.ready(), nil
}

// ready is a reader that is free, or another one; nil before there is a first.
func (p *Readers) ready() *held {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		h := p.free[n-1]
		p.free = p.free[:n-1]
		return h
	}
	if p.first == nil {
		return nil
	}
	return &held{Reader: p.first.Another()}
}

// alone calls fn when nobody else asks the store.
func (p *Readers) alone(ctx context.Context, fn func() error) error {
	select {
	case <-p.asking:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { p.asking <- struct{}{} }()
	return fn()
}

// knownWithin is how far the store was at most maxAge ago. Who needs it as of now
// asks by itself; the others wait for whoever asks.
func (p *Readers) knownWithin(ctx context.Context, maxAge time.Duration) (*known, error) {
	if maxAge <= 0 {
		return p.ask(ctx)
	}
	if k := p.fresh(maxAge); k != nil {
		return k, nil
	}
	var k *known
	err := p.alone(ctx, func() (err error) {
		if k = p.fresh(maxAge); k == nil {
			k, err = p.ask(ctx)
		}
		return err
	})
	return k, err
}

func (p *Readers) fresh(maxAge time.Duration) *known {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || time.Since(p.known.at) >= maxAge {
		return nil
	}
	return p.known
}

func (p *Readers) ask(ctx context.Context) (*known, error) {
	k := &known{at: time.Now()}
	var err error
	if k.positions, err = p.store.Positions(ctx); err != nil {
		return nil, fmt.Errorf("reading how far features are: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || p.known.at.Before(k.at) {
		p.known = k
	}
	return k, nil
}
